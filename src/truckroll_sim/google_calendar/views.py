"""How events look to a reader."""

from dataclasses import dataclass
from typing import Any

from truckroll_sim.google_calendar.times import Doc, shown
from truckroll_sim.google_calendar.world import Book, Event
from truckroll_sim.kit.clock import stamp
from truckroll_sim.kit.state import Version

_HIDDEN = ("private", "confidential")
_READS_ALL = ("writer", "owner")
_BUSY_FIELDS = ("transparency", "recurrence")
_DEFAULTS: Doc = {"eventType": "default", "reminders": {"useDefault": True}}
_SHORT_DEFAULTS = {"transparency": "opaque", "visibility": "default"}


@dataclass(frozen=True)
class Reader:
    """Who reads, with which role, in which zone times are shown, how many guests at most."""

    account: str
    role: str
    zone: str
    max_attendees: int | None = None

    def sees(self, event: Event) -> bool:
        """Tell whether the details of a whole event are shown, not just that time is taken."""
        guests = event.fields.get("attendees") or ()
        if self.role in _READS_ALL or any(one["email"] == self.account for one in guests):
            return True
        return self.role != "freeBusyReader" and event.fields.get("visibility") not in _HIDDEN


def etag_of(revision: int) -> str:
    """Return the entity tag of a revision, in the vendor's form."""
    return f'"{3_500_000_000_000_000 + revision * 2000}"'


def event_shown(book: Book, version: Version[Event], reader: Reader) -> Doc:
    """Return an event (or occurrence) of a calendar as a reader sees it."""
    event = book.whole(version.row)
    if event.status == "cancelled" and event.series:
        return tombstone(version, reader.zone)
    detailed = reader.sees(event)
    doc = {
        "kind": "calendar#event",
        "etag": etag_of(version.revision),
        "id": event.id,
        "status": event.status,
        "htmlLink": f"https://www.google.com/calendar/event?eid={event.id}",
        "created": stamp(event.created),
        "updated": stamp(event.updated),
        "iCalUID": event.uid,
        "sequence": event.sequence,
        **_linked(event, reader.zone),
        "start": shown(event.fields["start"], reader.zone),
        "end": shown(event.fields["end"], reader.zone),
    }
    if not detailed:
        busy = {name: event.fields[name] for name in _BUSY_FIELDS if name in event.fields}
        return {**doc, **busy, "visibility": "private", "eventType": "default"}
    rest = {k: v for k, v in event.fields.items() if k not in ("start", "end", "status")}
    rest = {k: v for k, v in rest.items() if _SHORT_DEFAULTS.get(k) != v}
    doc |= {**_DEFAULTS, **rest, **_people(book, event)}
    if reader.account != event.creator:
        doc.pop("source", None)
    if "attendees" in event.fields:
        doc |= _guests(book, event, reader)
    return doc


def tombstone(version: Version[Event], zone: str) -> Doc:
    """Return a deleted event as a listing shows it: only what the vendor warrants (section 5)."""
    event = version.row
    doc = {"kind": "calendar#event", "etag": etag_of(version.revision), "id": event.id}
    return {**doc, "status": "cancelled", **_linked(event, zone)}


def _linked(event: Event, zone: str) -> Doc:
    if event.series is None or event.original is None:
        return {}
    original = shown(event.original, zone)
    return {"recurringEventId": event.series, "originalStartTime": original}


def _people(book: Book, event: Event) -> Doc:
    creator: Doc = {"email": event.creator}
    organizer: Doc = dict(event.organizer)
    for one in (creator, organizer):
        if one["email"] == book.id:
            one["self"] = True
    return {"creator": creator, "organizer": organizer}


def _guests(book: Book, event: Event, reader: Reader) -> Doc:
    guests: list[dict[str, Any]] = []
    for one in event.fields["attendees"]:
        own = {"self": True} if one["email"] == book.id else {}
        leads = {"organizer": True} if one["email"] == event.organizer["email"] else {}
        guests.append({**one, **own, **leads})
    hidden = (
        event.fields.get("guestsCanSeeOtherGuests") is False and event.organizer["email"] != book.id
    )
    too_many = reader.max_attendees is not None and len(guests) > reader.max_attendees
    if hidden or too_many:
        return {"attendees": [one for one in guests if "self" in one], "attendeesOmitted": True}
    return {"attendees": guests}
