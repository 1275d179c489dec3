"""The writes: each conditional, none repeated by itself.

PUT with `If-None-Match: *` makes, with `If-Match` and the merged ETag changes (RFC 4791 section
5.3.2); `If-Match: *` is never sent, since iCloud takes it the wrong way round. Attendees are never
written, so a server with scheduling (RFC 6638) tells nobody of what the hub makes; an event with
attendees of somebody else's is not touched on such a server.
"""

from datetime import UTC, datetime

from truckroll.connectors.caldav import wire
from truckroll.connectors.caldav.reads import read, url_of
from truckroll.connectors.caldav.refusals import conditions, refusal
from truckroll.connectors.caldav.site import no_such_calendar, place_of
from truckroll.kit.contract import (
    Change,
    Draft,
    Missing,
    Removal,
    Reply,
    Scope,
    Seen,
    Session,
)
from truckroll.kit.errors import Gone, HoldRecord, Replan, RetryLater
from truckroll.kit.http import Response
from truckroll.kit.ical.write import Written

_TYPE = "text/calendar; charset=utf-8"
_STORED = {200, 201, 204}
_GONE = {404, 410}
_EXISTS = 412


def choose_id(_scope: Scope, key: str) -> str:
    """Return the name under which a create with this key puts its object."""
    return f"{key}.ics"


async def create(session: Session, scope: Scope, draft: Draft) -> Reply:
    """Make an event; doing it again with the same key finds the first one.

    Raises HoldRecord where another event has the name or the UID, or the server does not take
    the content; RetryLater where there is no room; GiveUp where the calendar is not there.
    """
    sent = wire.made(draft.key, draft.fields, draft.mark, datetime.now(UTC))
    response = await _put(session, scope, draft.id, sent.octets, {"If-None-Match": "*"})
    what = wire.name_of(draft.fields, draft.id)
    if response.status == _EXISTS and not conditions(response):
        return await _already(session, scope, draft, what)
    if response.status in {404, 409} and not conditions(response):
        raise no_such_calendar(session, scope, response.status)
    if response.status not in _STORED:
        raise refusal(session, response, what)
    return _reply(session, scope, draft.id, sent, response)


async def _already(session: Session, scope: Scope, draft: Draft, what: str) -> Reply:
    """Return the object that a create found in its place, if it is our own."""
    there = await read(session, scope, draft.id)
    if isinstance(there, Missing):
        raise RetryLater(
            f"{session.account} says that {what} is there already, but does not show it; it is "
            "tried again later [412]."
        )
    mine = isinstance(there, Seen) and (
        there.mark == draft.mark or there.series == wire.uid_for(draft.key)
    )
    if not mine:
        raise HoldRecord(
            f'Another event lies at {session.account} under the name "{draft.id}", where {what} '
            "would go. Move it or delete it there."
        )
    return Reply(draft.id, there if isinstance(there, Seen) else None)


async def update(session: Session, scope: Scope, change: Change) -> Reply:
    """Change an event in place, on condition that it is still the one that was merged.

    Raises Replan where it is not, Gone where it is not there, HoldRecord where the server does
    not take the content or would tell attendees, RetryLater where it is locked or there is no room.
    """
    what = wire.name_of(change.whole, change.id)
    raw, condition = change.raw, wire.if_match(change.version)
    if condition is None or not raw:
        current = await _unchanged(session, scope, change, what)
        raw, condition = current.raw, wire.if_match(current.version)
    await _tell_nobody(session, scope, raw, what)
    sent = wire.changed(raw, change.fields, change.mark, datetime.now(UTC))
    headers = {"If-Match": condition} if condition else {}
    response = await _put(session, scope, change.id, sent.octets, headers)
    if response.status in _GONE:
        raise _gone(session, what, response.status)
    if response.status not in _STORED:
        raise refusal(session, response, what)
    return _reply(session, scope, change.id, sent, response)


async def cancel(session: Session, scope: Scope, change: Change) -> Reply:
    """Mark an event as cancelled (STATUS:CANCELLED); it stays in the calendar."""
    fields = {**change.fields, "status": "cancelled"}
    return await update(
        session,
        scope,
        Change(
            change.id, change.version, fields, {**change.whole, **fields}, change.raw, change.mark
        ),
    )


async def remove(session: Session, scope: Scope, removal: Removal) -> None:
    """Delete an event, on condition that it is still the one that was merged.

    It not being there is success. Raises Replan where it is another one by now, HoldRecord where
    the server would tell attendees.
    """
    what = f'the event "{removal.id}"'
    await _tell_nobody(session, scope, removal.raw, what)
    condition = wire.if_match(removal.version)
    if condition is None:
        try:
            current = await _unchanged(session, scope, removal, what)
        except Gone:
            return
        condition = wire.if_match(current.version)
    headers = {"If-Match": condition} if condition else {}
    response = await session.http.request(
        "DELETE", url_of(session, scope, removal.id), headers=headers
    )
    if response.status not in {*_STORED, *_GONE}:
        raise refusal(session, response, what)


async def _tell_nobody(session: Session, scope: Scope, raw: bytes, what: str) -> None:
    """Raise HoldRecord where a write would make the server tell attendees (RFC 6638)."""
    if not wire.invites(raw):
        return
    response = await session.http.request("OPTIONS", place_of(session, scope.id).url())
    if "calendar-auto-schedule" in response.headers.get("dav", ""):
        raise HoldRecord(
            f"{wire.begin(what)} has attendees, whom {session.account} would tell of the change, "
            "and nobody is told by accident. Change it there by hand, or take the attendees off."
        )


async def _unchanged(session: Session, scope: Scope, merged: Change | Removal, what: str) -> Seen:
    """Read an object and return it if it is still the merged one; for servers without ETags."""
    current = await read(session, scope, merged.id)
    if isinstance(current, Missing):
        raise _gone(session, what, 404)
    same = isinstance(current, Seen) and (
        wire.same_version(merged.version, current.version)
        or wire.same_content(merged.raw, current.raw)
    )
    if not same or not isinstance(current, Seen):
        raise Replan(f"{wire.begin(what)} changed at {session.account} since it was read.")
    return current


def _gone(session: Session, what: str, status: int) -> Gone:
    return Gone(f"{wire.begin(what)} is not at {session.account} any more [{status}].")


async def _put(
    session: Session, scope: Scope, id_: str, data: bytes, condition: dict[str, str]
) -> Response:
    headers = {"Content-Type": _TYPE, **condition}
    return await session.http.request(
        "PUT", url_of(session, scope, id_), headers=headers, body=data
    )


def _reply(session: Session, scope: Scope, id_: str, sent: Written, response: Response) -> Reply:
    """Return what was stored if the answer surely implies it, else ask for a read-back.

    A strong ETag says that the object is kept as it was sent (RFC 4791 section 5.3.4).
    """
    etag = response.headers.get("etag")
    if not etag or wire.if_match(etag) is None:
        return Reply(id_)
    seen = wire.Reader(session, scope).sent(id_, sent, etag)
    return Reply(id_, seen if isinstance(seen, Seen) else None)
