"""The planner: pure and total. It reads like docs/why/sync.md, rule by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.model.records import person_text
from truckroll.sync.existence import (
    Spot,
    add,
    cancelled,
    gated,
    line_up,
    revive,
    source_gone,
    spots,
)
from truckroll.sync.fold import LEFT, astray
from truckroll.sync.merge import merge
from truckroll.sync.need import make, need, take_out
from truckroll.sync.still import still
from truckroll.sync.types import Decision, Hold
from truckroll.sync.work import At, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from truckroll.sync.context import Context
    from truckroll.sync.types import Link


def plan(links: Iterable[Link], ctx: Context) -> Iterator[Decision]:
    """Decide about each link by what its ends show and what was agreed."""
    for link in links:
        yield plan_link(link, ctx)


def plan_link(link: Link, ctx: Context) -> Decision:
    """Decide about one link: what is agreed now, which writes follow, and what waits."""
    if still(link, ctx):
        return Decision(link=link, changed=False)
    return decide(link, ctx)


def decide(link: Link, ctx: Context) -> Decision:
    """Decide about one link by all the rules."""
    work = Work(link, ctx)
    if link.state == "ended":
        _seen_again(work)
        return work.decision()
    if astray(link, ctx.mirror):
        work.look_again(ctx.now)
        return work.decision()
    line_up(work)
    source = work.source
    if source is not None and source.state in ("gone", "released"):
        _source_is_gone(work, source)
    elif not _never_was(work, source):
        weighed = merge(work)
        _place(work, source, weighed)
        _end(work)
    return work.decision()


def _place(work: Work, source: At | None, weighed: frozenset[str]) -> None:
    """Let followers be where they should be, and give every end what it needs."""
    gate = gated(work)
    if gate == "wait":
        return
    where = spots(work)
    if where is not None:
        _leave(work, where, gate)
        if not gate or gate == "follow":
            _arrive(work, where, weighed)
    if gate == "freeze":
        return
    if gate != "remove":
        _originate(work, source)
    if work.source is not None and work.ctx.mirror.fold is None:
        need(work, work.source)
    for at in work.followers:
        need(work, at)


def _never_was(work: Work, source: At | None) -> bool:
    """End what a follower originated and lost again before the source had it."""
    if source is not None and (source.state != "unseen" or source.waits):
        return False
    if any(at.state in ("live", "unreadable") or at.waits for at in work.followers):
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
    label = work.ctx.scope_label(source.end.scope)
    reason = f"deleted in {label}"
    if source.decided == LEFT:
        reason = f"nothing in {label} belongs to it any more"
    elif source.state == "released":
        rule = "unlink"
    for at in work.followers:
        take_out(work, at, rule, reason)
    _end(work)


def _leave(work: Work, where: dict[Spot, str], gate: str) -> None:
    """Take out the followers whose key left, and all of a cancelled or unwanted record."""
    out = ""
    if cancelled(work):
        out = f"cancelled in {_home(work)}"
    elif gate == "remove":
        out = work.holds[-1].detail
    for at in work.followers:
        spot = (at.end.account, at.end.scope)
        if out:
            take_out(work, at, "propagate", out)
        elif spot in where:
            at.rekey(where[spot])
        else:
            says = f"{_not_theirs(at.end.key)}, says {_home(work)}"
            take_out(work, at, work.ctx.mirror.left, says)
    if out:
        where.clear()


def _not_theirs(key: str) -> str:
    return f"no longer {person_text(key)}'s" if key else "it belongs elsewhere now"


def _home(work: Work) -> str:
    return work.ctx.scope_label(work.source.end.scope) if work.source else "its source"


def _origin(work: Work, source: At | None) -> str:
    return work.ctx.scope_label(source.end.scope) if source else ""


def _arrive(work: Work, where: dict[Spot, str], weighed: frozenset[str]) -> None:
    """Make the followers that should be there."""
    source = work.source
    here = {(at.end.account, at.end.scope): at for at in work.followers}
    wanted = []
    for spot, key in where.items():
        at = here.get(spot)
        if at is None:
            if source is not None:
                wanted.append((add(work, "target", spot, key), f"new in {_origin(work, source)}"))
        elif at.state != "live":
            revived = revive(work, at, weighed)
            if revived is not None:
                wanted.append((revived, _back(work, at, _origin(work, source))))
    if wanted:
        make(work, wanted, lambda at: _may_originate(work, source, at))


def _back(work: Work, at: At, home: str) -> str:
    if at.state == "unseen":
        return f"new in {home}"
    if at.end.removed_by_hub:
        return f"back again, says {home}"
    return f"put back: it was deleted in {work.ctx.scope_label(at.end.scope)}"


def _may_originate(work: Work, source: At | None, at: At) -> bool:
    """Tell whether a record that was never there may be made because the source shows it."""
    if source is None or source.end.side in work.ctx.mirror.originates:
        return True
    return source.state != "live" or at.end.generation > 0


def _originate(work: Work, source: At | None) -> None:
    """Create at the source side what a follower showed first, where the mirror allows it."""
    place = work.ctx.source_place
    if source is None and place is not None and "target" in work.ctx.mirror.originates:
        source = add(work, "source", (place.account, place.scope), "")
    if source is not None and source.state == "unseen":
        make(work, [(source, f"new in {_first_label(work)}")], lambda _: True)
        if source.end.external_id:  # it was there already, and may be for more places than this
            work.look_again(work.ctx.now)


def _first_label(work: Work) -> str:
    live = [at for at in work.followers if at.state == "live"]
    return work.ctx.scope_label(live[0].end.scope) if live else "a calendar"


def _end(work: Work) -> None:
    """End a link none of whose ends lives, with nothing open and nothing undone."""
    if work.link.undone or work.steps:
        return
    if any(at.waits or at.state in ("live", "unseen", "unreadable") for at in _standing(work)):
        return
    work.state = "ended"
    work.why = work.why or "none of its records is there any more"
    work.note("ended", work.why)


def _standing(work: Work) -> list[At]:
    return work.followers if work.source is None else [work.source, *work.followers]


def _seen_again(work: Work) -> None:
    """Say of an ended link that one of its records is there again: it is left alone."""
    for at in work.ends:
        if at.state == "live":
            label = work.ctx.scope_label(at.end.scope)
            text = f"it ended here before and is in {label} again; it is left alone"
            work.holds.append(Hold(reason="ended_before", detail=text, end=at.end.id))
