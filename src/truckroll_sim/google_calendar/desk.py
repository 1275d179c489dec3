"""What can be done to events, whoever does it: a client of the API or a person at the screen.

Choices where the sheet is silent: a write that changes nothing makes no new version; `sequence`
counts changes of start, end and recurrence; a write of a series makes new versions of its
exceptions too; importing a known iCalUID writes over that event.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from truckroll_sim.google_calendar import guests
from truckroll_sim.google_calendar.errors import gone, invalid, not_found, refusal, required
from truckroll_sim.google_calendar.fields import ID, OWN, checked, event_type, merge_patch
from truckroll_sim.google_calendar.times import Doc
from truckroll_sim.google_calendar.views import etag_of
from truckroll_sim.google_calendar.world import Book, Event, World, occurrence
from truckroll_sim.kit.state import Version

_PRIVATE = ("private", "confidential")
_MANAGED = ("birthday", "fromGmail")
_SHAPE = ("start", "end", "recurrence")


@dataclass(frozen=True)
class Writer:
    """Who writes, with which role; whom to tell (`sendUpdates`); on which condition (If-Match).

    `may_invite` is False for a service account by itself; `any_type` lets the vendor itself write,
    which makes events of types that no client can.
    """

    account: str
    role: str
    mode: str = "none"
    if_match: str | None = None
    may_invite: bool = True
    any_type: bool = False


@dataclass(frozen=True)
class Desk:
    """Events of the world; `changed` is told each calendar whose events changed."""

    world: World
    changed: Callable[[Book], None]

    def insert(self, book: Book, body: Doc, writer: Writer) -> Version[Event]:
        """Make an event (section 4, insert; section 10 for ids)."""
        event_id, uid = body.get("id"), body.get("iCalUID")
        if event_id and uid:
            raise invalid("Only one of id and iCalUID may be given.", "id")
        if event_id is not None and not ID.fullmatch(str(event_id)):
            raise invalid("Invalid resource id value.", "id")
        event_id = event_id or self.world.kit.ids.word("event")
        uid = uid or f"{event_id}@google.com"
        known = body.get("iCalUID") and any(one.uid == uid for one in book.events.rows())
        if event_id in book.events or known:
            raise refusal(409, "duplicate")
        event = self._new(book, body, writer, event_id, uid)
        event = guests.answer_of_resource(self.world, book, event)
        return self._store(book, None, event, writer)

    def import_(self, book: Book, body: Doc, writer: Writer) -> Version[Event]:
        """Put a private copy of an outside event (section 4, import): nobody is invited."""
        uid = body.get("iCalUID")
        if not uid:
            raise required("Missing iCalUID.", "iCalUID")
        if event_type(body) != "default":
            raise refusal(400, "eventTypeRestriction", "Only default events can be imported.")
        known = next((one for one in book.events.rows() if one.uid == uid), None)
        event_id = known.id if known else "_" + self.world.kit.ids.word("imported event")
        event = self._new(book, body, writer, event_id, uid)
        organizer = {"email": book.id, **(body.get("organizer") or {})}
        event = replace(event, imported=True, organizer=organizer)
        if known:
            event = replace(event, created=known.created, creator=known.creator)
        return self._store(book, known, event, replace(writer, mode="none"))

    def patch(self, book: Book, event_id: str, body: Doc, writer: Writer) -> Version[Event]:
        """Change what the body names (section 4, patch)."""
        version = self.found(book, event_id)
        whole = book.whole(version.row)
        merged = merge_patch({**whole.fields, "status": whole.status}, body)
        return self._change(book, version, merged, body, writer)

    def update(self, book: Book, event_id: str, body: Doc, writer: Writer) -> Version[Event]:
        """Put the body in the event's place (section 4, update): what it leaves out is cleared."""
        version = self.found(book, event_id)
        # What was deleted stays so unless the body says otherwise (section 10).
        status = body.get("status") or ("confirmed" if version.row.live else "cancelled")
        return self._change(book, version, {**body, "status": status}, body, writer)

    def delete(self, book: Book, event_id: str, writer: Writer) -> None:
        """Delete an event, an occurrence, or a guest's own copy (which declines)."""
        version = self.found(book, event_id)
        if not version.row.live:
            raise gone()
        self._check(book, version, writer)
        before = version.row
        if before.organizer["email"] != book.id and not before.imported:
            self._respond(book, before, {"responseStatus": "declined"}, writer)
        after = replace(before, status="cancelled", updated=self.world.kit.clock.now())
        self._store(book, before, after, writer)

    def move(self, book: Book, event_id: str, target: Book, writer: Writer) -> Version[Event]:
        """Hand an event over to another calendar, which becomes its organiser (move)."""
        version = self.found(book, event_id)
        event = version.row
        if not event.live:
            raise gone()
        self._check(book, version, writer)
        if event.series or event.fields.get("eventType", "default") != "default":
            raise invalid("Only default events that are no occurrences can be moved.")
        if event.organizer["email"] != book.id:
            raise refusal(403, "forbiddenForNonOrganizer", "Only the organizer can move an event.")
        there = target.events.get(event_id)
        if there is not None and there.uid != event.uid:
            raise refusal(409, "duplicate")
        now = self.world.kit.clock.now()
        for one in book.exceptions(event_id):
            target.events.put(one.key, replace(one.row, organizer=_organizer(target)))
        moved = replace(event, organizer=_organizer(target), updated=now)
        # The old calendar lets go first: a copy that it keeps as a guest must stand afterwards.
        book.put(replace(event, status="cancelled", updated=now))
        self.changed(book)
        return self._store(target, event, moved, writer)

    def found(self, book: Book, event_id: str) -> Version[Event]:
        """Return an event, an occurrence by rule alone too; refuses an unknown id (404)."""
        version = book.find(event_id)
        if version is None:
            raise not_found()
        return version

    def _new(self, book: Book, body: Doc, writer: Writer, event_id: str, uid: str) -> Event:
        kind = str(body.get("eventType", "default")) if writer.any_type else event_type(body)
        fields = checked(body, book.zone)
        status = fields.pop("status", "confirmed")
        if kind != "default":
            fields["eventType"] = kind
        if fields.get("attendees") and not writer.may_invite:
            raise refusal(
                403,
                "forbiddenForServiceAccounts",
                "Service accounts cannot invite attendees without Domain-Wide Delegation of"
                " Authority.",
            )
        now = self.world.kit.clock.now()
        return Event(
            id=event_id,
            uid=uid,
            status=status,
            fields=fields,
            creator=writer.account,
            organizer=_organizer(book),
            created=now,
            updated=now,
            sequence=int(body.get("sequence") or 0),
        )

    def _check(self, book: Book, version: Version[Event], writer: Writer) -> None:
        etag = etag_of(version.revision)
        if writer.if_match not in (None, "*", etag):
            raise refusal(412, "conditionNotMet", location="If-Match", location_type="header")
        hidden = book.whole(version.row).fields.get("visibility") in _PRIVATE
        if hidden and writer.role == "writerWithoutPrivateAccess":
            raise refusal(403, "forbidden", "This event is private.")

    def _change(
        self, book: Book, version: Version[Event], body: Doc, said: Doc, writer: Writer
    ) -> Version[Event]:
        self._check(book, version, writer)
        before = version.row
        whole = book.whole(before)
        if said.get("eventType", "default") != whole.fields.get("eventType", "default") and (
            "eventType" in said
        ):
            raise invalid("The event type cannot be changed.", "eventType")
        fields = checked(body, book.zone)
        status = fields.pop("status", "confirmed")
        if kind := whole.fields.get("eventType"):
            fields["eventType"] = kind
        if (
            kind in _MANAGED
            and not writer.any_type
            and _shared(fields, book) != _shared(whole.fields, book)
        ):
            raise refusal(400, "eventTypeRestriction", f"Events of type {kind} cannot be changed.")
        if not writer.may_invite and fields.get("attendees") != whole.fields.get("attendees"):
            raise refusal(403, "forbiddenForServiceAccounts")
        after = self._after(book, before, fields, status)
        if (after.fields, after.status) == (before.fields, before.status):
            return version
        if before.organizer["email"] != book.id and not before.imported:
            return self._change_copy(book, before, after, writer)
        after = guests.answer_of_resource(self.world, book, after)
        return self._store(book, before, after, writer)

    def _after(self, book: Book, before: Event, fields: Doc, status: str) -> Event:
        """Return the event as a full set of fields leaves it; an occurrence as its difference."""
        whole = book.whole(before)
        now = self.world.kit.clock.now()
        reshaped = any(fields.get(name) != whole.fields.get(name) for name in _SHAPE)
        names = set(fields) | set(whole.fields)
        changed = {name for name in names if fields.get(name) != whole.fields.get(name)}
        quiet = changed <= {"reminders"} and status == whole.status
        stored = fields
        series = book.events.get(before.series) if before.series else None
        if series is not None and before.original is not None:
            base = book.whole(occurrence(series, before.original)).fields
            names = set(fields) | set(base)
            stored = {
                name: fields.get(name) for name in names if fields.get(name) != base.get(name)
            }
        return replace(
            before,
            fields=stored,
            status=status,
            sequence=before.sequence + (1 if reshaped else 0),
            # Changing reminders does not change `updated` (section 12).
            updated=before.updated if quiet else now,
        )

    def _change_copy(
        self, book: Book, before: Event, after: Event, writer: Writer
    ) -> Version[Event]:
        """Let a guest answer, and change what is the copy's own; the rest is the organiser's."""
        old, new = book.whole(before).fields, book.whole(after).fields
        if _shared(old, book) != _shared(new, book) or not after.live:
            if not old.get("guestsCanModify") or not after.live:
                raise refusal(
                    403,
                    "forbiddenForNonOrganizer",
                    "Shared properties can only be changed by the organizer of the event.",
                )
            if (home := self.world.books.get(before.organizer["email"])) is not None:
                original = self.found(home, before.id).row
                fields = guests.blended(after.fields, original.fields)
                self._store(home, original, replace(original, fields=fields), writer)
        mine = _entry(new, book)
        if mine != _entry(old, book) and mine:
            self._respond(book, before, mine, writer)
        return self._store(book, before, after, replace(writer, mode="none"))

    def _respond(self, book: Book, copy: Event, answer: Doc, writer: Writer) -> None:
        """Carry a guest's answer to the organiser's event and on to the other copies."""
        home = self.world.books.get(copy.organizer["email"])
        version = home.find(copy.id) if home else None
        if home is None or version is None or not version.row.live:
            return
        attendees = [
            {**one, **answer} if one["email"] == book.id else one
            for one in home.whole(version.row).fields.get("attendees") or ()
        ]
        fields = {**version.row.fields, "attendees": attendees}
        self._store(
            home,
            version.row,
            replace(version.row, fields=fields, updated=self.world.kit.clock.now()),
            replace(writer, mode="none"),
        )
        guests.tell(
            self.world, copy, [copy.organizer["email"]], writer.mode, "reply", writer.account
        )

    def _store(
        self, book: Book, before: Event | None, after: Event, writer: Writer
    ) -> Version[Event]:
        version = book.put(after)
        self.changed(book)
        for other in guests.spread(self.world, book, before, after):
            self.changed(other)
        if not after.imported and after.organizer["email"] == book.id:
            self._tell(book, before, after, writer)
        return book.events.version(after.id) or version

    def _tell(self, book: Book, before: Event | None, after: Event, writer: Writer) -> None:
        old = guests.addresses(book.whole(before).fields) if before and before.live else []
        whole = book.whole(after)
        new = guests.addresses(whole.fields) if after.live else []
        for people, why in (
            ([one for one in new if one not in old], "invitation"),
            ([one for one in new if one in old], "update"),
            ([one for one in old if one not in new], "cancellation"),
        ):
            guests.tell(self.world, whole, people, writer.mode, why, writer.account)


def _organizer(book: Book) -> Doc:
    named = {} if book.primary else {"displayName": book.fields["summary"]}
    return {"email": book.id, **named}


def _shared(fields: Doc, book: Book) -> Doc:
    """Return what of a copy is the organiser's alone."""
    kept = {name: value for name, value in fields.items() if name not in OWN}
    extended = kept.pop("extendedProperties", {})
    kept["shared"] = extended.get("shared")
    kept["attendees"] = [one for one in fields.get("attendees", ()) if one["email"] != book.id]
    return kept


def _entry(fields: Doc, book: Book) -> Doc | None:
    return next((one for one in fields.get("attendees", ()) if one["email"] == book.id), None)
