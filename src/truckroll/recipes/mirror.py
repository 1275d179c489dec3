"""A mirror: the compiled rule that keeps records of one kind in step.

Made by `recipes.compile` from a checked recipe and a person's choices; read by the planner.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

import msgspec

from truckroll.model.records import Fields, Value

SideName = Literal["source", "target"]


class Problem(msgspec.Struct, frozen=True):
    """Why a value cannot be carried, or a record must wait.

    `reason` is the machine's code (`status_unmapped`), `detail` a sentence for people, and
    `release` what would release it, as a sentence or a command. `again_at` is the instant at
    which the clock alone may release it.
    """

    reason: str
    detail: str
    release: str = ""
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """How one field (`slot`) of a side's records hangs on the mirror's fields (`inputs`).

    `render` turns the mirror's agreed values into the slot's value, in the side's own terms.
    `invert` turns the slot's value back into that of the first input (others only colour the
    rendering); None where the line only goes one way. `speaks` says whether a change of this
    slot is somebody's word on the input; a change that may not speak is drift. `patch`, where
    there is one, reads a change back in place of `invert`: from what the slot shows now, what it
    showed when it was last weighed, and the agreed value of the first input, it makes the new
    value of that input, so that what the slot never showed is kept. A line has an input.
    """

    slot: str
    inputs: tuple[str, ...]
    render: Callable[[Fields], Value | Problem]
    invert: Callable[[Value], Value | Problem] | None = None
    speaks: bool = False
    patch: Callable[[Value, Value, Value], Value | Problem] | None = None

    @property
    def plain(self) -> bool:
        """Whether the slot is the mirror's field of that name as it is, both ways."""
        return self.render == Itself(self.slot) and self.invert is as_it_is

    def want(self, fields: Fields) -> Value | Problem:
        """Return what the slot should hold by the mirror's values; None where no input is known."""
        for name in self.inputs:
            if name in fields:
                return self.render(fields)
        return None


@dataclass(frozen=True, slots=True)
class Itself:
    """The `render` of a slot that shows a field as it is."""

    field: str

    def __call__(self, fields: Fields) -> Value:
        """Return the field's value, None where it is not known."""
        return fields.get(self.field)


def as_it_is(value: Value) -> Value:
    """Return a value unchanged: the `invert` of a slot that shows a field as it is."""
    return value


@dataclass(frozen=True, slots=True)
class Masked:
    """The `render` of a slot that shows `instead` of a private record's content."""

    render: Callable[[Fields], Value | Problem]
    instead: Value

    def __call__(self, fields: Fields) -> Value | Problem:
        """Return the slot's value; `instead` where the record is private."""
        return self.instead if fields.get("private") is True else self.render(fields)


class Shape:
    """What a side's records should show, by its lines.

    `slots` are all, `made` the lines that are not plain. How a slot is filled is settled here
    once, for records are many.
    """

    __slots__ = ("_as_is", "_lines", "_steps", "made", "slots")

    def __init__(self, lines: tuple[Line, ...]) -> None:
        self.slots = frozenset(line.slot for line in lines)
        self.made = tuple(line for line in lines if not line.plain)
        self._lines = lines
        # A record that is not private is shown by what stands behind the mask.
        steps = [
            (line, line.render.render if isinstance(line.render, Masked) else line.render)
            for line in lines
        ]
        self._steps = tuple(
            (line.slot, render.field, None, line.want)
            if isinstance(render, Itself)
            else (line.slot, line.inputs[0], render, line.want)
            for line, render in steps
        )
        self._as_is = all(line.plain or line.inputs == (line.slot,) for line in lines)

    def fill(self, fields: Fields) -> dict[str, Value | Problem]:
        """Return by slot what the mirror's values make; what nothing is known of may be left out.

        What may be left out is None otherwise.
        """
        if fields.get("private") is True:
            return {line.slot: line.want(fields) for line in self._lines}
        if self._as_is and self.slots.issuperset(fields):
            return self._converted(fields)
        shows: dict[str, Value | Problem] = {}
        for slot, first, render, want in self._steps:
            if first in fields:
                value = fields[first] if render is None else render(fields)
            else:
                value = None if render is None else want(fields)
            if value is not None:
                shows[slot] = value
        return shows

    def _converted(self, fields: Fields) -> dict[str, Value | Problem]:
        """Return the fields under their own names, those that are not plain as their lines make."""
        shows: dict[str, Value | Problem] = {**fields}
        for line in self.made:
            if line.slot in fields:
                shows[line.slot] = line.render(fields)
        return shows


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person's records go: an account and a scope of it (row ids), and their names."""

    account: int
    scope: int
    label: str = ""


class GateContext(msgspec.Struct, frozen=True, gc=False):
    """What gates may look at besides the record: the run's instant, places, and neighbours.

    `zone` is the company's IANA zone. `overlaps` are sentences about overlaps by link key.
    """

    now: datetime
    zone: str
    people: Callable[[str], "Place | Problem"]
    overlaps: Mapping[str, str] = {}
    link_key: str = ""


Gate = Callable[[Fields, GateContext], Problem | None]


@dataclass(frozen=True, slots=True)
class Fold:
    """How several source records make one link: all that share a value of `by`.

    `by` is a field of the mirror, or a part of one (`contact.mail`). `rules` says for a field
    which record speaks: latest (by start, ties by id; the default) · earliest · list (all).
    """

    by: str
    rules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)  # no slots: what is read off the lines is kept
class Mirror:
    """One mirror of an installed recipe.

    `lines` maps each side to its lines. The source side's lines are identities or value maps.
    `conflict` names per field of the mirror who wins: source · target · newest · ask (default
    source). `drift`: restore · keep · hold. `deletes` (the source's record is gone): propagate ·
    cancel · unlink · ask. `missing` (somebody deleted a follower): recreate · accept · ask.
    `cancelled` (the source's record is cancelled): remove · mark. `leaving` (a linked record
    fails a gate): freeze · follow · remove. `left` (a fan-out key is gone): remove · cancel.
    `writes`: always · create · once. `per` is the field to fan out by, or "". `place` is the
    single target where the mirror does not fan out. `first`: source · target · ask.
    `originates` are the sides whose new records are created on the other side. `match` are the
    mirror's fields by which unlinked records are matched, besides the mark. `fold` puts several
    source records together; their fields go one way.
    """

    name: str
    kind: str
    lines: Mapping[SideName, tuple[Line, ...]]
    per: str = ""
    fold: Fold | None = None
    place: Place | None = None
    conflict: Mapping[str, str] = field(default_factory=dict)
    drift: Literal["restore", "keep", "hold"] = "hold"
    deletes: Literal["propagate", "cancel", "unlink", "ask"] = "propagate"
    missing: Literal["recreate", "accept", "ask"] = "recreate"
    cancelled: Literal["remove", "mark"] = "remove"
    leaving: Literal["freeze", "follow", "remove"] = "freeze"
    left: Literal["remove", "cancel"] = "remove"
    writes: Literal["always", "create", "once"] = "always"
    first: Literal["source", "target", "ask"] = "source"
    originates: frozenset[SideName] = frozenset({"source"})
    match: tuple[str, ...] = ("when", "title")
    gates: tuple[tuple[str, Gate], ...] = ()
    overlap: Literal["show", "refuse", "off"] = "show"
    travel: timedelta = timedelta(0)
    write_budget: int | None = None

    @cached_property
    def shapes(self) -> Mapping[SideName, Shape]:
        """What the records of each side should show."""
        return {side: Shape(lines) for side, lines in self.lines.items()}

    def inputs(self) -> frozenset[str]:
        """Return the mirror's fields that any line uses."""
        lines = [line for side in self.lines.values() for line in side]
        return frozenset(name for line in lines for name in line.inputs)
