"""Existence: which ends there should be, and what to do about those that are not (SYNC §2-§4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from truckroll.model.time import AllDay, Timed
from truckroll.recipes.mirror import GateContext, Place, Problem
from truckroll.sync.types import End, FieldHold, Hold

if TYPE_CHECKING:
    from datetime import datetime

    from truckroll.sync.work import At, Work

Spot = tuple[int, int]  # account and scope: where one follower may be


def gated(work: Work) -> str:
    """Evaluate the mirror's gates on what is agreed; return what follows for the followers.

    "" (all pass) · "wait" (never synced: the link is held) · freeze · follow · remove.
    """
    mirror, ctx = work.ctx.mirror, work.ctx
    gate_ctx = GateContext(
        now=ctx.now,
        zone=ctx.zone,
        people=_first_place(work),
        overlaps=ctx.overlaps,
        link_key=work.link.key,
    )
    for _, gate in mirror.gates:
        problem = gate(work.agreed, gate_ctx)
        if problem is None:
            continue
        work.hold_link(problem.reason, problem.detail, problem.release)
        work.look_at = problem.again_at
        synced = any(at.state != "unseen" for at in work.followers())
        return mirror.leaving if synced else "wait"
    return ""


def _first_place(work: Work):  # type: ignore[no-untyped-def] # noqa: ANN202 -- GateContext names the type
    def lookup(person: str) -> Place | Problem:
        found = work.ctx.people(person)
        if isinstance(found, Problem):
            return found
        return found[0] if found else Problem("person_unmapped", f"{person} has no calendar")

    return lookup


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
            for at in work.followers():
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
    """Apply the mirror's `deletes` rule; return what to do with the followers, or "" to wait."""
    answer = source.holds.get("existence")
    rule = work.ctx.mirror.deletes
    if source.decided:
        rule = source.decided  # type: ignore[assignment] # what was journalled was such a rule
    elif answer is not None and answer.answer:
        rule = "propagate" if answer.answer == "accept" else "unlink"
    if work.link.undone:
        work.hold_link("undone", f"run {work.link.undone} was undone; nothing follows by itself")
        return ""
    if rule == "ask":
        label = work.ctx.scope_label(source.end.scope)
        work.hold_link("source_deleted", f"it was deleted in {label}; say what becomes of it")
        return ""
    if source.decided != rule:
        source.become(source.state, rule)
        work.note("source_deleted", f"deleted in {work.ctx.scope_label(source.end.scope)}")
    return rule


def current(work: Work, spot: Spot) -> At | None:
    """Return the end that stands for a spot now: the one of the latest generation.

    A new end that nothing was done for yet is dropped again where its predecessor turns out to
    be live: the decision to make it anew is taken back.
    """
    here = [at for at in work.followers() if (at.end.account, at.end.scope) == spot]
    here.sort(key=lambda at: at.end.generation)
    while len(here) > 1 and here[-1].state == "unseen" and here[-2].state == "live":
        late = here.pop()
        if not late.waits:
            late.become("gone", "taken_back")
    for old in here[:-1]:
        if old.state == "live" and not old.end.removed_by_hub:
            label = work.ctx.scope_label(old.end.scope)
            work.holds.append(
                Hold(
                    reason="ended_before",
                    detail=f"an earlier copy of it is in {label} again; it is left alone",
                    end=old.end.id,
                )
            )
    return here[-1] if here else None


def revive(work: Work, at: At, weighed: frozenset[str]) -> At | None:
    """Decide about a wanted follower that is not live; return the end to be made, or None."""
    end = at.end
    if at.state == "unseen":
        return at
    if at.state == "unreadable" or at.waits:
        return None
    if at.state == "released":
        _relive(at)
        return None
    if end.removed_by_hub:
        return None if "existence" in at.holds else _next(work, at)
    if at.decided == "recreate":
        return None
    label = work.ctx.scope_label(end.scope)
    rule = work.ctx.mirror.missing
    hold = at.holds.get("existence")
    if hold is not None and hold.reason == "undone":
        return None
    if hold is not None and hold.answer:
        rule = "recreate" if hold.answer == "restore" else "accept"
    elif _updated(work, at, weighed):
        rule = "recreate"
    if rule == "ask":
        text = f"it was deleted by hand in {label}"
        at.hold("existence", FieldHold(reason="missing", detail=text))
        return None
    at.release("existence")
    if rule == "accept":
        at.become("released", "accept")
        work.note("missing_accepted", f"deleted by hand in {label}; taken as meant", end.id)
        return None
    work.note("missing_recreated", f"deleted by hand in {label}; put back", end.id)
    at.become("gone", "recreate")
    return _next(work, at)


def _relive(at: At) -> None:
    """Take up an end that we cancelled; one that was let go stays let go."""
    if at.decided == "cancel" and at.end.removed_by_hub:
        at.become("live", "")


def _updated(work: Work, at: At, weighed: frozenset[str]) -> bool:
    """Tell whether an update stands against the deletion of a follower, and wins.

    It must have been weighed in this plan, or the gone end must still have needed something; and
    the visit must end after the deletion was first observed.
    """
    from truckroll.sync.merge import wanted  # noqa: PLC0415 -- merge imports the bench, as this does

    needed = bool(weighed)
    if not needed:
        for line in at.lines:
            want = wanted(work, line)
            if line.slot in at.given and want is not None and not isinstance(want, Problem):
                needed = needed or at.given[line.slot] != want
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
    return add(work, (at.end.account, at.end.scope), at.end.key, at.end.generation + 1)


def add(work: Work, spot: Spot, key: str, generation: int = 0) -> At:
    """Return a new, unseen follower on the bench."""
    end = End(
        id=-1 - sum(at.end.id < 0 for at in work.ends),
        side="target",
        account=spot[0],
        scope=spot[1],
        external_id="",
        key=key,
        generation=generation,
    )
    made = work.at(end)
    work.ends.append(made)
    return made


def rekey(at: At, key: str) -> None:
    """Let an end stand for another key of the same spot."""
    if at.end.key != key:
        at.end = msgspec.structs.replace(at.end, key=key)
        at.dirty = True
