"""Undo: a run's done steps in reverse, each planned anew with its own precondition (SYNC §13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from truckroll.model.records import Fields, Value, same
from truckroll.recipes.mirror import Problem
from truckroll.sync.existence import add, line_up
from truckroll.sync.merge import wanted
from truckroll.sync.need import build
from truckroll.sync.types import FieldHold, Outcome, Step
from truckroll.sync.work import At, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truckroll.sync.context import Context
    from truckroll.sync.types import Decision, Link


class Done(NamedTuple):
    """A step of the run that is to be undone, and how it ended."""

    step: Step
    outcome: Outcome


def plan_undo(link: Link, done: Sequence[Done], run: int, ctx: Context) -> Decision:
    """Plan to take back what a run did to one link; `done` in the order it was done.

    Each undone field, or existence, is held until somebody who may speak changes it. What
    somebody changed since is not undone: a note with code `not_undone` says so.
    """
    work = Work(link, ctx)
    line_up(work)
    work.look_again(ctx.now)  # what was read before the undo is still to be weighed
    ends = {at.end.id: at for at in work.ends}
    for step, outcome in reversed(done):
        at = ends.get(step.end)
        if at is None or outcome.kind != "done":
            continue
        if step.op == "create":
            _unmake(work, at, step, outcome, run)
        elif step.op == "update":
            _unwrite(work, at, step, outcome, run)
        else:
            _make_again(work, at, step, run)
    return work.decision()


def _unmake(work: Work, at: At, step: Step, outcome: Outcome, run: int) -> None:
    shown = outcome.shown or {}
    if at.state != "live" or not all(same(at.shown.get(slot), shown[slot]) for slot in shown):
        _not_undone(work, at, step, "it was changed since it was created")
        return
    if "remove" not in at.facts.ops:
        _not_undone(work, at, step, "nothing can be removed there")
        return
    at.hold("existence", FieldHold(reason="undone", detail=f"run {run} was undone", run=run))
    work.step(at, build(work, at, "delete", {}, at.shown, f"undo of run {run}"))


def _unwrite(work: Work, at: At, step: Step, outcome: Outcome, run: int) -> None:
    shown = outcome.shown or {}
    fields: dict[str, Value] = {}
    for slot in step.fields:
        if at.state == "live" and same(at.shown.get(slot), shown.get(slot)):
            fields[slot] = step.before.get(slot)
        else:
            _not_undone(work, at, step, f"{slot} was changed since")
    if not fields:
        return
    for slot in fields:
        _hold(work, at, slot, run)
    whole = {**at.shown, **fields}
    work.step(at, build(work, at, "update", fields, whole, f"undo of run {run}"))


def _make_again(work: Work, at: At, step: Step, run: int) -> None:
    """Make a removed record again from what it showed, held whole."""
    if at.state == "released" and step.op == "cancel":
        at.become("live", "")
        _hold_whole(work, at, run)
        fields = {slot: step.before.get(slot) for slot in step.fields}
        whole = {**at.shown, **fields}
        work.step(at, build(work, at, "update", fields, whole, f"undo of run {run}"))
        _live_again(work, run)
        return
    now = _standing(work, at)
    if now.waits:
        _not_undone(work, at, step, "whether it is there again is not known yet")
        return
    if now.state != "gone":
        _not_undone(work, at, step, "it is there again already")
        return
    again = add(work, at.end.side, (at.end.account, at.end.scope), at.end.key)
    _hold_whole(work, again, run)
    whole = _writable(at, step.before)
    work.step(again, build(work, again, "create", whole, whole, f"undo of run {run}"))
    _live_again(work, run)


def _standing(work: Work, at: At) -> At:
    """Return the end that stands for the place of `at` now: itself, or a later copy."""
    ends = work.followers if at.end.side == "target" else [work.source or at]
    spot = (at.end.account, at.end.scope)
    return next((one for one in ends if (one.end.account, one.end.scope) == spot), at)


def _live_again(work: Work, run: int) -> None:
    source = work.source
    work.state, work.why = "live", ""
    if source is not None and source.state == "gone":
        work.link = msgspec.structs.replace(work.link, undone=run)


def _writable(at: At, fields: Fields) -> dict[str, Value]:
    return {slot: value for slot, value in fields.items() if slot in at.facts.writes}


def _hold_whole(work: Work, at: At, run: int) -> None:
    """Hold existence and every field; an edit releases its field only, never existence."""
    at.hold("existence", FieldHold(reason="undone", detail=f"run {run} was undone", run=run))
    for line in at.lines:
        if line.slot in at.facts.writes:
            _hold(work, at, line.slot, run)


def _hold(work: Work, at: At, slot: str, run: int) -> None:
    line = next((one for one in at.lines if one.slot == slot), None)
    want = wanted(work, line) if line is not None else None
    of = None if isinstance(want, Problem) else want
    text = f"run {run} was undone; it follows again when somebody changes it"
    at.hold(slot, FieldHold(reason="undone", detail=text, run=run, of=of))


def _not_undone(work: Work, at: At, step: Step, why: str) -> None:
    label = work.ctx.scope_label(at.end.scope)
    work.note("not_undone", f"{step.title or step.ref} in {label}: {why}", at.end.id)
