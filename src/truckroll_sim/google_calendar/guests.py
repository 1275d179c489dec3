"""Copies on the guests' calendars, and who is told (the sheet's insert, update, patch, delete).

An event's guests who are users of the organisation each have a copy on their primary calendar
under the same id; what is private to a copy stays with it.
"""

from collections.abc import Iterator
from dataclasses import replace

from truckroll_sim.google_calendar.fields import OWN
from truckroll_sim.google_calendar.times import Doc
from truckroll_sim.google_calendar.world import Book, Event, World


def addresses(fields: Doc) -> list[str]:
    """Return the addresses of an event's guests."""
    return [one["email"] for one in fields.get("attendees") or ()]


def tell(world: World, event: Event, people: list[str], mode: str, why: str, actor: str) -> None:
    """Note who is told about a write: all, only those from outside, or nobody."""
    about = f"{event.fields.get('summary') or '(No title)'} [{event.id}]"
    for email in people:
        outside = email not in world.people
        if email != actor and (mode == "all" or (mode == "externalOnly" and outside)):
            world.kit.outbox.tell(email, about, why)


def spread(world: World, book: Book, before: Event | None, after: Event) -> Iterator[Book]:
    """Bring the guests' copies in line with the organiser's event; yields the books changed."""
    if after.imported or after.fields.get("privateCopy") or after.organizer["email"] != book.id:
        return
    whole = book.whole(after)
    guests = addresses(whole.fields) if whole.live else []
    for email in guests:
        if (copy_book := _home(world, email, book)) is not None:
            _put_copy(copy_book, whole, after)
            yield copy_book
    gone = set(addresses(book.whole(before).fields) if before else []) - set(guests)
    for email in sorted(gone):
        copy_book = _home(world, email, book)
        copy = copy_book.events.get(after.id) if copy_book else None
        if copy_book and (copy or after.series):
            base = copy or replace(after, fields={})
            copy_book.put(replace(base, status="cancelled", updated=after.updated))
            yield copy_book


def answer_of_resource(world: World, book: Book, event: Event) -> Event:
    """Return the event with the answers of resources, which accept what they are free for."""
    guests = []
    for one in event.fields.get("attendees") or ():
        room = world.books.get(one["email"])
        if room is None or not room.resource or one["responseStatus"] != "needsAction":
            guests.append(one)
            continue
        taken = _is_taken(room, book, event)
        guests.append(
            {**one, "resource": True, "responseStatus": "declined" if taken else "accepted"}
        )
    return replace(event, fields={**event.fields, "attendees": guests}) if guests else event


def _home(world: World, email: str, organizers: Book) -> Book | None:
    book = world.books.get(email)
    return None if book is None or book is organizers or book.deleted else book


def blended(shared: Doc, own: Doc) -> Doc:
    """Return an event's fields with what is shared from the one side, what is own from the other.

    Own are the properties that each copy has for itself, and private extended ones.
    """
    fields = {name: value for name, value in shared.items() if name not in OWN}
    fields |= {name: value for name, value in own.items() if name in OWN}
    extended = {
        side: values
        for side, source in (("shared", shared), ("private", own))
        if (values := (source.get("extendedProperties") or {}).get(side))
    }
    fields.pop("extendedProperties", None)
    return {**fields, "extendedProperties": extended} if extended else fields


def _put_copy(book: Book, whole: Event, after: Event) -> None:
    """Put a copy: all that is shared, or of an occurrence whose series is there the difference."""
    known = book.events.get(after.id)
    alone = after.series is None or after.series not in book.events
    shared = {k: v for k, v in whole.fields.items() if k != "recurrence" or not after.series}
    source = shared if alone else after.fields
    book.put(replace(after, fields=blended(source, known.fields if known else {})))


def _is_taken(room: Book, book: Book, event: Event) -> bool:
    start, end = book.span(book.whole(event))
    for other in room.events.rows():
        whole = room.whole(other)
        if other.id == event.id or not other.live or "start" not in whole.fields:
            continue
        begins, ends = room.span(whole)
        if begins < end and start < ends:
            return True
    return False
