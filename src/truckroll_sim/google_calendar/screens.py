"""What people do in the vendor's own screens, for the control plane.

Options (query parameters): `calendar` for events and rules (an event's is found if it is not
said), `sendUpdates` for whom the screen tells (nobody if not said), `as` for whose screen it is
(the calendar's owner if not said), `person` for calendar lists (the office). An event may be of
any `eventType` here, also of those that only the vendor makes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from truckroll_sim.google_calendar.calendars import (
    calendar_shown,
    entry_shown,
    rule_id,
    rule_shown,
)
from truckroll_sim.google_calendar.company import office
from truckroll_sim.google_calendar.desk import Desk, Writer
from truckroll_sim.google_calendar.directory import Directory, user_shown
from truckroll_sim.google_calendar.times import Doc
from truckroll_sim.google_calendar.views import Reader, event_shown
from truckroll_sim.google_calendar.world import ROLES, Book, Event, Person, World
from truckroll_sim.kit.calls import Refused
from truckroll_sim.kit.state import Version

Options = Mapping[str, str]


def _said(refused: Refused) -> ValueError:
    return ValueError(refused.answer.body.decode())


@dataclass(frozen=True)
class EventScreen:
    """Events."""

    world: World
    desk: Desk

    def list(self, options: Options) -> list[Doc]:
        """Return the events of a calendar, or of all, cancelled ones too."""
        books = [self._book(options)] if "calendar" in options else self.world.books.values()
        return [self._shown(book, one) for book in books for one in book.events.versions()]

    def get(self, key: str, options: Options) -> Doc:
        """Return an event."""
        book = self._home(key, options)
        return self._shown(book, self._found(book, key))

    def add(self, fields: Doc, options: Options) -> Doc:
        """Make an event."""
        book = self._book(options)
        try:
            return self._shown(book, self.desk.insert(book, fields, self._writer(book, options)))
        except Refused as refused:
            raise _said(refused) from None

    def edit(self, key: str, fields: Doc, options: Options) -> Doc:
        """Change an event or an occurrence."""
        book = self._home(key, options)
        self._found(book, key)
        try:
            version = self.desk.patch(book, key, fields, self._writer(book, options))
        except Refused as refused:
            raise _said(refused) from None
        return self._shown(book, version)

    def remove(self, key: str, options: Options) -> None:
        """Delete an event or an occurrence."""
        book = self._home(key, options)
        self._found(book, key)
        try:
            self.desk.delete(book, key, self._writer(book, options))
        except Refused as refused:
            raise _said(refused) from None

    def _book(self, options: Options) -> Book:
        return _book(self.world, options.get("calendar", office(self.world)))

    def _home(self, key: str, options: Options) -> Book:
        if "calendar" in options:
            return self._book(options)
        homes = [one for one in self.world.books.values() if one.find(key)]
        # Guests have copies under the same id: the organiser's is meant.
        for book in homes:
            version = book.find(key)
            if version and version.row.organizer["email"] == book.id:
                return book
        if not homes:
            raise KeyError(f"there is no event {key}")
        return homes[0]

    def _found(self, book: Book, key: str) -> Version[Event]:
        if (version := book.find(key)) is None:
            raise KeyError(f"there is no event {key} in {book.id}")
        return version

    def _writer(self, book: Book, options: Options) -> Writer:
        account, mode = options.get("as", book.data_owner), options.get("sendUpdates", "none")
        return Writer(account, "owner", mode, any_type=True)

    def _shown(self, book: Book, version: Version[Event]) -> Doc:
        reader = Reader(book.data_owner, "owner", book.zone)
        return {**event_shown(book, version, reader), "calendarId": book.id}


@dataclass(frozen=True)
class UserScreen:
    """The administrator's list of users."""

    world: World
    directory: Directory

    def list(self, options: Options) -> list[Doc]:  # noqa: ARG002 - the port has options
        """Return all users, deleted ones too."""
        return [user_shown(one) for one in self.world.people.values()]

    def get(self, key: str, options: Options) -> Doc:  # noqa: ARG002 - the port has options
        """Return a user."""
        return user_shown(self._person(key))

    def add(self, fields: Doc, options: Options) -> Doc:  # noqa: ARG002 - the port has options
        """Make a user."""
        if not fields.get("primaryEmail") or not fields.get("name"):
            raise ValueError("a user has a primaryEmail and a name")
        return user_shown(self.directory.add(fields))

    def edit(self, key: str, fields: Doc, options: Options) -> Doc:  # noqa: ARG002 - the port has options
        """Change a user, such as suspending one."""
        return user_shown(self.directory.edit(self._person(key), fields))

    def remove(self, key: str, options: Options) -> None:  # noqa: ARG002 - the port has options
        """Delete a user."""
        self.directory.remove(self._person(key))

    def _person(self, key: str) -> Person:
        if (person := self.world.person(key)) is None:
            raise KeyError(f"there is no user {key}")
        return person


@dataclass(frozen=True)
class CalendarScreen:
    """Calendars."""

    world: World

    def list(self, options: Options) -> list[Doc]:  # noqa: ARG002 - the port has options
        """Return all calendars that are not deleted."""
        return [calendar_shown(one) for one in self.world.books.values() if not one.deleted]

    def get(self, key: str, options: Options) -> Doc:  # noqa: ARG002 - the port has options
        """Return a calendar."""
        return calendar_shown(_book(self.world, key))

    def add(self, fields: Doc, options: Options) -> Doc:
        """Make a secondary calendar of a person."""
        owner = options.get("person", office(self.world))
        book_id = f"c_{self.world.kit.ids.hex('calendar', 24)}@group.calendar.google.com"
        fields = {"summary": "New calendar", "timeZone": "America/Los_Angeles", **fields}
        return calendar_shown(self.world.add_book(book_id, fields, owner))

    def edit(self, key: str, fields: Doc, options: Options) -> Doc:  # noqa: ARG002 - the port has options
        """Change a calendar's properties."""
        book = _book(self.world, key)
        book.fields = {**book.fields, **fields}
        book.revision = self.world.kit.revisions.next()
        return calendar_shown(book)

    def remove(self, key: str, options: Options) -> None:  # noqa: ARG002 - the port has options
        """Delete a calendar."""
        _book(self.world, key).deleted = True


@dataclass(frozen=True)
class RuleScreen:
    """Sharing rules of a calendar."""

    world: World

    def list(self, options: Options) -> list[Doc]:
        """Return the rules of a calendar."""
        return [rule_shown(one) for one in self._book(options).rules.versions()]

    def get(self, key: str, options: Options) -> Doc:
        """Return a rule."""
        if (version := self._book(options).rules.version(key)) is None:
            raise KeyError(f"there is no rule {key}")
        return rule_shown(version)

    def add(self, fields: Doc, options: Options) -> Doc:
        """Share a calendar."""
        scope: dict[str, Any] = fields.get("scope") or {"type": "default"}
        return self._put(rule_id(scope), fields.get("role"), scope, options)

    def edit(self, key: str, fields: Doc, options: Options) -> Doc:
        """Change a rule."""
        return self._put(key, fields.get("role"), self.get(key, options)["scope"], options)

    def remove(self, key: str, options: Options) -> None:
        """Take back a rule."""
        self._put(key, "none", self.get(key, options)["scope"], options)

    def _book(self, options: Options) -> Book:
        return _book(self.world, options.get("calendar", office(self.world)))

    def _put(self, key: str, role: Any, scope: Doc, options: Options) -> Doc:
        if role not in ROLES:
            raise ValueError(f"a role is one of: {', '.join(ROLES)}")
        gone = {"deleted": True} if role == "none" else {}
        row = {"role": role, "scope": scope, **gone}
        return rule_shown(self._book(options).rules.put(key, row))


@dataclass(frozen=True)
class ListScreen:
    """A person's list of calendars."""

    world: World

    def list(self, options: Options) -> list[Doc]:
        """Return the entries of a person's list."""
        person = self._person(options)
        return [entry_shown(self.world, person, one) for one in person.entries.versions()]

    def get(self, key: str, options: Options) -> Doc:
        """Return an entry."""
        person = self._person(options)
        if (version := person.entries.version(key)) is None:
            raise KeyError(f"{key} is not in the list of {person.email}")
        return entry_shown(self.world, person, version)

    def add(self, fields: Doc, options: Options) -> Doc:
        """Put a calendar into the list."""
        book = _book(self.world, str(fields.get("id")))
        person = self._person(options)
        return entry_shown(self.world, person, person.entries.put(book.id, {"selected": True}))

    def edit(self, key: str, fields: Doc, options: Options) -> Doc:
        """Change an entry, such as hiding it."""
        person = self._person(options)
        self.get(key, options)
        row = {**(person.entries.get(key) or {}), **fields}
        return entry_shown(self.world, person, person.entries.put(key, row))

    def remove(self, key: str, options: Options) -> None:
        """Take a calendar out of the list."""
        self.get(key, options)
        self._person(options).entries.put(key, {"deleted": True})

    def _person(self, options: Options) -> Person:
        name = options.get("person", office(self.world))
        if (person := self.world.person(name)) is None:
            raise KeyError(f"there is no user {name}")
        return person


def _book(world: World, key: str) -> Book:
    book = world.books.get(key)
    if book is None or book.deleted:
        raise KeyError(f"there is no calendar {key}")
    return book
