"""Folding: several source records make one link, and speak with one voice (SYNC §2).

The planner sees one source end, the *speaker*: it shows what the records show together, and it
carries what was weighed of them (`base`, `given`, holds), which goes on to the next speaker.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from truckroll.model.records import Fields, Value, as_text
from truckroll.model.time import AllDay, Timed, instant
from truckroll.recipes.mirror import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping, Sequence

    from truckroll.recipes.mirror import Fold, Gate, GateContext, Mirror
    from truckroll.sync.types import Link
    from truckroll.sync.work import At, Work

LEFT = "left"  # what was decided of a source end whose record belongs to another link now
_THERE = ("live", "unreadable")
_LONGEST_KEY = 200  # in characters: an index takes no text of any length


class Member(NamedTuple):
    """A source record of a link, by its end, with the fold key that it has now."""

    end: int
    key: str


class Regrouped(NamedTuple):
    """Which links take another fold key, and which records leave theirs for the link of a key."""

    renamed: dict[int, str]
    leaving: list[Member]


def fold_key(mirror: Mirror, shown: Fields) -> str:
    """Return the key by which a source record is put together with others; "" where it has none.

    Case and the number of spaces make no difference.
    """
    assert mirror.fold is not None
    field, _, part = mirror.fold.by.partition(".")
    value = _means(mirror, field, shown)
    if part:
        value = getattr(value, part, None)
    text = " ".join(as_text(value).replace("\0", "").casefold().split())
    return text if len(text) <= _LONGEST_KEY else sha256(text.encode()).hexdigest()


def regroup(
    links: Iterable[tuple[int, str, Sequence[Member]]], homes: MutableMapping[str, int]
) -> Regrouped:
    """Find the records whose key is not that of their link.

    `links` come with id, fold key and the records that are there, `homes` with the living link
    of each key concerned. A link that none of its records stays with goes along with them, if
    theirs is a key without a link: what was renamed keeps its identity. `homes` is kept up.
    """
    renamed: dict[int, str] = {}
    leaving: list[Member] = []
    for link, fold, members in links:
        own = fold
        if members and all(one.key != fold for one in members):
            free = sorted({one.key for one in members if one.key not in homes}, reverse=True)
            if free:
                own = renamed[link] = free[0]
                if homes.get(fold) == link:
                    del homes[fold]
                if own:
                    homes[own] = link
        staying = [one for one in members if one.key == own]
        if not own:  # without a key there is nothing that would keep them together
            staying = staying[:1]
        leaving += [one for one in members if one not in staying]
    return Regrouped(renamed, leaving)


def astray(link: Link, mirror: Mirror) -> bool:
    """Tell whether a link has a record that is to be regrouped before anything is decided."""
    return mirror.fold is not None and any(
        end.side == "source" and end.state in _THERE and fold_key(mirror, end.shown) != link.fold
        for end in link.ends
    )


def keyless(fold: Fold) -> Gate:
    """Return the gate that a record without a fold key does not pass."""

    def gate(fields: Fields, ctx: GateContext) -> Problem:
        del fields, ctx
        return Problem(
            "fold_key_missing",
            f"it has no {fold.by}, by which records are put together",
            f"give it a {fold.by}; it goes by itself then",
        )

    return gate


def gather(work: Work) -> At | None:
    """Return the end that speaks for the source side; it shows what its records show together.

    Cancelled records speak only where all are cancelled. Where none is there any more it is the
    one that spoke last.
    """
    ends = [at for at in work.ends if at.end.side == "source" and at.end.external_id]
    if not ends:
        return None
    bearer = next((at for at in ends if at.base or at.holds), ends[0])
    there = [at for at in ends if at.state in _THERE]
    if not there:
        return bearer
    mirror, zone = work.ctx.mirror, work.ctx.zone
    assert mirror.fold is not None
    on = [at for at in there if _means(mirror, "status", at.shown) != "cancelled"] or there
    on.sort(key=lambda at: (_start(at.shown, zone), at.end.scope, at.end.external_id))
    speaker = on[-1]
    if speaker is not bearer:
        speaker.succeed(bearer)
    speaker.shown = folded(mirror.fold, [at.shown for at in on], speaker.base)
    speaker.waits = all(at.waits for at in there)
    if any(at.state == "live" for at in there):
        speaker.state = "live"
    return speaker


def folded(fold: Fold, records: Sequence[Fields], known: Iterable[str] = ()) -> dict[str, Value]:
    """Return what records, in the order of their starts, show together.

    What the record that speaks has not read is unknown, where another has, or it was `known`. One
    private record makes the whole private: parts of it may be shown.
    """
    names = dict.fromkeys([*known, *(name for one in records for name in one)])
    shown: dict[str, Value] = {}
    for name in names:
        # The exceptions of a series mean nothing without its time.
        rule = fold.rules.get("when" if name == "occurrences" else name, "latest")
        if rule == "list":
            shown[name] = _listed([one[name] for one in records if name in one])
        else:
            shown[name] = records[0 if rule == "earliest" else -1].get(name)
    if any(one.get("private") is True for one in records):
        shown["private"] = True
    return shown


def _listed(values: Sequence[Value]) -> Value:
    """Return all values as one, each once: texts with commas, or by line where one has lines."""
    lists = [one for one in values if isinstance(one, tuple)]
    if lists:
        return tuple(dict.fromkeys(entry for one in lists for entry in one))
    texts = list(dict.fromkeys(one for one in values if isinstance(one, str) and one.strip()))
    if not texts:
        return values[-1] if values else None
    return ("\n" if any("\n" in one for one in texts) else ", ").join(texts)


def _means(mirror: Mirror, field: str, shown: Fields) -> Value:
    """Return a source field in the mirror's terms; None where its map does not know the word."""
    value = shown.get(field)
    line = next((one for one in mirror.lines["source"] if one.slot == field), None)
    if value is None or line is None or line.invert is None:
        return value
    meant = line.invert(value)
    return None if isinstance(meant, Problem) else meant


def _start(shown: Fields, zone: str) -> datetime:
    when = shown.get("when")
    if isinstance(when, Timed):
        return when.begins
    if isinstance(when, AllDay):
        return instant(datetime.combine(when.start, time()), zone)
    return datetime.min.replace(tzinfo=UTC)
