"""The handlers of events (section 4)."""

from collections.abc import Callable
from dataclasses import dataclass

from truckroll_sim.google_calendar.access import Gate
from truckroll_sim.google_calendar.channels import Channels, Resource
from truckroll_sim.google_calendar.desk import Desk, Writer
from truckroll_sim.google_calendar.errors import invalid, refusal, required
from truckroll_sim.google_calendar.freebusy import free_busy
from truckroll_sim.google_calendar.listing import flag, list_events, list_instances, zone_for
from truckroll_sim.google_calendar.shapes import ChannelBody, EventBody, FreeBusyBody, body_of
from truckroll_sim.google_calendar.views import Reader, etag_of, event_shown
from truckroll_sim.google_calendar.world import Book, Event, World
from truckroll_sim.kit.auth import Grant
from truckroll_sim.kit.calls import Answer, Call
from truckroll_sim.kit.state import Version

_WRITE = ("calendar", "calendar.events", "calendar.events.owned", "calendar.app.created")
_READ = (
    *_WRITE,
    "calendar.readonly",
    "calendar.events.readonly",
    "calendar.events.owned.readonly",
    "calendar.events.public.readonly",
    "calendar.events.freebusy",
)
_FREE_BUSY = ("calendar", "calendar.events.freebusy", "calendar.freebusy", "calendar.readonly")
_STOP = (*_READ, "calendar.acls", "calendar.calendarlist", "calendar.settings")
_DIRECTORY_STOP = ("admin.directory.user", "admin.directory.user.readonly")
_WRITER = "writerWithoutPrivateAccess"
_MODES = ("all", "externalOnly", "none")


@dataclass(frozen=True)
class Events:
    """The handlers of events, free/busy and channels."""

    world: World
    gate: Gate
    desk: Desk
    channels: Channels

    def list(self, call: Call) -> Answer:
        """GET /calendars/{calendarId}/events."""
        book, reader = self._reading(call)
        return Answer.json(list_events(self.world, book, reader, call))

    def get(self, call: Call) -> Answer:
        """GET /calendars/{calendarId}/events/{eventId}: a cancelled one too."""
        book, reader = self._reading(call)
        version = self.desk.found(book, call.parts["event"])
        etag = etag_of(version.revision)
        if call.headers.get("If-None-Match") == etag:
            return Answer.empty(304, {"ETag": etag})
        return _told(event_shown(book, version, reader))

    def instances(self, call: Call) -> Answer:
        """GET /calendars/{calendarId}/events/{eventId}/instances."""
        book, reader = self._reading(call)
        series = self.desk.found(book, call.parts["event"])
        return Answer.json(list_instances(self.world, book, series, reader, call))

    def insert(self, call: Call) -> Answer:
        """POST /calendars/{calendarId}/events."""
        return self._write(
            call, lambda book, writer: self.desk.insert(book, body_of(call, EventBody), writer)
        )

    def import_(self, call: Call) -> Answer:
        """POST /calendars/{calendarId}/events/import."""
        return self._write(
            call, lambda book, writer: self.desk.import_(book, body_of(call, EventBody), writer)
        )

    def patch(self, call: Call) -> Answer:
        """PATCH /calendars/{calendarId}/events/{eventId}."""
        name = call.parts["event"]
        return self._write(
            call, lambda book, writer: self.desk.patch(book, name, body_of(call, EventBody), writer)
        )

    def update(self, call: Call) -> Answer:
        """PUT /calendars/{calendarId}/events/{eventId}."""
        name = call.parts["event"]
        return self._write(
            call,
            lambda book, writer: self.desk.update(book, name, body_of(call, EventBody), writer),
        )

    def delete(self, call: Call) -> Answer:
        """DELETE /calendars/{calendarId}/events/{eventId}."""
        _, book, writer = self._writing(call)
        self.desk.delete(book, call.parts["event"], writer)
        return Answer.empty()

    def move(self, call: Call) -> Answer:
        """POST /calendars/{calendarId}/events/{eventId}/move?destination=."""
        grant, book, writer = self._writing(call)
        if (destination := call.one("destination")) is None:
            raise required("Missing destination.", "destination")
        target, role = self.gate.book(grant, destination, _WRITER)
        version = self.desk.move(book, call.parts["event"], target, writer)
        return _told(event_shown(target, version, Reader(grant.account, role, target.zone)))

    def watch(self, call: Call) -> Answer:
        """POST /calendars/{calendarId}/events/watch."""
        grant = self.gate.enter(call, _READ)
        book, _ = self.gate.book(grant, call.parts["calendar"], "freeBusyReader")
        uri = f"{call.base}/calendar/v3/calendars/{book.id}/events?alt=json"
        resource = Resource("events", book.id, uri)
        return Answer.json(self.channels.watch(resource, body_of(call, ChannelBody), grant.account))

    def stop(self, call: Call) -> Answer:
        """POST /channels/stop, and the directory's own."""
        grant = self.gate.enter(call, (*_STOP, *_DIRECTORY_STOP))
        self.channels.stop(body_of(call, ChannelBody), grant.account)
        return Answer.empty()

    def free_busy(self, call: Call) -> Answer:
        """POST /freeBusy."""
        grant = self.gate.enter(call, _FREE_BUSY)
        return Answer.json(free_busy(self.world, grant.account, body_of(call, FreeBusyBody)))

    def _reading(self, call: Call) -> tuple[Book, Reader]:
        grant = self.gate.enter(call, _READ)
        book, role = self.gate.book(grant, call.parts["calendar"], "freeBusyReader")
        return book, Reader(grant.account, role, zone_for(call, book), _most_guests(call))

    def _writing(self, call: Call) -> tuple[Grant, Book, Writer]:
        grant = self.gate.enter(call, _WRITE)
        book, role = self.gate.book(grant, call.parts["calendar"], _WRITER)
        may_invite = grant.account in self.world.people
        writer = Writer(grant.account, role, _mode(call), call.headers.get("If-Match"), may_invite)
        return grant, book, writer

    def _write(self, call: Call, write: Callable[[Book, Writer], Version[Event]]) -> Answer:
        grant, book, writer = self._writing(call)
        version = write(book, writer)
        reader = Reader(grant.account, writer.role, book.zone, _most_guests(call))
        return _told(event_shown(book, version, reader))


def _told(doc: dict[str, object]) -> Answer:
    return Answer.json(doc, headers={"ETag": str(doc["etag"])})


def _mode(call: Call) -> str:
    """Return whom a write tells: nobody unless asked (`sendNotifications` is the old word)."""
    mode = call.one("sendUpdates")
    if mode is None:
        return "all" if flag(call, "sendNotifications") else "none"
    if mode not in _MODES:
        raise invalid("Invalid value for: sendUpdates", "sendUpdates")
    return mode


def _most_guests(call: Call) -> int | None:
    word = call.one("maxAttendees")
    if word is None:
        return None
    if not word.isdecimal() or int(word) < 1:
        raise refusal(400, "invalid", "Invalid value for: maxAttendees", location="maxAttendees")
    return int(word)
