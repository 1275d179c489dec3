"""Replies: what came back on our own write is nobody's change (SYNC §7)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from truckroll.kit.errors import AwaitOther, HoldRecord
from truckroll.kit.normal import explains, is_stored, stored
from truckroll.model.records import Fields, Value, as_text, encode_fields, same
from truckroll.sync.types import FieldHold

if TYPE_CHECKING:
    from collections.abc import Callable

    from truckroll.kit.normal import Stored
    from truckroll.sync.types import Step


def refusal(step: Step, says: str, error: type[HoldRecord] = HoldRecord) -> dict[str, FieldHold]:
    """Return the hold of a write that was refused: it ends when something else is to be written.

    That of an AwaitOther ends at the time for the next try, too.
    """
    return {"write": FieldHold(reason=error.code, detail=says, of=_digest(step))}


def refused_before(hold: FieldHold | None, step: Step, *, due: bool) -> bool:
    """Tell whether just this write was refused before and nobody said to try again.

    What awaits another record is tried again when it is `due`.
    """
    if hold is None or hold.answer or (due and hold.reason == AwaitOther.code):
        return False
    return hold.of == _digest(step)


def _digest(step: Step) -> str:
    ordered = dict(sorted(step.fields.items()))
    return hashlib.sha256(step.op.encode() + encode_fields(ordered)).hexdigest()[:16]


class Settled(NamedTuple):
    """How an end stands after a write was answered: what moves, and what is held."""

    base: dict[str, Value]
    given: dict[str, Value]
    holds: dict[str, FieldHold]


def settle(
    sent: Fields,
    back: Fields,
    how: Callable[[str], Stored],
    *,
    before: Fields,
    alone: bool,
    label: str,
) -> Settled:
    """Weigh a reply against what was sent.

    A field that a named normalisation explains is ours as it came back. One that nothing
    explains is held `not_stored`: nobody edited it. `before` is what the record showed before the
    write: a text that still shows it was not cut to it. `alone` says that nobody else can have
    written meanwhile (the write was conditional, or made the record): another field that shows
    something new was then changed by our write itself, and by nobody; one that shows what it
    showed stays as it was weighed, or held.
    """
    base: dict[str, Value] = {}
    given: dict[str, Value] = {}
    holds: dict[str, FieldHold] = {}
    for slot, value in sent.items():
        shown = back.get(slot)
        if slot not in back and (value is None or value in ("", ())):
            given[slot] = value
            continue
        if slot in back:
            base[slot] = shown
        if slot in back and _kept(how(slot), value, shown, before.get(slot)):
            given[slot] = value
            continue
        given[slot] = shown
        text = f"{label} did not keep “{as_text(value)}”; it shows “{as_text(shown)}”"
        holds[slot] = FieldHold(reason="not_stored", detail=text, of=value)
    if alone:
        others = {slot: value for slot, value in back.items() if slot not in sent}
        base.update({s: v for s, v in others.items() if s not in before or not same(v, before[s])})
    return Settled(base, given, holds)


def _kept(how: Stored, sent: Value, shown: Value, before: Value) -> bool:
    """Tell whether a system kept what was sent, in its own form or one that can be named."""
    if is_stored(how, sent, shown):
        return True
    return not same(shown, before) and explains(sent, shown) is not None


def settle_found(
    sent: Fields, before: Fields | None, back: Fields, how: Callable[[str], Stored], *, label: str
) -> Settled:
    """Weigh what a look-up found after a lost answer; somebody may have written since.

    A field that shows the stored form of what was sent is ours. One that shows what was there
    `before` did not land. One that the system did not keep at all is held `not_stored`; anything
    else is somebody's change, to be weighed against what was sent.
    """
    base: dict[str, Value] = {}
    given: dict[str, Value] = {}
    holds: dict[str, FieldHold] = {}
    for slot, value in sent.items():
        shown = back.get(slot)
        if _kept(how(slot), value, shown, (before or {}).get(slot)):
            base[slot], given[slot] = shown, value
        elif before is not None and same(before.get(slot), shown):
            continue
        elif before is None and not (slot in back and shown not in (None, "", ())):
            lost = settle({slot: value}, back, how, before={}, alone=False, label=label)
            base.update(lost.base)
            given.update(lost.given)
            holds.update(lost.holds)
        elif before is None:
            base[slot], given[slot] = stored(how(slot), value), value
    return Settled(base, given, holds)
