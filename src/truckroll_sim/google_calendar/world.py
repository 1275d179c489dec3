"""What the simulated Google knows: people, calendars, events, rules of sharing."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from truckroll_sim.google_calendar.recurrence import has_start, original_of, starts, stem
from truckroll_sim.google_calendar.times import Doc, later, length, moment
from truckroll_sim.kit.state import Table, Version
from truckroll_sim.kit.system import Kit

ROLES = ("none", "freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner")
CUSTOMER = "C01abcd23"
_HORIZON = timedelta(days=730)
"""How far ahead of the clock a series without end is expanded, where the caller sets no limit."""


@dataclass(frozen=True)
class Event:
    """An event in store, or one occurrence of a series.

    `fields` are the writable properties in stored form. Those of an occurrence (`series` set)
    hold only what differs from the series, None where the occurrence has nothing.
    """

    id: str
    uid: str
    status: str
    fields: Doc
    creator: str
    organizer: Doc
    created: datetime
    updated: datetime
    sequence: int = 0
    series: str | None = None
    original: Doc | None = None
    imported: bool = False

    @property
    def live(self) -> bool:
        """Whether it is not cancelled."""
        return self.status != "cancelled"


@dataclass
class Book:
    """A calendar: its properties, its events by id, its sharing rules by rule id."""

    id: str
    fields: Doc
    data_owner: str
    primary: bool
    events: Table[Event]
    rules: Table[Doc]
    revision: int
    deleted: bool = False
    resource: bool = False

    @property
    def zone(self) -> str:
        """The IANA name of the calendar's zone."""
        return str(self.fields.get("timeZone") or "UTC")

    def find(self, event_id: str) -> Version[Event] | None:
        """Return an event or an occurrence by id, also one that exists by rule alone."""
        if version := self.events.version(event_id):
            if self.stands(version.row):
                return version
            return replace(version, row=replace(version.row, status="cancelled"))
        series_id, _, ending = event_id.rpartition("_")
        series = self.events.version(series_id) if series_id else None
        if series is None or not (lines := series.row.fields.get("recurrence")):
            return None
        start = series.row.fields["start"]
        original = original_of(ending, start.get("timeZone", "UTC"))
        if original is None or not has_start(lines, start, original):
            return None
        return replace(series, key=event_id, row=occurrence(series.row, original))

    def stands(self, event: Event) -> bool:
        """Tell whether an event is still there for its series: one that stands alone always is.

        An exception ends with its series, or when the rule no longer has its original start.
        """
        if event.series is None or event.original is None:
            return True
        series = self.events.get(event.series)
        if series is None:  # a guest may be invited to one occurrence alone
            return True
        lines = series.fields.get("recurrence") if series.live else None
        return lines is not None and has_start(lines, series.fields["start"], event.original)

    def whole(self, event: Event) -> Event:
        """Return an event with all that it has, an occurrence also with what its series has."""
        series = self.events.get(event.series) if event.series else None
        if series is None or event.original is None:
            return event
        start = event.original
        end = later(start, length(series.fields["start"], series.fields["end"]))
        rest = {name: value for name, value in series.fields.items() if name != "recurrence"}
        merged = {**rest, "start": start, "end": end, **event.fields}
        kept = {name: value for name, value in merged.items() if value is not None}
        return replace(event, fields=kept)

    def occurrences(
        self, series: Version[Event], before: datetime, *, cancelled: bool = False
    ) -> list[Version[Event]]:
        """Return the occurrences of a series that start before an instant, exceptions in place.

        An exception is here wherever it was moved to. Cancelled ones only if asked for.
        """
        fields = series.row.fields
        found = []
        for original in starts(fields["recurrence"], fields["start"], before):
            key = f"{series.key}_{stem(original)}"
            version = self.events.version(key)
            if version is None:
                version = replace(series, key=key, row=occurrence(series.row, original))
            if version.row.live or cancelled:
                found.append(version)
        met = {one.key for one in found}
        moved = [
            one
            for one in self.exceptions(series.key)
            if one.key not in met
            and one.row.live
            and self.stands(one.row)
            and self.span(self.whole(one.row))[0] < before
        ]
        return found + moved

    def put(self, event: Event) -> Version[Event]:
        """Put an event; a series' exceptions get new versions with it.

        What an exception has from its series, or whether it stands at all, may differ then.
        """
        known = event.id in self.events
        version = self.events.put(event.id, event)
        for one in self.exceptions(event.id) if known and event.series is None else ():
            self.events.put(one.key, one.row)
        return version

    def exceptions(self, series_id: str) -> list[Version[Event]]:
        """Return the stored exceptions of a series, cancelled ones too."""
        return [one for one in self.events.versions() if one.row.series == series_id]

    def span(self, event: Event) -> tuple[datetime, datetime]:
        """Return start and end of a whole event as instants."""
        fields = event.fields
        return moment(fields["start"], self.zone), moment(fields["end"], self.zone)


def occurrence(series: Event, original: Doc) -> Event:
    """Return the occurrence of a series that starts at a stored value, as the rule has it."""
    return replace(
        series,
        id=f"{series.id}_{stem(original)}",
        fields={},
        series=series.id,
        original=original,
    )


@dataclass
class Person:
    """A user of the organisation: the directory's record, side bar and settings."""

    fields: Doc
    entries: Table[Doc]
    settings: Table[Doc]
    revision: int
    deleted: bool = False

    @property
    def email(self) -> str:
        """The primary address."""
        return str(self.fields["primaryEmail"])

    @property
    def active(self) -> bool:
        """Whether the person may sign in."""
        return not (self.deleted or self.fields.get("suspended") or self.fields.get("archived"))


@dataclass
class World:
    """All of it."""

    kit: Kit
    domain: str = "acme-hvac.example"
    people: dict[str, Person] = field(default_factory=dict)
    books: dict[str, Book] = field(default_factory=dict)
    groups: dict[str, Doc] = field(default_factory=dict)
    resources: dict[str, Doc] = field(default_factory=dict)

    def person(self, key: str) -> Person | None:
        """Return a person by primary address, alias or id, None if there is none."""
        if key in self.people:
            return self.people[key]
        for one in self.people.values():
            if key == one.fields["id"] or key in one.fields.get("aliases", ()):
                return one
        return None

    def add_person(self, email: str, given: str, family: str, **more: Any) -> Person:
        """Make a user with a primary calendar."""
        zone = more.pop("timeZone", "America/Los_Angeles")
        now = self.kit.clock.now()
        fields = {
            "id": str(self.kit.ids.number("person", 104203918273645091827)),
            "primaryEmail": email,
            "name": {"givenName": given, "familyName": family, "fullName": f"{given} {family}"},
            "suspended": False,
            "archived": False,
            "isAdmin": False,
            "orgUnitPath": "/",
            "emails": [{"address": email, "primary": True}],
            "customerId": CUSTOMER,
            "creationTime": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "isMailboxSetup": True,
            **more,
        }
        kit = self.kit
        person = Person(fields, kit.table(), kit.table(), kit.revisions.next())
        self.people[email] = person
        for name, value in (("format24HourTime", "true"), ("locale", "en"), ("timezone", zone)):
            person.settings.put(name, {"id": name, "value": value})
        self.add_book(email, {"summary": email, "timeZone": zone}, email, primary=True)
        return person

    def add_book(
        self,
        book_id: str,
        fields: Doc,
        owner: str,
        *,
        primary: bool = False,
        resource: bool = False,
    ) -> Book:
        """Make a calendar that its owner has in the side bar."""
        kit = self.kit
        book = Book(
            id=book_id,
            fields=fields,
            data_owner=owner,
            primary=primary,
            events=kit.table(),
            rules=kit.table(),
            revision=kit.revisions.next(),
            resource=resource,
        )
        self.books[book_id] = book
        rule_id = f"user:{owner}"
        book.rules.put(rule_id, {"role": "owner", "scope": {"type": "user", "value": owner}})
        if (person := self.people.get(owner)) and not resource:
            person.entries.put(book_id, {"selected": True} | ({"primary": True} if primary else {}))
        return book

    def rename(self, old: str, person: Person) -> None:
        """Let a person's primary calendar follow a new primary address."""
        self.people[person.email] = self.people.pop(old)
        book = self.books.pop(old)
        book.id, book.data_owner = person.email, person.email
        self.books[person.email] = book
        book.rules.drop(f"user:{old}")
        scope = {"type": "user", "value": person.email}
        book.rules.put(f"user:{person.email}", {"role": "owner", "scope": scope})
        person.entries.drop(old)
        person.entries.put(person.email, {"selected": True, "primary": True})

    def role(self, book: Book, account: str) -> str:
        """Return the highest role that the rules of a calendar give to an account."""
        domain = account.rpartition("@")[2]
        best = "none"
        for rule in book.rules.rows():
            kind, value = rule["scope"]["type"], rule["scope"].get("value")
            meant = (
                kind == "default"
                or (kind == "user" and value == account)
                or (kind == "domain" and value == domain)
                or (kind == "group" and account in self.members(value))
            )
            if meant and ROLES.index(rule["role"]) > ROLES.index(best):
                best = rule["role"]
        return best

    def members(self, group: str) -> list[str]:
        """Return the addresses in a group, none for an unknown one."""
        return [member["email"] for member in self.groups.get(group, {}).get("members", ())]

    def horizon(self) -> datetime:
        """Return how far a series without end is expanded."""
        return self.kit.clock.now() + _HORIZON
