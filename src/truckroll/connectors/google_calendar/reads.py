"""Reading: calendars whole and by sync token, single events, and series with their visits.

A series and its changed visits are events of their own in every list. They are folded into one
record; in a listing of changes a series of which anything came is asked for as a whole, by its
`iCalUID`, which all of its visits share.
"""

from collections.abc import AsyncIterator

import msgspec

from truckroll.connectors.google_calendar import calls, wire
from truckroll.connectors.google_calendar.event import MARK, SEEN_TYPES, Event, Shown, Whole, show
from truckroll.kit.contract import Item, Missing, Page, Scope, Seen, Session, Unreadable
from truckroll.kit.cursors import Reading, SyncToken
from truckroll.kit.http import Response
from truckroll.kit.paging import Got
from truckroll.kit.xml import read_json

_MOST = 2500
_MOST_PAGES = 20  # of one series: 50,000 visits of their own
_GONE_CALENDAR = 404


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    items: list[msgspec.Raw] = []
    next_page_token: str = ""
    next_sync_token: str = ""


class _Named(msgspec.Struct, frozen=True):
    id: str = ""


async def listing(session: Session, scope: Scope, cursor: str | None) -> AsyncIterator[Page]:
    """Yield the pages of a calendar: all of it, or what changed since the cursor.

    Raises StartOver where the sync token is not known any more (410).
    """
    folding = _Folding(session, scope)

    async def fetch(token: str | None, at: str | None) -> Got:
        page = await _page(session, scope, syncToken=token, pageToken=at)
        for raw in page.items:
            folding.take(raw)
        if not page.next_page_token:
            await folding.finish(changes=token is not None)
        return Got(
            folding.ready(),
            next=page.next_page_token,
            cursor=page.next_sync_token,
            rows=len(page.items),
        )

    types = ",".join(SEEN_TYPES)
    async for page in SyncToken(under=types).pages(Reading(session.system), fetch, cursor):
        yield page


async def _page(session: Session, scope: Scope, **query: str | int | None) -> _Page:
    wanted = {"maxResults": _MOST, "eventTypes": SEEN_TYPES, **query}
    path, whom = calls.events_path(scope), calls.whom(scope)
    response = await calls.ask(session, path, whom=whom, **wanted)
    if response.status == _GONE_CALENDAR:
        raise calls.no_such_calendar(session, scope, response.status)
    return read_json(calls.data_of(session, response), session.system, _Page)


class _Folding:
    """Brings what a listing shows of a series together."""

    def __init__(self, session: Session, scope: Scope) -> None:
        self._session = session
        self._scope = scope
        self._ready: list[Item] = []
        self._series: dict[str, Shown] = {}
        self._visits: dict[str, list[Shown]] = {}
        self._gone: set[str] = set()

    def take(self, raw: msgspec.Raw) -> None:
        """Take an event of a page."""
        try:
            one = show(raw)
        except msgspec.ValidationError as error:
            self._ready.append(self._unreadable(raw, str(error)))
            return
        event = one.event
        if event.recurring_event_id:
            self._visits.setdefault(event.recurring_event_id, []).append(one)
        elif event.deleted:
            self._gone.add(event.id)
            self._ready.append(Missing(event.id))
        elif event.recurrence:
            self._series[event.id] = one
        elif event.event_type in SEEN_TYPES:
            self._ready.append(wire.item(self._session, self._scope, Whole(one)))

    def ready(self) -> tuple[Item, ...]:
        """Return what is whole by now, once."""
        items, self._ready = tuple(self._ready), []
        return items

    async def finish(self, *, changes: bool) -> None:
        """Make records of the series. Of `changes` each series is asked for as a whole."""
        for id_ in dict.fromkeys((*self._series, *self._visits)):
            if id_ in self._gone:
                continue
            main, visits = self._series.get(id_), tuple(self._visits.get(id_, ()))
            if changes:
                found = await self._asked(id_, main, visits)
                main, visits = (found.main, found.visits) if found else (None, visits)
            if main is not None:
                self._ready.append(wire.item(self._session, self._scope, Whole(main, visits)))
            else:
                self._ready += [self._alone(one) for one in visits]

    async def _asked(self, id_: str, main: Shown | None, visits: tuple[Shown, ...]) -> Whole | None:
        uid = next(
            (one.event.ical_uid for one in (main, *visits) if one and one.event.ical_uid), ""
        )
        if not uid:
            there = await _get(self._session, self._scope, id_)
            return await series(self._session, self._scope, there) if there else None
        return await _by_uid(self._session, self._scope, id_, uid)

    def _alone(self, one: Shown) -> Item:
        """Return a visit whose series is not in this calendar (an invitation to one visit)."""
        if one.event.deleted:
            return Missing(one.event.id)
        return wire.item(self._session, self._scope, Whole(one))

    def _unreadable(self, raw: msgspec.Raw, why: str) -> Unreadable:
        try:
            id_ = msgspec.json.decode(raw, type=_Named).id
        except msgspec.DecodeError:
            id_ = ""
        said = f"It has another form than events have ({why})"
        return wire.unreadable(self._session, self._scope, id_, said, bytes(raw))


async def read(session: Session, scope: Scope, id_: str) -> Item:
    """Return an event as it is now (a series with its visits); Missing where it is deleted."""
    try:
        found = await whole(session, scope, id_)
    except msgspec.ValidationError as error:
        said = f"It has another form than events have ({error})"
        return wire.unreadable(session, scope, id_, said, b"")
    return Missing(id_) if found is None else wire.item(session, scope, found)


async def whole(session: Session, scope: Scope, id_: str) -> Whole | None:
    """Return an event with its visits, None where it is deleted."""
    there = await _get(session, scope, id_)
    if there is None or there.event.deleted:
        return None
    return await series(session, scope, there)


async def series(session: Session, scope: Scope, main: Shown) -> Whole | None:
    """Return an event that was just shown with its visits, None where it is deleted."""
    if not main.event.recurrence or main.event.deleted:
        return None if main.event.deleted else Whole(main)
    return await _by_uid(session, scope, main.event.id, main.event.ical_uid) or Whole(main)


async def _by_uid(session: Session, scope: Scope, id_: str, uid: str) -> Whole | None:
    """Return a series and its visits by the iCalUID that they share."""
    main: Shown | None = None
    visits: list[Shown] = []
    at: str | None = None
    for _ in range(_MOST_PAGES):
        page = await _page(session, scope, iCalUID=uid, pageToken=at)
        for one in map(show, page.items):
            if one.event.id == id_:
                main = one
            elif one.event.recurring_event_id == id_:
                visits.append(one)
        at = page.next_page_token
        if not at:
            break
    return None if main is None or main.event.deleted else Whole(main, tuple(visits))


async def there(session: Session, scope: Scope, id_: str) -> Event | None:
    """Return an event as it is now, also a deleted one; None where there never was one."""
    found = await _get(session, scope, id_)
    return found.event if found else None


async def _get(session: Session, scope: Scope, id_: str) -> Shown | None:
    response = await calls.ask(session, calls.events_path(scope, id_), whom=calls.whom(scope))
    if response.status in calls.DELETED:
        # A calendar that the account may not see any more is answered alike (sheet, section 13),
        # and says nothing about its events.
        await _page(session, scope, maxResults=1)
        return None
    return show(msgspec.Raw(_event_of(session, response, f'the event "{id_}"')))


def _event_of(session: Session, response: Response, record: str) -> bytes:
    body = calls.data_of(session, response, record)
    read_json(body, session.system, _Named)
    return body


async def find(session: Session, scope: Scope, mark: str) -> Item | None:
    """Return the event with the hub's mark, or None."""
    page = await _page(session, scope, privateExtendedProperty=f"{MARK}={mark}")
    for one in map(show, page.items):
        if not one.event.deleted and not one.event.recurring_event_id:
            found = await read(session, scope, one.event.id)
            return found if isinstance(found, Seen) else None
    return None


async def visit_of(session: Session, scope: Scope, id_: str, original: str) -> Shown | None:
    """Return the visit of a series at an original start, whether it was changed before or not."""
    response = await calls.ask(
        session,
        calls.events_path(scope, id_, "instances"),
        whom=calls.whom(scope),
        originalStart=original,
        maxResults=1,
        showDeleted="true",
    )
    page = read_json(calls.data_of(session, response, "the series"), session.system, _Page)
    return next(map(show, page.items), None)
