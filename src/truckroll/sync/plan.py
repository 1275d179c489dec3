"""The planner: pure and total. It reads like docs/why/sync.md, rule by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.sync.existence import (
    Spot,
    add,
    cancelled,
    current,
    gated,
    rekey,
    revive,
    source_gone,
    spots,
)
from truckroll.sync.merge import merge
from truckroll.sync.need import make, need, take_out
from truckroll.sync.types import Hold
from truckroll.sync.work import At, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from truckroll.sync.context import Context
    from truckroll.sync.types import Decision, Link


def plan(links: Iterable[Link], ctx: Context) -> Iterator[Decision]:
    """Decide about each link by what its ends show and what was agreed."""
    for link in links:
        yield plan_link(link, ctx)


def plan_link(link: Link, ctx: Context) -> Decision:
    """Decide about one link: what is agreed now, which writes follow, and what waits."""
    work = Work(link, ctx)
    if link.state == "ended":
        _seen_again(work)
        return work.decision()
    source = work.source
    if source is not None and source.state in ("gone", "released"):
        _source_is_gone(work, source)
        return work.decision()
    if _never_was(work, source):
        return work.decision()
    weighed = merge(work)
    gate = gated(work)
    if gate not in ("wait", "freeze"):
        where = {} if gate == "remove" or cancelled(work) else spots(work)
        if where is not None:
            _leave(work, where)
            merge(work) if _arrive(work, where, weighed) else None
        _originate(work, source)
        for at in list(work.ends):
            if at is source or where is None or at.end.state == "live" or at.state == "live":
                need(work, at)
        _end(work)
    return work.decision()


def _never_was(work: Work, source: At | None) -> bool:
    """End what a follower originated and lost again before the source had it."""
    if source is not None and (source.state != "unseen" or source.waits):
        return False
    if any(at.state in ("live", "unreadable") or at.waits for at in work.followers()):
        return False
    if source is not None:
        source.become("gone", "never_made")
    _end(work)
    return True


def _source_is_gone(work: Work, source: At) -> None:
    """Follow the mirror's `deletes` rule with every follower, and end the link when none lives."""
    rule = source_gone(work, source)
    if not rule:
        return
    reason = f"deleted in {work.ctx.scope_label(source.end.scope)}"
    if source.state == "released":
        rule = "unlink"
    for at in work.followers():
        take_out(work, at, rule, reason)
    _end(work)


def _leave(work: Work, where: dict[Spot, str]) -> None:
    """Take out the followers whose key left, or all of a cancelled record."""
    home = work.ctx.scope_label(work.source.end.scope) if work.source else "its source"
    for at in work.followers():
        spot = (at.end.account, at.end.scope)
        if spot in where:
            rekey(at, where[spot])
        elif cancelled(work):
            take_out(work, at, "propagate", f"cancelled in {home}")
        else:
            whose = f"no longer {at.end.key}'s" if at.end.key else "it belongs elsewhere now"
            take_out(work, at, work.ctx.mirror.left, f"{whose}, says {home}")


def _arrive(work: Work, where: dict[Spot, str], weighed: frozenset[str]) -> bool:
    """Make the followers that should be there; return whether one was found there already."""
    source = work.source
    home = work.ctx.scope_label(source.end.scope) if source else ""
    found = False
    for spot, key in where.items():
        at = current(work, spot)
        reason = f"new in {home}"
        if at is None:
            if source is None or not _may_originate(work, source):
                continue
            at = add(work, spot, key)
        elif at.state == "live":
            continue
        else:
            if at.state != "unseen":
                reason = f"put back: it was deleted in {work.ctx.scope_label(spot[1])}"
            revived = revive(work, at, weighed)
            if revived is None:
                continue
            if at.end.removed_by_hub:
                reason = f"back again, says {home}"
            at = revived
        make(work, at, reason)
        found = found or at.state == "live"
    return found


def _may_originate(work: Work, source: At) -> bool:
    return source.end.side in work.ctx.mirror.originates or source.state != "live"


def _originate(work: Work, source: At | None) -> None:
    """Create at the source side what a follower showed first, where the mirror allows it."""
    place = work.ctx.source_place
    if source is not None:
        if source.state == "unseen":
            make(work, source, f"new in {_first_label(work)}")
        return
    if place is None or "target" not in work.ctx.mirror.originates:
        return
    made = add(work, (place.account, place.scope), "")
    work.ends.remove(made)
    made = _as_source(work, made)
    make(work, made, f"new in {_first_label(work)}")


def _as_source(work: Work, made: At) -> At:
    import msgspec  # noqa: PLC0415 -- one use

    at = work.at(msgspec.structs.replace(made.end, side="source"))
    work.ends.append(at)
    return at


def _first_label(work: Work) -> str:
    live = [at for at in work.followers() if at.state == "live"]
    return work.ctx.scope_label(live[0].end.scope) if live else "a calendar"


def _end(work: Work) -> None:
    """End a link none of whose ends lives, with nothing open and nothing undone."""
    if work.link.undone or work.steps:
        return
    if any(at.waits or at.state in ("live", "unseen", "unreadable") for at in work.ends):
        return
    work.state = "ended"
    work.why = work.why or "none of its records is there any more"
    work.note("ended", work.why)


def _seen_again(work: Work) -> None:
    """Say of an ended link that one of its records is there again: it is left alone."""
    for at in work.ends:
        if at.state == "live":
            label = work.ctx.scope_label(at.end.scope)
            text = f"it ended here before and is in {label} again; it is left alone"
            work.holds.append(Hold(reason="ended_before", detail=text, end=at.end.id))
