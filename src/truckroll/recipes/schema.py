"""What a checked recipe is: frozen data, with every word of the language in one place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

import msgspec

from truckroll.recipes.mirror import Mirror


class Slip(msgspec.Struct, frozen=True, order=True):
    """Something in a recipe, or in a person's choices, that cannot be meant as it stands.

    `line` counts from 1 (0: it is about a choice, not about the file). `known` are the words
    that would have been understood, where there is a list of them. As text it is one line for
    people, led by the file and the line.
    """

    line: int
    text: str
    known: tuple[str, ...] = ()
    file: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.text}" if self.line else self.text


@dataclass(frozen=True, slots=True)
class Option:
    """A choice that the recipe leaves to a person.

    `words` are the allowed words, each with the sentence that says what it does; without words
    the choice is a whole number from `least` to `most`, or a text where `text` is True.
    """

    name: str
    asks: str
    default: str | int
    words: Mapping[str, str] = field(default_factory=dict)
    least: int = 0
    most: int = 0
    text: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A setting that hangs on an option: its value by the chosen word, or the choice itself."""

    option: str
    by: "Mapping[str, Setting]" = field(default_factory=dict)


Setting = str | int | bool | tuple[str, ...] | Chosen


@dataclass(frozen=True, slots=True)
class Use:
    """A gate or transform that a recipe uses: the function and its settings."""

    name: str
    call: Callable[..., Any]
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ValueMap:
    """Words of one system and what they mean.

    `unmapped` is "hold", "skip", or the value that every word without a row gets.
    """

    name: str
    words: Mapping[str, str]
    unmapped: str
    ignore_case: bool = True


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one field of the target is made: from a field, from a text, or as a fixed value."""

    target: str
    source: str = ""
    text: str = ""
    value: str | int | bool | None = None
    map: str = ""
    uses: tuple[Use, ...] = ()
    both: Setting = "never"
    fold: str = ""


@dataclass(frozen=True, slots=True)
class MirrorRule:
    """A mirror as the recipe states it, before a person's choices are filled in."""

    name: str
    kind: str
    fields: tuple[FieldRule, ...]
    per: str = ""
    rules: Mapping[str, Setting] = field(default_factory=dict)
    gates: tuple[Use, ...] = ()
    source_maps: Mapping[str, str] = field(default_factory=dict)
    match: tuple[str, ...] = ("when", "title")
    fold: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe without slips. `text` is the file as it was written."""

    name: str
    title: str
    version: int
    about: str
    options: Mapping[str, Option]
    maps: Mapping[str, ValueMap]
    mirrors: Mapping[str, MirrorRule]
    text: str


_MIRROR = get_type_hints(Mirror)


def _literal(name: str) -> tuple[str, ...]:
    return get_args(_MIRROR[name])


BOTH = ("never", "source-wins", "target-wins", "newest", "ask")
FOLDS = ("latest", "earliest", "list")
ORIGINATES = ("source", "both")
PRIVATE = ("busy_only", "skip", "copy")

# The rules of a mirror that take one word, and what they decide.
RULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "deletes": ("the source's record is gone", _literal("deletes")),
    "missing": ("somebody deleted the copy at the target", _literal("missing")),
    "cancelled": ("the source's record is cancelled", _literal("cancelled")),
    "drift": ("somebody changed a field at the target that is not two-way", _literal("drift")),
    "leaving": ("a copied record no longer passes the gates", _literal("leaving")),
    "left": ("somebody is no longer on the record", _literal("left")),
    "first": ("who is right when two records are found to be the same", _literal("first")),
    "writes": ("when the target is written", _literal("writes")),
    "overlap": ("a technician is booked twice", _literal("overlap")),
    "originates": ("where new records come from", ORIGINATES),
    "private": ("the record is private", PRIVATE),
}

NUMBERS: dict[str, str] = {
    "travel_minutes": "minutes of travel between two visits of one technician",
    "write_budget": "at most so many writes in a run; more of them stop it before it begins",
}

TOP_KEYS: dict[str, str] = {
    "name": "the recipe's own name: small letters, digits and dashes",
    "title": "what people read",
    "version": "a whole number, raised with every change",
    "about": "one sentence on what it does",
    "options": "the choices that it leaves to a person",
    "maps": "what the words of a system mean",
    "mirror": "what is kept in step",
}

OPTION_KEYS: dict[str, str] = {
    "asks": "the question, as a sentence",
    "words": "the allowed words, each with what it does",
    "default": "what counts until somebody chooses",
    "least": "the smallest number",
    "most": "the largest number",
    "text": "true where any text may be given",
}

MAP_KEYS: dict[str, str] = {
    "words": "a word of the system on the left, its meaning on the right",
    "unmapped": 'what happens with other words: "hold", "skip", or a meaning',
    "ignore_case": "false where SCHED and sched differ (true)",
}

FIELD_KEYS: dict[str, str] = {
    "target": "the field of the target that this line fills",
    "from": "the field that it is taken from",
    "text": "a text with fields in braces",
    "value": "the same for every record",
    "map": "the map that the value goes through",
    "use": "the transforms that it goes through, in this order",
    "both": "whether an edit at the target travels back, and who wins when both edit",
    "fold": "which of the records speaks that a folding mirror puts together",
}

MIRROR_KEYS: dict[str, str] = {
    "kind": "what is mirrored",
    "per": "the field to fan out by: one copy for each of its entries",
    "fold": "the field to put together by: one copy for all records with one value of it",
    "gates": "what a record must pass, or it waits",
    "match": "the fields by which records that are there already are recognised",
    "source_maps": "the maps through which fields of the source are read",
    "field": "the lines, one [[mirror.….field]] for each field of the target",
    **{name: meaning for name, (meaning, _) in RULES.items()},
    **NUMBERS,
}
