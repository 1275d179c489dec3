"""Value maps: what the words of a system mean, both ways."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache

from truckroll.model.records import STATUSES, Value
from truckroll.recipes.mirror import Problem
from truckroll.recipes.schema import ValueMap

Carry = Callable[[Value], Value | Problem]

# What a field's value can be at most, where the model closes the list.
MEANINGS: dict[str, tuple[str, ...]] = {"status": STATUSES}


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word that was probably meant, or ""."""
    by_fold = {one.casefold().replace("_", " "): one for one in known}
    found = get_close_matches(word.casefold().replace("_", " "), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" or ""."""
    best = closest(word, known)
    return f'; did you mean "{best}"?' if best else ""


def with_rows(table: ValueMap, rows: dict[str, str]) -> ValueMap:
    """Return a map with a person's own rows, which go before the recipe's."""
    return replace(table, words={**table.words, **rows})


def forward(table: ValueMap, field: str, recipe: str) -> Carry:
    """Return the function from a system's word to its meaning.

    Absent, unknown and empty values go through as they are, and so does a word of the model
    itself (`scheduled`) unless a row says otherwise. Any other word without a row follows the
    map's `unmapped`: a Problem `<field>_unmapped` that says how to add it (hold) or that the
    recipe leaves the word alone (skip), or the stated value.
    """
    rows = {one: one for one in MEANINGS.get(field, ())} | dict(table.words)
    words = {_fold(table, word): meaning for word, meaning in rows.items()}

    @lru_cache(maxsize=256)  # a system has few words
    def meaning(word: str) -> str | Problem:
        found = words.get(_fold(table, word)) if word.strip() else word
        if found is not None:
            return found
        if table.unmapped not in {"hold", "skip"}:
            return table.unmapped
        return _unmapped(table, field, recipe, word)

    def carry(value: Value) -> Value | Problem:
        return meaning(value) if isinstance(value, str) else value

    return carry


def backward(table: ValueMap, field: str) -> Carry:
    """Return the function from a meaning to the system's first word for it.

    A meaning without a word of its own is a Problem `<field>_unmapped`, save that the model's
    own words go through where the map is only how a system's words are read.
    """
    words: dict[str, str] = {}
    for word, meaning in table.words.items():
        words.setdefault(meaning, word)
    own = MEANINGS.get(field, ())

    def carry(value: Value) -> Value | Problem:
        if not isinstance(value, str) or not value.strip():
            return value
        found = words.get(value)
        if found is not None or value in own:
            return found or value
        detail = f'no word of the map "{table.name}" means "{value}"'
        return Problem(f"{field}_unmapped", detail, "add a row for it to the recipe's map")

    return carry


def reversible(table: ValueMap) -> bool:
    """Tell whether each meaning has one word, so that the map can be read backwards."""
    return len(set(table.words.values())) == len(table.words)


def _fold(table: ValueMap, word: str) -> str:
    word = " ".join(word.split())
    return word.casefold() if table.ignore_case else word


def _unmapped(table: ValueMap, field: str, recipe: str, value: str) -> Problem:
    if table.unmapped == "skip":
        detail = f'the {field} "{value}" is left alone, as the recipe says'
        return Problem(f"{field}_unmapped", detail)
    known = MEANINGS.get(field) or tuple(dict.fromkeys(table.words.values()))
    best = closest(value, known) or (known[0] if known else "…")
    word = value.replace('"', '\\"')
    return Problem(
        f"{field}_unmapped",
        f'the {field} "{value}" has no meaning in the map "{table.name}"',
        f"say what it means, for instance:  "
        f"truckroll recipe set {recipe} 'maps.{table.name}.\"{word}\"={best}'",
    )
