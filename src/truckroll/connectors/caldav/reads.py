"""Reading one calendar object."""

from truckroll.connectors.caldav import dav, wire
from truckroll.connectors.caldav.refusals import said
from truckroll.connectors.caldav.site import place_of
from truckroll.kit.contract import Item, Missing, Scope, Session, Unreadable
from truckroll.kit.errors import RetryLater
from truckroll.kit.http import expect

_CALENDAR = {"text/calendar", "text/x-vcalendar", "text/plain", "application/octet-stream"}
_OK = 200
_GONE = {404, 410}


def url_of(session: Session, scope: Scope, id_: str) -> str:
    """Return the address of a record."""
    place = place_of(session, scope.id)
    return place.url(dav.path_for(place.path, id_))


async def read(session: Session, scope: Scope, id_: str) -> Item:
    """Return an object as it is now (GET); Missing where it is not there (404, 410).

    Unreadable where the server does not show it; raises RetryLater where half of it came.
    """
    # Packed answers get a weak ETag (Cyrus, nginx), and a weak one is no condition for a write.
    headers = {"Accept": "text/calendar", "Accept-Encoding": "identity"}
    response = await session.http.request("GET", url_of(session, scope, id_), headers=headers)
    if response.status in _GONE:
        return Missing(id_)
    if 400 <= response.status < 500:  # noqa: PLR2004 -- the client's fault by definition
        return Unreadable(
            id_,
            f'The event "{id_}" in the calendar "{scope.title}" is not shown by '
            f"{session.account}{said(response)}; look at it there [{response.status}].",
        )
    expect(response, _CALENDAR, session.account, wanted="an event")
    if response.status != _OK or not _whole(response.body):
        raise RetryLater(
            f'{session.account} did not give the event "{id_}" of the calendar "{scope.title}" '
            f"whole; it is asked for again [{response.status}]."
        )
    return wire.Reader(session, scope).item(id_, response.body, response.headers.get("etag"))


def _whole(body: bytes) -> bool:
    """Tell whether a body that begins as a calendar also ends as one."""
    text = body.strip().upper()
    return not text.startswith(b"BEGIN:") or text.endswith((b"END:VCALENDAR", b"END:VEVENT"))
