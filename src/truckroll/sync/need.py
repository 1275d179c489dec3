"""Needs and steps: what each end lacks, said as planned writes (SYNC §6)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from truckroll.kit.normal import is_stored
from truckroll.model.records import Fields, Value, as_text, same
from truckroll.model.time import Timed, wall
from truckroll.recipes.mirror import Problem
from truckroll.sync.context import NO_MATCH
from truckroll.sync.match import AMBIGUOUS, create_key
from truckroll.sync.merge import STEADY, merge
from truckroll.sync.reply import refused_before
from truckroll.sync.types import PERSON, FieldHold, Hold, Op, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from truckroll.sync.context import Match
    from truckroll.sync.types import RecordRow
    from truckroll.sync.work import At, Work

CHURN_HOLDS = timedelta(hours=1)
DOUBT_AGAIN = timedelta(minutes=1)
MATCH_AGAIN = timedelta(hours=1)  # the candidates may be mended without this record being touched

_VERBS = {"when": "moved", "people": "reassigned", "status": "status changed"}


def take_out(work: Work, at: At, rule: str, reason: str) -> None:
    """Take a follower out by a rule: propagate · remove · cancel · unlink.

    What is over at the source is cancelled: marked by the rule `cancel`, taken out by
    `propagate`. What is only elsewhere now (`remove`) is deleted.
    """
    held = at.holds.get("existence")
    if held is not None and held.reason == "undone":
        return
    at.planned = True
    if at.state == "unseen" and not at.waits:
        at.become("gone", "never_made")
        return
    if not at.weighable:
        return
    if rule == "unlink":
        at.become("released", "unlink")
        work.note("unlinked", reason, at.end.id)
        return
    if not at.end.owned:
        at.become("released", "not_ours")
        work.note("not_ours", f"{reason}; the event belongs to somebody else and stays", at.end.id)
        return
    marks = rule == "cancel" and "cancel" in at.facts.ops
    if not marks and "remove" not in at.facts.ops:
        _cannot(work, at, "nothing can be removed there")
        return
    op: Op = "delete" if rule == "remove" else "cancel"
    fields: Fields = {"status": "cancelled"} if marks else {}
    _plan(work, at, build(work, at, op, fields, dict(at.shown) | dict(fields), reason))


class Making(NamedTuple):
    """An unseen end that is to be made, with the reason and what it would show."""

    at: At
    reason: str
    whole: Fields


def make(work: Work, wanted_ends: Sequence[tuple[At, str]], may: Callable[[At], bool]) -> None:
    """Plan the creation of unseen ends, save those that are there already or may not be made.

    What is found there is weighed before anything is created: it may change what is agreed.
    """
    making = []
    found = False
    # Through two accounts one calendar is two scopes: with the link's mark, it is its own record.
    own = {(work.link.key, at.end.external_id) for at in work.ends if at.state == "live"}
    for at, reason in wanted_ends:
        whole = None if at.waits else _whole(work, at)
        if whole is None:
            continue
        match = work.ctx.match(work.link.key, at.end.scope, whole)
        if match.sure is not None and (match.sure.mark, match.sure.external_id) in own:
            match = NO_MATCH
        if match.sure is not None and at.end.side == "source" and _is_for_others(work, match.sure):
            match = NO_MATCH
        if match.sure is not None and not match.before:
            attach(work, at, match)
            found = True
        elif match.several or match.before:
            _hold_match(work, at, match)
        elif not may(at):
            _drop(work, at)
        elif "create" not in at.facts.ops:
            _cannot(work, at, "nothing can be created there")
        elif at.end.scope in work.ctx.doubtful:
            _await_doubt(work, at)
        else:
            making.append(Making(at, reason, whole))
    if found:
        merge(work)
        making = [one._replace(whole=_whole(work, one.at) or one.whole) for one in making]
    for at, reason, shown in making:
        _plan(work, at, build(work, at, "create", shown, shown, reason))
        at.dirty |= at.planned


def _is_for_others(work: Work, record: RecordRow) -> bool:
    """Tell whether a source record names people, and none who shows what it would be matched with.

    Matched, that would be taken from whoever made it.
    """
    people = record.fields.get(work.ctx.mirror.per) if work.ctx.mirror.per else None
    if not isinstance(people, tuple):
        return False
    here = {(at.end.account, at.end.scope) for at in work.followers if at.state == "live"}
    known = [places for places in map(work.ctx.people, people) if not isinstance(places, Problem)]
    return not any((place.account, place.scope) in here for places in known for place in places)


def _drop(work: Work, at: At) -> None:
    """Forget a new end: its record is foreign to the other side, and stays so."""
    if at.end.id < 0:
        work.ends.remove(at)
        work.followers.remove(at)


def _plan(work: Work, at: At, step: Step) -> None:
    """Add a step, unless just this write was refused before or the field is churning."""
    held = at.holds.get("write")
    next_try = work.link.look_at
    due = next_try is not None and next_try <= work.ctx.now
    if refused_before(held, step, due=due):
        work.look_again(None if due else next_try)
        return
    churning = work.ctx.churn(at.end.id, step.fields)
    if churning and not (held is not None and held.answer):
        at.hold("write", FieldHold(reason="churn", detail=churning))
        work.look_again(work.ctx.now + CHURN_HOLDS)
        return
    at.release("write")
    work.step(at, step)


def attach(work: Work, at: At, found: Match) -> None:
    """Let an unseen end stand for a record that is surely the same thing."""
    record = found.sure
    assert record is not None
    at.end = msgspec.structs.replace(
        at.end,
        external_id=record.external_id,
        version=record.version,
        owned=record.owned,
        series=record.series,
        shown=record.fields,
        seen_order=record.seen_order,
        changed=record.changed,
    )
    at.shown = record.fields
    at.become("live", "matched")
    label = work.ctx.scope_label(at.end.scope)
    work.note("matched", f"found in {label} already; nothing was created", at.end.id)


def _hold_match(work: Work, at: At, found: Match) -> None:
    label = work.ctx.scope_label(at.end.scope)
    if found.before:
        text = f"it was in {label} before and was let go there; it is not made again by itself"
        reason = "ended_before"
    else:
        names = "; ".join(
            as_text(one.fields.get("title")) or one.external_id for one in found.several
        )
        text = f"several records in {label} may be it: {names}"
        reason = AMBIGUOUS
    work.holds.append(Hold(reason=reason, detail=text, end=at.end.id))
    work.look_again(work.ctx.now + MATCH_AGAIN)


def _await_doubt(work: Work, at: At) -> None:
    """Make nothing where another recipe may just have made the same."""
    label = work.ctx.scope_label(at.end.scope)
    text = f"another recipe's write to {label} has no answer yet; what it made may be the same"
    work.holds.append(Hold(reason="in_doubt", detail=text, end=at.end.id))
    work.look_again(work.ctx.now + DOUBT_AGAIN)


def need(work: Work, at: At) -> None:
    """Plan one update with exactly the fields that an end needs."""
    existence = at.holds.get("existence") if at.holds else None
    if at.planned or not at.weighable or (existence is not None and existence.reason != "undone"):
        return
    shows, given = work.shows(at.end.side), at.given
    if not at.holds and given == shows:
        return
    fields: dict[str, Value] = {}
    for line in at.lines:
        slot, want = line.slot, shows.get(line.slot)
        if want is None and work.agreed.keys().isdisjoint(line.inputs):
            continue  # nobody ever spoke of it, so what stands there was not given by us
        if _needed(work, at, slot, want):
            assert not isinstance(want, Problem)
            fields[slot] = want
    if fields:
        _update(work, at, fields)
    elif "write" in at.holds:
        at.release("write")


def _update(work: Work, at: At, fields: dict[str, Value]) -> None:
    label = work.ctx.scope_label(at.end.scope)
    if not at.end.owned:
        text = _request(work, at, fields)
        work.holds.append(Hold(reason="not_ours", detail=text, end=at.end.id))
    elif "update" not in at.facts.ops or work.ctx.mirror.writes != "always":
        names = ", ".join(sorted(fields))
        work.holds.append(
            Hold(reason="differs", detail=f"{names} differs in {label}", end=at.end.id)
        )
    else:
        whole = (_whole(work, at) or {}) | fields
        _plan(work, at, build(work, at, "update", fields, whole, _why(work, at, fields)))


def _request(work: Work, at: At, fields: Fields) -> str:
    """Say whom to ask for a change of what is not ours, and for which."""
    owner = as_text(at.shown.get("organizer")) or "its owner"
    title, label = as_text(at.shown.get("title")), work.ctx.scope_label(at.end.scope)
    changes = [
        f"{slot} “{as_text(at.shown.get(slot))}” → “{as_text(value)}”"
        for slot, value in fields.items()
    ]
    return (
        f"“{title}” in {label} is not ours, so only {owner} can change it; ask {owner} for:"
        f" {', '.join(changes)}"
    )


def _needed(work: Work, at: At, slot: str, want: Value | Problem | None) -> bool:
    """Tell whether a slot must be written; where it would store the same, it is settled."""
    held = at.holds.get(slot)
    if held is not None and _mended(at, slot, held, want):
        at.release(slot)
        held = None
    if isinstance(want, Problem):
        if held is None:
            at.hold(slot, FieldHold(reason=want.reason, detail=want.detail))
        work.look_again(want.again_at)
        return False
    if slot not in at.facts.writes or held is not None:
        return False
    if want is None and (_empty(at.given.get(slot)) or _empty(at.shown.get(slot))):
        return False  # unknown wipes nothing, save what was given there and has been cleared
    if slot in at.given and same(at.given[slot], want):
        return False
    if slot in at.shown and is_stored(at.facts.how(slot), want, at.shown[slot]):
        at.settle(slot, want)
        return False
    return slot in at.shown or not _empty(want)


def _mended(at: At, slot: str, held: FieldHold, want: Value | Problem | None) -> bool:
    """Tell whether a field's hold has lost its cause, now that it is known what is agreed.

    What the end itself said and no map can carry stays held while it shows it.
    """
    if held.reason in ("not_stored", "undone"):
        return not isinstance(want, Problem) and not same(want, held.of)
    if held.reason in STEADY:
        return False
    return slot not in at.shown or (slot in at.base and same(at.base[slot], at.shown[slot]))


def _empty(value: Value) -> bool:
    return not value and (value is None or value in ("", ()))


def _whole(work: Work, at: At) -> dict[str, Value] | None:
    """Return all that an end should show; None where what it cannot do without is held."""
    shows, writes = work.shows(at.end.side), at.facts.writes
    if Problem in map(type, shows.values()):  # rare, and looked for without a loop of our own
        shows = _sound(work, at, shows)
        if "when" not in shows and "when" in work.shows(at.end.side):
            return None
    return {
        slot: want  # type: ignore[misc] # no problem is left
        for slot, want in shows.items()
        if slot in writes and (want or not _empty(want))  # type: ignore[arg-type] # the same
    }


def _sound(work: Work, at: At, shows: dict[str, Value | Problem]) -> dict[str, Value | Problem]:
    """Return what can be shown; what cannot is held at the end, up to what all else hangs on."""
    sound: dict[str, Value | Problem] = {}
    for slot, want in shows.items():
        if not isinstance(want, Problem):
            sound[slot] = want
            continue
        at.hold(slot, FieldHold(reason=want.reason, detail=want.detail))
        work.look_again(want.again_at)
        if slot == "when":
            break
    return sound


def _cannot(work: Work, at: At, what: str) -> None:
    label = work.ctx.scope_label(at.end.scope)
    work.holds.append(Hold(reason="cannot", detail=f"{label}: {what}", end=at.end.id))


def _why(work: Work, at: At, fields: Fields) -> str:
    """Say in one sentence why an end is updated: whose word it is."""
    sides = {one.end.id: one for one in work.ends}
    for line in at.lines:
        if line.slot in fields and line.inputs:
            by = work.by.get(line.inputs[0])
            speaker = sides.get(by) if by is not None else None
            if by == PERSON:
                return work.ctx.said.get(work.link.key, "") or "decided by a dispatcher"
            if speaker is None or speaker is at:
                return f"brought back to what {work.ctx.scope_label(_home(work, at))} says"
            verb = _VERBS.get(line.inputs[0], "changed")
            if line.slot == "when":
                verb = _other_end(at.shown.get("when"), fields["when"], work.agreed) or verb
            return f"{verb} in {work.ctx.scope_label(speaker.end.scope)}"
    return "brought into step"


def _other_end(old: Value, new: Value, agreed: Fields) -> str:
    """Say what became of a visit whose end alone was moved, "" where more was."""
    if not (isinstance(old, Timed) and isinstance(new, Timed)) or old.rule or new.rule:
        return ""
    if old.begins != new.begins or old.ends == new.ends:
        return ""
    verb = "done" if agreed.get("status") == "done" else "ends"
    how = "early" if new.ends < old.ends else "late"
    how = how if verb == "done" else {"early": "earlier", "late": "later"}[how]
    return f"{verb} {how}, at {wall(new.ends, new.zone)[0]:%H:%M},"


def _home(work: Work, at: At) -> int:
    source = work.source
    return source.end.scope if source is not None else at.end.scope


def build(work: Work, at: At, op: Op, fields: Fields, whole: Fields, reason: str) -> Step:
    """Return a step at an end: `fields` is what is needed, `whole` all that it should show."""
    end, agreed, link = at.end, work.agreed, work.link
    title = whole.get("title") or agreed.get("title") or at.shown.get("title")
    return Step(
        link=link.id,
        end=end.id,
        op=op,
        account=end.account,
        scope=end.scope,
        external_id=end.external_id,
        key=end.key,
        kind=work.ctx.mirror.kind,
        fields=fields,
        whole=whole,
        before=at.shown,
        version=end.version,
        create_key=create_key(link.key, end.scope, end.generation) if op == "create" else "",
        reason=reason,
        notifies=at.facts.notified(op, at.shown),
        title=title if isinstance(title, str) else as_text(title),
        ref=as_text(agreed.get("number")) or link.key,
    )
