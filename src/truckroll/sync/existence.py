"""Existence: which ends there should be, and what to do about those that are not (SYNC §2-§4)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from truckroll.model.records import same
from truckroll.model.time import AllDay, Timed
from truckroll.recipes.mirror import GateContext, Problem
from truckroll.sync.fold import LEFT, gather, keyless
from truckroll.sync.merge import wanted
from truckroll.sync.types import End, FieldHold, Hold, Side

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from truckroll.model.records import Fields
    from truckroll.recipes.mirror import Gate
    from truckroll.sync.context import Context
    from truckroll.sync.work import At, Work

Spot = tuple[int, int]  # account and scope: where one follower may be
COPIES_AGAIN = timedelta(hours=1)  # what it seemed to be a copy of may be gone then
RULED = frozenset({"propagate", "cancel", "unlink", "recreate"})


def line_up(work: Work) -> None:
    """Find the ends that stand for their place now: per side and spot the latest generation.

    A new end that nothing was done for yet is dropped where its predecessor turns out to be
    live: the decision to make it anew is taken back. An earlier copy that is seen again is held
    `ended_before`, edits included. A decision about an end that lives again is spent. In a mirror
    that folds, one of the source ends speaks for all.
    """
    folds = work.ctx.mirror.fold is not None
    sources: list[At] = []
    places: dict[Spot, list[At]] = {}
    for at in work.ends:
        end = at.end
        if at.state == "gone" and not end.external_id:
            continue  # never made
        if end.side == "target":
            places.setdefault((end.account, end.scope), []).append(at)
        elif not folds:
            sources.append(at)
    if sources:
        if len(sources) > 1:
            sources.sort(key=_generation)
            _take_back(sources)
            _moved_back(sources)
        work.source = _standing(work, sources)
    for here in places.values():
        if len(here) > 1:
            here.sort(key=_generation)
            _take_back(here)
        work.followers.append(_standing(work, here))
    if folds:
        work.source = gather(work)
        if work.source is not None and work.source.state == "live":
            _spent(work.source)


def _generation(at: At) -> int:
    return at.end.generation


def _standing(work: Work, here: list[At]) -> At:
    """Return of the ends of one place the one that stands for it now."""
    if len(here) > 1:
        _seen_before(work, here[:-1])
    at = here[-1]
    if at.holds:
        _let_go(at)
    if at.state == "live":
        _spent(at)
    return at


def _take_back(here: list[At]) -> None:
    while len(here) > 1 and here[-1].state == "unseen" and here[-2].state == "live":
        if here[-1].waits:
            return
        here.pop().become("gone", "taken_back")


def _moved_back(here: list[At]) -> None:
    """Let an earlier record stand that is there again after the later one went."""
    if here[-1].state == "gone" and not here[-1].end.removed_by_hub:
        here.sort(key=lambda at: at.state == "live")


def _seen_before(work: Work, earlier: list[At]) -> None:
    for old in earlier:
        if old.state == "live":
            label = work.ctx.scope_label(old.end.scope)
            text = f"an earlier copy of it is in {label} again; it is left alone"
            work.holds.append(Hold(reason="ended_before", detail=text, end=old.end.id))


def _let_go(at: At) -> None:
    """Release what an undo held, where a person says so."""
    held = at.holds.get("existence")
    if held is not None and held.reason == "undone" and held.answer:
        at.release("existence")


def _spent(at: At) -> None:
    if at.decided in RULED:
        at.become("live", "")
    held = at.holds.get("existence") if at.holds else None
    if held is not None and held.reason != "undone":
        at.release("existence")


def gated(work: Work) -> str:
    """Evaluate the mirror's gates on what is agreed; return what follows for the followers.

    "" (all pass) · "wait" (never synced: the link is held) · freeze · follow · remove.
    """
    mirror, ctx = work.ctx.mirror, work.ctx
    if says := ctx.copies.get(work.link.key):
        work.hold_link("copied_back", says)
        work.look_again(ctx.now + COPIES_AGAIN)
        return "wait"
    gates = mirror.gates
    if mirror.fold is not None and not work.link.fold:
        gates = (("keyed", keyless(mirror.fold)),)
    if not gates:
        return ""
    problem = failing(gates, work.agreed, work.link.key, ctx)
    if problem is None:
        return ""
    work.hold_link(problem.reason, problem.detail, problem.release)
    work.look_again(problem.again_at)
    synced = any(at.state != "unseen" for at in work.followers)
    return mirror.leaving if synced else "wait"


def failing(
    gates: Sequence[tuple[str, Gate]], agreed: Fields, link_key: str, ctx: Context
) -> Problem | None:
    """Return why what is agreed does not pass the gates, by the first that it fails."""
    around = GateContext(
        now=ctx.now,
        zone=ctx.zone,
        people=ctx.first_place,
        overlaps=ctx.overlaps,
        link_key=link_key,
    )
    for _, gate in gates:
        problem = gate(agreed, around)
        if problem is not None:
            return problem
    return None


def spots(work: Work) -> dict[Spot, str] | None:
    """Return where followers should be, with the fan-out key of each; None: not known.

    A set of keys that was not read is not an empty one. A key that cannot be resolved is held,
    and an end that it already has stays.
    """
    mirror = work.ctx.mirror
    if not mirror.per:
        assert mirror.place is not None
        return {(mirror.place.account, mirror.place.scope): ""}
    people = work.agreed.get(mirror.per)
    if not isinstance(people, tuple):
        return None
    found: dict[Spot, str] = {}
    for person in people:
        places = work.ctx.people(person)
        if isinstance(places, Problem):
            work.holds.append(
                Hold(reason=places.reason, detail=places.detail, release=places.release)
            )
            for at in work.followers:
                if at.end.key == person and at.state == "live":
                    found[at.end.account, at.end.scope] = person
            continue
        for place in places:
            found.setdefault((place.account, place.scope), person)
    return found


def cancelled(work: Work) -> bool:
    """Tell whether the agreed status takes the followers out."""
    return work.agreed.get("status") == "cancelled" and work.ctx.mirror.cancelled == "remove"


def source_gone(work: Work, source: At) -> str:
    """Apply the mirror's `deletes` rule; return what to do with the followers, or "" to wait.

    Where the records were not deleted but belong to other links now, `left` is the rule.
    """
    if source.decided == LEFT:
        return work.ctx.mirror.left
    held = source.holds.get("existence")
    rule: str = work.ctx.mirror.deletes
    if source.decided in RULED:
        rule = source.decided
    elif held is not None and held.answer:
        rule = "propagate" if held.answer == "accept" else "unlink"
    if work.link.undone:
        work.hold_link("undone", f"run {work.link.undone} was undone; nothing follows by itself")
        return ""
    label = work.ctx.scope_label(source.end.scope)
    if rule == "ask":
        text = f"it was deleted in {label}; say what becomes of it"
        source.hold("existence", FieldHold(reason="source_deleted", detail=text))
        return ""
    if source.decided != rule:
        source.release("existence")
        source.become(source.state, rule)
        work.note("source_deleted", f"deleted in {label}")
    return rule


def revive(work: Work, at: At, weighed: frozenset[str]) -> At | None:
    """Decide about a wanted follower that is not live; return the end to be made, or None."""
    if at.state == "unseen":
        return at
    held = at.holds.get("existence")
    if at.state == "unreadable" or at.waits or (held is not None and held.reason == "undone"):
        return None
    if at.state == "released":
        _relive(work, at)
        return None
    if at.end.removed_by_hub:
        return _next(work, at)
    if not _put_back(work, at, held, weighed):
        return None
    label = work.ctx.scope_label(at.end.scope)
    work.note("missing_recreated", f"deleted by hand in {label}; put back", at.end.id)
    at.release("existence")
    at.become("gone", "recreate")
    return _next(work, at)


def _put_back(work: Work, at: At, held: FieldHold | None, weighed: frozenset[str]) -> bool:
    """Apply `missing` to a follower that somebody deleted, unless an update stands against it."""
    label = work.ctx.scope_label(at.end.scope)
    rule: str = "accept" if work.ctx.mirror.writes == "once" else work.ctx.mirror.missing
    if held is not None and held.answer:
        rule = "recreate" if held.answer == "restore" else "accept"
    elif rule != "recreate" and work.ctx.mirror.writes != "once" and _updated(work, at, weighed):
        rule = "recreate"
    if rule == "ask":
        text = f"it was deleted by hand in {label}"
        at.hold("existence", FieldHold(reason="missing", detail=text))
    elif rule == "accept":
        at.release("existence")
        at.become("released", "accept")
        work.note("missing_accepted", f"deleted by hand in {label}; taken as meant", at.end.id)
    return rule == "recreate"


def _relive(work: Work, at: At) -> None:
    """Take up an end that we cancelled; one that was let go stays let go, and that is said."""
    if at.decided == "cancel" and at.end.removed_by_hub:
        at.become("live", "")
    elif at.decided in ("unlink", "not_ours"):
        label = work.ctx.scope_label(at.end.scope)
        text = f"it was let go in {label}; it is left alone there"
        work.holds.append(Hold(reason="ended_before", detail=text, end=at.end.id))


def _updated(work: Work, at: At, weighed: frozenset[str]) -> bool:
    """Tell whether an update stands against the deletion of a follower, and wins.

    It must have been weighed in this plan, or the gone end must still have needed something; and
    the visit must end after the deletion was first observed.
    """
    needed = bool(weighed)
    if not needed:
        for line in at.lines:
            want = wanted(work, line)
            if line.slot in at.given and want is not None and not isinstance(want, Problem):
                needed = needed or not same(at.given[line.slot], want)
    gone_at = at.end.gone_at
    return needed and gone_at is not None and _ends(work, gone_at)


def _ends(work: Work, after: datetime) -> bool:
    when = work.agreed.get("when")
    if isinstance(when, Timed):
        return when.rule is not None or when.ends > after
    if isinstance(when, AllDay):
        return when.rule is not None or when.end >= after.date()
    return True


def _next(work: Work, at: At) -> At:
    """Return a new end in the place of one that is gone."""
    return add(work, at.end.side, (at.end.account, at.end.scope), at.end.key)


def add(work: Work, side: Side, spot: Spot, key: str) -> At:
    """Return a new, unseen end on the bench, in the place of what stood there."""
    account, scope = spot
    before = [
        at.end.generation for at in work.ends if at.end.scope == scope and at.end.account == account
    ]
    end = End(
        id=-1 - len([at for at in work.ends if at.end.id < 0]),
        side=side,
        account=account,
        scope=scope,
        external_id="",
        key=key,
        generation=max(before) + 1 if before else 0,
    )
    made = work.at(end)
    work.ends.append(made)
    if side == "source":
        work.source = made
    else:
        work.followers = [
            *[at for at in work.followers if (at.end.account, at.end.scope) != spot],
            made,
        ]
    return made
