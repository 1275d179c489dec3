"""Reading events: filters, pages, sync tokens, occurrences (google-calendar, sections 4 to 6).

Choices where the sheet is silent: a listing that was filtered by what no sync token may go with
(or sorted) ends without one; a token carries no time window, so an incremental read also shows
what lies outside of the first read's window; tokens live for 30 days.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from truckroll_sim.google_calendar.errors import invalid, refusal
from truckroll_sim.google_calendar.recurrence import starts
from truckroll_sim.google_calendar.times import Doc, instant_of, moment, zone_of
from truckroll_sim.google_calendar.views import Reader, etag_of, event_shown, tombstone
from truckroll_sim.google_calendar.world import Book, Event, World, occurrence
from truckroll_sim.kit.calls import Call
from truckroll_sim.kit.clock import stamp
from truckroll_sim.kit.paging import keyed, seal, unseal
from truckroll_sim.kit.state import Version

_NOT_WITH_TOKEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMax",
    "timeMin",
    "updatedMin",
)
_WITHOUT_TOKEN = tuple(name for name in _NOT_WITH_TOKEN if name not in ("timeMin", "timeMax"))
_SAME_WITH_TOKEN = ("singleEvents", "showDeleted", "eventTypes", "showHiddenInvitations")
TOKEN_LIFE = timedelta(days=30)
_DEFAULT_SIZE, _LARGEST_SIZE = 250, 2500
_LONGEST = timedelta(days=36500)
_SEARCHED = ("summary", "description", "location")


@dataclass(frozen=True)
class Query:
    """What a listing asks for, read from its parameters."""

    single: bool
    deleted: bool | None
    time_min: datetime | None
    time_max: datetime | None
    updated_min: datetime | None
    order: str | None
    uid: str | None
    private: tuple[tuple[str, str], ...]
    shared: tuple[tuple[str, str], ...]
    text: str | None
    types: tuple[str, ...]
    since: int = 0

    def takes(self, book: Book, version: Version[Event]) -> bool:
        """Tell whether an event passes the filters other than those of time and deletion."""
        fields = book.whole(version.row).fields
        extended = fields.get("extendedProperties") or {}
        private, shared = extended.get("private") or {}, extended.get("shared") or {}
        return (
            version.revision > self.since
            and self.uid in (None, version.row.uid)
            and all(private.get(key) == value for key, value in self.private)
            and all(shared.get(key) == value for key, value in self.shared)
            and (not self.types or fields.get("eventType", "default") in self.types)
            and (not self.text or _mentions(fields, self.text))
            and (self.updated_min is None or version.row.updated >= self.updated_min)
        )

    def meets(self, book: Book, event: Event) -> bool:
        """Tell whether a whole event lies in the window: both bounds are exclusive."""
        if self.time_min is None and self.time_max is None:
            return True
        start, end = book.span(event)
        return (self.time_min is None or end > self.time_min) and (
            self.time_max is None or start < self.time_max
        )


def read_query(call: Call, now: datetime) -> Query:
    """Return the query of a call; refuses bad values (400) and too old an `updatedMin` (410)."""
    time_min = _instant(call, "timeMin")
    time_max = _instant(call, "timeMax")
    if time_min and time_max and time_min >= time_max:
        raise refusal(400, "timeRangeEmpty", location="timeMax")
    updated_min = _instant(call, "updatedMin")
    if updated_min and updated_min < now - TOKEN_LIFE:
        raise refusal(410, "updatedMinTooLongAgo", location="updatedMin")
    order = call.one("orderBy")
    single = flag(call, "singleEvents") or False
    if order not in (None, "startTime", "updated"):
        raise invalid("Invalid value for: orderBy", "orderBy")
    if order == "startTime" and not single:
        raise refusal(
            400,
            "badRequest",
            "The requested ordering is not available for the particular query.",
            location="orderBy",
        )
    return Query(
        single=single,
        deleted=flag(call, "showDeleted"),
        time_min=time_min,
        time_max=time_max,
        updated_min=updated_min,
        order=order,
        uid=call.one("iCalUID"),
        private=_pairs(call, "privateExtendedProperty"),
        shared=_pairs(call, "sharedExtendedProperty"),
        text=call.one("q"),
        types=tuple(call.many("eventTypes")),
    )


def flag(call: Call, name: str) -> bool | None:
    """Return a query parameter that is true or false, None if it was not sent."""
    word = call.one(name)
    if word is None:
        return None
    if word.lower() not in ("true", "false"):
        raise invalid(f"Invalid value for: {name}", name)
    return word.lower() == "true"


def size_of(call: Call, default: int = _DEFAULT_SIZE, largest: int = _LARGEST_SIZE) -> int:
    """Return the page size that a call asks for, cut to the largest."""
    word = call.one("maxResults")
    if word is None:
        return default
    if not word.isdecimal() or int(word) < 1:
        raise invalid("Invalid value for: maxResults", "maxResults")
    return min(int(word), largest)


def list_events(world: World, book: Book, reader: Reader, call: Call) -> Doc:
    """Return a page of a calendar's events."""
    now = world.kit.clock.now()
    query = read_query(call, now)
    lag = world.kit.faults.lag_seconds(call)
    same = {name: sorted(call.many(name)) for name in _SAME_WITH_TOKEN}
    token = call.one("syncToken")
    if token is not None:
        query = _since(world, book, call, query, token, same)
    place = None
    if (page_token := call.one("pageToken")) is not None:
        place = _place(page_token, book.id)
        query = replace(query, since=place["since"], deleted=query.deleted or bool(place["since"]))
    horizon = place["horizon"] if place else book.events.horizon(lag)
    after = place["after"] if place else None
    found = list(_found(world, book, query, lag))
    page = keyed(found, after, size_of(call), lambda one: _key(book, query, one))
    doc = head(book, reader, world)
    doc["items"] = [_item(book, query, one, reader) for one in page.items]
    if page.more:
        last = _key(book, query, page.items[-1])
        place = {"of": book.id, "since": query.since, "horizon": horizon, "after": last}
        doc["nextPageToken"] = seal(place)
    elif not any(call.many(name) for name in _WITHOUT_TOKEN):
        doc["nextSyncToken"] = seal(
            {"of": book.id, "since": horizon, "same": same, "at": now.timestamp()}
        )
    return doc


def list_instances(
    world: World, book: Book, series: Version[Event], reader: Reader, call: Call
) -> Doc:
    """Return a page of a series' occurrences; of anything else, that alone."""
    query = read_query(call, world.kit.clock.now())
    wanted = call.one("originalStart")
    found = []
    if series.row.live and series.row.fields.get("recurrence"):
        before = query.time_max or world.horizon()
        found = book.occurrences(series, before, cancelled=bool(query.deleted))
    elif series.row.live:
        found = [series]
    found = [one for one in found if query.meets(book, book.whole(one.row))]
    if wanted is not None:
        at = instant_of(wanted, "originalStart") if "T" in wanted else wanted
        found = [one for one in found if _original(one.row) == at]
    after = _place(token, book.id)["after"] if (token := call.one("pageToken")) else None
    by_start = replace(query, order="startTime")
    page = keyed(found, after, size_of(call), lambda one: _key(book, by_start, one))
    doc = head(book, reader, world)
    doc["items"] = [event_shown(book, one, reader) for one in page.items]
    if page.more:
        last = _key(book, by_start, page.items[-1])
        doc["nextPageToken"] = seal({"of": book.id, "since": 0, "horizon": 0, "after": last})
    return doc


def head(book: Book, reader: Reader, world: World) -> Doc:
    """Return what a listing says of its calendar."""
    newest = max((one.updated for one in book.events.rows()), default=world.kit.clock.now())
    doc = {
        "kind": "calendar#events",
        "etag": etag_of(book.events.horizon()),
        "summary": book.fields["summary"],
        "updated": stamp(newest),
        "timeZone": book.zone,
        "accessRole": reader.role,
        "defaultReminders": [],
    }
    if description := book.fields.get("description"):
        doc["description"] = description
    return doc


def zone_for(call: Call, book: Book) -> str:
    """Return the zone in which an answer shows times; refuses an unknown one (400)."""
    if (name := call.one("timeZone")) is None:
        return book.zone
    zone_of(name, "response")
    return name


def _since(world: World, book: Book, call: Call, query: Query, token: str, same: Doc) -> Query:
    """Return the query of an incremental read (section 5)."""
    for name in _NOT_WITH_TOKEN:
        if call.many(name):
            raise refusal(
                400, "badRequest", f"{name} cannot be used with syncToken.", location=name
            )
    if query.deleted is False:
        raise refusal(
            400,
            "badRequest",
            "showDeleted cannot be false with syncToken.",
            location="showDeleted",
        )
    sealed = read_token(world, call, token, book.id)
    if sealed["same"] != same and sealed["same"] | {"showDeleted": ["true"]} != same:
        raise refusal(
            400,
            "badRequest",
            "Parameters must be those of the initial synchronization.",
            location="syncToken",
        )
    return replace(query, since=sealed["since"], deleted=True)


def read_token(world: World, call: Call, token: str, of: str) -> Doc:
    """Return what a sync token holds; refuses one that is void or not of this listing (410)."""
    stale = refusal(410, "fullSyncRequired", location="syncToken")
    try:
        sealed = unseal(token)
    except ValueError:
        raise stale from None
    if not isinstance(sealed, dict) or sealed.get("of") != of or "since" not in sealed:
        raise stale
    age = world.kit.clock.now().timestamp() - sealed["at"]
    if age > TOKEN_LIFE.total_seconds() or world.kit.faults.strikes("cursor", call):
        raise stale
    return sealed


def _place(token: str, of: str) -> Doc:
    try:
        sealed = unseal(token)
    except ValueError:
        sealed = None
    if not isinstance(sealed, dict) or sealed.get("of") != of or "after" not in sealed:
        raise invalid("Invalid page token value.", "pageToken")
    return sealed


def _found(world: World, book: Book, query: Query, lag: float) -> Iterator[Version[Event]]:
    """Yield the events that a query asks for, in no particular order."""
    with_deleted = bool(query.deleted or query.updated_min)
    for version in book.events.versions(lag):
        event = version.row
        if event.series:
            yield from _exceptions(book, query, version, with_deleted=with_deleted)
        elif not event.live:
            if with_deleted and query.takes(book, version) and not _is_expanded(query, event):
                yield version
        elif query.single and event.fields.get("recurrence"):
            continue
        elif query.takes(book, version) and _series_meets(book, query, version):
            yield version
    if query.single:
        for version in book.events.versions(lag):
            if version.row.series is None:
                yield from _expanded(world, book, query, version)


def _is_expanded(query: Query, event: Event) -> bool:
    # With singleEvents a deleted series shows as its occurrences, never itself.
    return query.single and bool(event.fields.get("recurrence"))


def _exceptions(
    book: Book, query: Query, version: Version[Event], *, with_deleted: bool
) -> Iterator[Version[Event]]:
    if query.single:
        return  # they come with their series
    event = version.row
    if not query.takes(book, version):
        return
    if not book.stands(event):
        if query.since and with_deleted:
            yield replace(version, row=replace(event, status="cancelled"))
    elif not event.live or query.meets(book, book.whole(event)):
        # Cancelled occurrences of a live series are always in, without singleEvents.
        yield version


def _expanded(
    world: World, book: Book, query: Query, series: Version[Event]
) -> Iterator[Version[Event]]:
    """Yield the occurrences of a series for a listing with singleEvents.

    What there was at the last read and no longer is, is told as cancelled: occurrences that the
    rule no longer has, and the event itself that became a series.
    """
    before = query.time_max or world.horizon()
    here: set[str] = set()
    if _recurs(series.row):
        for one in book.occurrences(series, before, cancelled=bool(query.deleted)):
            here.add(one.key)
            newest = replace(one, revision=max(one.revision, series.revision))
            if not query.takes(book, newest):
                continue
            if not one.row.live or query.meets(book, book.whole(one.row)):
                yield one
    known = book.events.version_at(series.key, query.since)
    if not query.since or series.revision <= query.since or known is None or not known.row.live:
        return
    if _recurs(known.row):
        gone = [one for one in book.occurrences(known, before) if one.key not in here]
    else:
        gone = [known] if _recurs(series.row) else []
    for one in gone:
        yield replace(one, row=replace(one.row, status="cancelled"))


def _recurs(event: Event) -> bool:
    return event.live and bool(event.fields.get("recurrence"))


def _series_meets(book: Book, query: Query, version: Version[Event]) -> bool:
    """Tell whether an event, or any occurrence of a series as its rule has it, is in the window."""
    event = version.row
    lines, start = event.fields.get("recurrence"), event.fields["start"]
    if not lines or not (query.time_min or query.time_max):
        return query.meets(book, event)
    before = query.time_max or moment(start, book.zone) + _LONGEST
    return any(
        query.meets(book, book.whole(occurrence(event, original)))
        for original in starts(lines, start, before)
    )


def _item(book: Book, query: Query, version: Version[Event], reader: Reader) -> Doc:
    if not version.row.live and (query.since or version.row.series):
        return tombstone(version, reader.zone)
    return event_shown(book, version, reader)


def _key(book: Book, query: Query, version: Version[Event]) -> list[Any]:
    whole = book.whole(version.row)
    if query.order == "startTime":
        return [book.span(whole)[0].timestamp(), version.key]
    if query.order == "updated":
        return [whole.updated.timestamp(), version.key]
    return [version.place, version.key]


def _original(event: Event) -> datetime | str | None:
    value = event.original
    if value is None:
        return None
    return value["date"] if "date" in value else moment(value)


def _instant(call: Call, name: str) -> datetime | None:
    text = call.one(name)
    return None if text is None else instant_of(text, name)


def _pairs(call: Call, name: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in call.many(name):
        key, equals, value = text.partition("=")
        if not equals:
            raise invalid(f"Invalid value for: {name}", name)
        pairs.append((key, value))
    return tuple(pairs)


def _mentions(fields: Doc, text: str) -> bool:
    people: Iterable[Doc] = fields.get("attendees") or ()
    words = [str(fields.get(name) or "") for name in _SEARCHED]
    words += [f"{one.get('displayName', '')} {one['email']}" for one in people]
    everything = " ".join(words).casefold()
    return all(word in everything for word in text.casefold().split())
