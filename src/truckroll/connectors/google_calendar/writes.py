"""The writes: each conditional, none repeated by itself, and nobody is told by default.

What a record says of one visit of its series is an event of its own here; the visits are brought
in line after the series itself, each on condition that it is still as it was read.
"""

from typing import Any

import msgspec

from truckroll.connectors.google_calendar import calls, reads, sharing, wire
from truckroll.connectors.google_calendar.event import Event, Shown, Whole, etag_of, kept, show
from truckroll.connectors.google_calendar.when import changed as changed_visits
from truckroll.connectors.google_calendar.when import original_start
from truckroll.kit.contract import Change, Draft, Removal, Reply, Scope, Seen, Session
from truckroll.kit.creates import key_id
from truckroll.kit.errors import Gone, HoldRecord, OutcomeUnknown, Replan, RetryLater
from truckroll.kit.http import Response
from truckroll.model.records import Fields, Occurrences, same
from truckroll.model.recurrence import visit_at
from truckroll.model.time import AllDay, Timed


def choose_id(_scope: Scope, key: str) -> str:
    """Return the event id of a create with this key (base32hex, 26 letters)."""
    return key_id(key)


async def create(session: Session, scope: Scope, draft: Draft) -> Reply:
    """Make an event; doing it again with the same key finds the first one, or makes it anew.

    Raises HoldRecord where the id is another event's or the content is refused, GiveUp where the
    calendar is not there.
    """
    what = wire.name_of(draft.fields, draft.id)
    body = wire.made(draft.fields, draft.mark, what)
    await sharing.ensure(session, scope)
    path, sent = calls.events_path(scope), {"id": draft.id, **body}
    response = await _send(session, scope, "POST", path, sent)
    if response.status == calls.CONFLICT:
        response = await _again(session, scope, draft, body, what)
    if response.status == 404:  # noqa: PLR2004 -- statuses are best known by number
        raise calls.no_such_calendar(session, scope, response.status)
    event = show(msgspec.Raw(calls.data_of(session, response, what)))
    return await _settled(session, scope, draft.fields, event)


async def _again(
    session: Session, scope: Scope, draft: Draft, body: dict[str, Any], what: str
) -> Response:
    """Return our own event under an id that is taken, or bring it back to life.

    An id stays taken after its event was deleted (sheet, section 10); replaced as a whole with
    the status "confirmed" the event is there again, with nothing of what it was.
    """
    found = await reads.there(session, scope, draft.id)
    if found is None:
        raise RetryLater(
            f"{session.system} says that {what} is there already, but does not show it; it is "
            "tried again later [409]."
        )
    if found.mark != draft.mark and not (found.deleted and not found.mark):
        raise HoldRecord(
            f'Another event lies at {session.system} under the id "{draft.id}", where {what} '
            "would go. Move it or delete it there."
        )
    path, version = calls.events_path(scope, draft.id), found.etag or None
    if found.deleted:
        return await _send(session, scope, "PUT", path, body, version)
    return await calls.ask(session, path, whom=calls.whom(scope))


async def update(session: Session, scope: Scope, change: Change) -> Reply:
    """Change an event in place, on condition that it is still the one that was merged.

    Raises Replan where it is not, Gone where it is not there, HoldRecord where the content is
    refused or somebody else organises it.
    """
    what = wire.name_of(change.whole, change.id)
    known = kept(change.raw)
    if known is None or (known.visits or "occurrences" in change.fields):
        known = await _unchanged(session, scope, change, what)
    body = wire.changed(change.fields, change.whole, what, there=known.main.event)
    if change.mark:
        body = wire.with_mark(body, change.mark)
    if not body:
        return Reply(change.id)
    path = calls.events_path(scope, change.id)
    response = await _send(session, scope, "PATCH", path, body, etag_of(change.version))
    event = show(msgspec.Raw(calls.data_of(session, response, what)))
    return await _settled(session, scope, change.whole, event, known)


async def _settled(
    session: Session, scope: Scope, fields: Fields, main: Shown, before: Whole | None = None
) -> Reply:
    """Bring the visits of a series in line after the series, and return what is there now."""
    given = fields.get("occurrences")
    wanted = given if isinstance(given, Occurrences) and main.event.recurrence else Occurrences()
    found: Whole | None = Whole(main)
    if changed_visits(wanted) or (before is not None and before.visits):
        await _align(session, scope, main, {**fields, "occurrences": wanted})
        found = await reads.series(session, scope, main)
    elif before is not None and main.event.recurrence:
        # No answer about a series shows whether one of its visits was changed meanwhile.
        found = await reads.series(session, scope, main)
    seen = None if found is None else wire.item(session, scope, found)
    return Reply(main.event.id, seen if isinstance(seen, Seen) else None)


async def _align(session: Session, scope: Scope, main: Shown, fields: Fields) -> None:
    """Change the visits that differ from what the record says of them.

    Each change says all that it is about, so one whose answer was lost is made again by itself
    with the next attempt.
    """
    id_ = main.event.id
    what = wire.name_of(fields, id_)
    found = await reads.series(session, scope, main)
    seen = None if found is None else wire.item(session, scope, found)
    if found is None or not isinstance(seen, Seen):
        raise Gone(f"{_begin(what)} is not at {session.system} any more.")
    when, shown = seen.fields["when"], seen.fields["occurrences"]
    if not isinstance(when, Timed | AllDay) or not isinstance(shown, Occurrences):
        return
    wanted = fields["occurrences"]
    assert isinstance(wanted, Occurrences)
    visits = wire.visits_by_key(found, when)
    for key in sorted({*changed_visits(wanted), *changed_visits(shown), *visits}):
        one, there = wanted.by_start.get(key), visits.get(key)
        if one is not None and one.cancelled:
            if there is not None and not there.event.deleted:
                await _change_visit(session, scope, there, {"status": "cancelled"}, what)
            continue
        own = {**seen.fields, "when": visit_at(when, key), **(one.fields if one else {})}
        if there is None:
            there = await reads.visit_of(session, scope, id_, original_start(when, key))
        if there is None:
            raise HoldRecord(
                f"The series of {what} at {session.system} has no visit on {key}, which was "
                "changed elsewhere. Look at its rule there."
            )
        is_ = wire.visit_fields(there.event, session.zone, ours=found.ours)
        differs = {n: own[n] for n in wire.VISIT if n in own and not same(own[n], is_.get(n))}
        if differs:
            body = wire.changed(differs, own, what, there=there.event)
            body |= {"status": "tentative" if own.get("status") == "tentative" else "confirmed"}
            await _change_visit(session, scope, there, body, what)


async def _change_visit(
    session: Session, scope: Scope, visit: Shown, body: dict[str, Any], what: str
) -> None:
    path, version = calls.events_path(scope, visit.event.id), visit.event.etag or None
    try:
        response = await _send(session, scope, "PATCH", path, body, version)
    except OutcomeUnknown as doubt:
        raise RetryLater(doubt.says) from None
    calls.refuse(session, response, what)


async def remove(session: Session, scope: Scope, removal: Removal) -> None:
    """Delete an event, on condition that it is still the one that was merged.

    It not being there is success. Raises Replan where it is another one by now.
    """
    what = f'the event "{removal.id}"'
    path = calls.events_path(scope, removal.id)
    known = kept(removal.raw)
    if known is not None and known.visits:
        try:
            await _unchanged(session, scope, removal, what)
        except Gone:
            return
    version = etag_of(removal.version)
    response = await _send(session, scope, "DELETE", path, None, version)
    if response.status in calls.DELETED:
        return
    if response.status == calls.STALE and _is_gone(await reads.there(session, scope, removal.id)):
        return
    calls.refuse(session, response, what)


def _is_gone(event: Event | None) -> bool:
    return event is None or event.deleted


async def _unchanged(session: Session, scope: Scope, merged: Change | Removal, what: str) -> Whole:
    """Return a series with its visits if it is still as merged: no ETag covers all of them."""
    current = await reads.whole(session, scope, merged.id)
    if current is None:
        raise Gone(f"{_begin(what)} is not at {session.system} any more.")
    if current.version != merged.version:
        raise Replan(f"{_begin(what)} changed at {session.system} since it was read.")
    return current


def _begin(what: str) -> str:
    return what[:1].upper() + what[1:]


async def _send(
    session: Session,
    scope: Scope,
    method: str,
    path: str,
    body: object,
    version: str | None = None,
) -> Response:
    return await calls.send(
        session,
        method,
        path,
        body,
        version=version,
        whom=calls.whom(scope),
        **calls.updates(session),
    )
