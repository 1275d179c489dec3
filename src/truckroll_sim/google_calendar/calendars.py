"""Calendars, people's calendar lists, sharing rules and settings (sections 4 and 5).

Choice where the sheet says "unknown": inserting a calendar that is in the list already answers
200 and changes nothing but what the body says.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from truckroll_sim.google_calendar.access import Gate
from truckroll_sim.google_calendar.channels import Channels, Resource
from truckroll_sim.google_calendar.errors import invalid, not_found, refusal, required
from truckroll_sim.google_calendar.fields import merge_patch
from truckroll_sim.google_calendar.listing import flag, read_token, size_of
from truckroll_sim.google_calendar.shapes import (
    CalendarBody,
    ChannelBody,
    EntryBody,
    RuleBody,
    body_of,
)
from truckroll_sim.google_calendar.times import Doc, zone_of
from truckroll_sim.google_calendar.views import etag_of
from truckroll_sim.google_calendar.world import ROLES, Book, Person, World
from truckroll_sim.kit.auth import Grant
from truckroll_sim.kit.calls import Answer, Call
from truckroll_sim.kit.paging import keyed, seal, unseal
from truckroll_sim.kit.state import Table, Version

_CALENDAR_FIELDS = ("summary", "description", "location", "timeZone", "workingHours")
_ENTRY_FIELDS = (
    "backgroundColor",
    "colorId",
    "defaultReminders",
    "foregroundColor",
    "hidden",
    "notificationSettings",
    "selected",
    "summaryOverride",
)
_SCOPE_KINDS = ("default", "user", "group", "domain")
_READ_LIST = (
    "calendar",
    "calendar.calendarlist",
    "calendar.calendarlist.readonly",
    "calendar.readonly",
)
_WRITE_LIST = ("calendar", "calendar.calendarlist")
_READ_BOOKS = (
    "calendar",
    "calendar.calendars",
    "calendar.calendars.readonly",
    "calendar.readonly",
    "calendar.app.created",
)
_WRITE_BOOKS = ("calendar", "calendar.calendars", "calendar.app.created")
_READ_RULES = ("calendar", "calendar.acls", "calendar.acls.readonly", "calendar.readonly")
_WRITE_RULES = ("calendar", "calendar.acls")
_READ_SETTINGS = (
    "calendar",
    "calendar.readonly",
    "calendar.settings",
    "calendar.settings.readonly",
)
_SIZE, _LARGEST = 100, 250

Shown = Callable[[Version[Doc]], Doc]


@dataclass(frozen=True)
class Calendars:
    """The handlers of all that is not events."""

    world: World
    gate: Gate
    channels: Channels

    # Calendars

    def get_calendar(self, call: Call) -> Answer:
        """GET /calendars/{calendarId}."""
        grant = self.gate.enter(call, _READ_BOOKS)
        book, _ = self.gate.book(grant, call.parts["calendar"], "freeBusyReader")
        return Answer.json(calendar_shown(book))

    def insert_calendar(self, call: Call) -> Answer:
        """POST /calendars: the caller becomes the data owner."""
        grant = self.gate.enter(call, _WRITE_BOOKS)
        body = body_of(call, CalendarBody)
        if not body.get("summary"):
            raise required("Missing title.", "summary")
        book_id = f"c_{self.world.kit.ids.hex('calendar', 24)}@group.calendar.google.com"
        fields = _calendar_fields(body, "UTC")
        book = self.world.add_book(book_id, fields, grant.account)
        self.channels.changed("calendarList", grant.account)
        return Answer.json(calendar_shown(book))

    def change_calendar(self, call: Call) -> Answer:
        """PATCH or PUT /calendars/{calendarId}."""
        grant = self.gate.enter(call, _WRITE_BOOKS)
        book, _ = self.gate.book(grant, call.parts["calendar"], "owner")
        _check_etag(call, book.revision)
        body = body_of(call, CalendarBody)
        merged = merge_patch(book.fields, body) if call.method == "PATCH" else body
        if not merged.get("summary"):
            raise required("Missing title.", "summary")
        book.fields = _calendar_fields(merged, book.zone)
        book.revision = self.world.kit.revisions.next()
        return Answer.json(calendar_shown(book))

    def delete_calendar(self, call: Call) -> Answer:
        """DELETE /calendars/{calendarId}: a secondary one, with all its events."""
        grant = self.gate.enter(call, _WRITE_BOOKS)
        book, _ = self.gate.book(grant, call.parts["calendar"], "owner")
        if book.primary:
            raise refusal(403, "forbidden", "A primary calendar cannot be deleted.")
        book.deleted = True
        for person in self.world.people.values():
            if book.id in person.entries:
                self._drop_entry(person, book.id)
        self.channels.changed("events", book.id, "not_exists")
        return Answer.empty()

    def clear_calendar(self, call: Call) -> Answer:
        """POST /calendars/{calendarId}/clear: all events of a primary calendar go."""
        grant = self.gate.enter(call, _WRITE_BOOKS)
        book, _ = self.gate.book(grant, call.parts["calendar"], "owner")
        if not book.primary:
            raise invalid("Only primary calendars can be cleared.")
        for version in list(book.events.versions()):
            book.events.drop(version.key)
        self.channels.changed("events", book.id)
        return Answer.empty()

    def transfer_calendar(self, call: Call) -> Answer:
        """POST /calendars/{calendarId}/transferOwnership, by an administrator."""
        grant = self.gate.enter(call, ("calendar", "calendar.calendars"))
        owner, admin = call.one("newDataOwner"), flag(call, "useAdminAccess")
        if owner is None or admin is None:
            raise required("Missing newDataOwner or useAdminAccess.")
        person, new = self.world.people.get(grant.account), self.world.people.get(owner)
        if not admin or person is None or not person.fields.get("isAdmin"):
            raise refusal(403, "forbidden", "Manage Calendars privilege is needed.")
        book = self.world.books.get(call.parts["calendar"])
        if book is None or book.deleted or new is None:
            raise not_found()
        if book.primary:
            raise invalid("Only secondary calendars can be transferred.")
        book.data_owner = owner
        book.rules.put(f"user:{owner}", _rule("owner", {"type": "user", "value": owner}))
        new.entries.put(book.id, {"selected": True})
        return Answer.empty()

    # The list of a person

    def list_entries(self, call: Call) -> Answer:
        """GET /users/me/calendarList."""
        grant = self.gate.enter(call, _READ_LIST)
        person = self._person(grant)
        least = call.one("minAccessRole")
        if call.one("syncToken") is not None and (least or flag(call, "showOwnOrganizationOnly")):
            raise refusal(400, "badRequest", "minAccessRole cannot be used with syncToken.")
        hidden = bool(flag(call, "showHidden")) or call.one("syncToken") is not None

        def wanted(version: Version[Doc]) -> bool:
            role = self.world.role(self.world.books[version.key], grant.account)
            return (hidden or not version.row.get("hidden")) and (
                least is None or ROLES.index(role) >= ROLES.index(least)
            )

        page = self._page(call, person.entries, grant.account, wanted)
        items = [entry_shown(self.world, person, one) for one in page["items"]]
        return Answer.json({**page, "kind": "calendar#calendarList", "items": items})

    def get_entry(self, call: Call) -> Answer:
        """GET /users/me/calendarList/{calendarId}."""
        person = self._person(self.gate.enter(call, (*_READ_LIST, "calendar.app.created")))
        return Answer.json(entry_shown(self.world, person, self._entry(person, call)))

    def insert_entry(self, call: Call) -> Answer:
        """POST /users/me/calendarList: a calendar that is shared with the person."""
        grant = self.gate.enter(call, _WRITE_LIST)
        person, body = self._person(grant), body_of(call, EntryBody)
        if not body.get("id"):
            raise required("Missing calendar id.", "id")
        book, _ = self.gate.book(grant, str(body["id"]), "freeBusyReader")
        known = person.entries.get(book.id) or {}
        known = {} if known.get("deleted") else known
        version = person.entries.put(book.id, {**known, **_some(body, _ENTRY_FIELDS)})
        self.channels.changed("calendarList", person.email)
        return Answer.json(entry_shown(self.world, person, version))

    def change_entry(self, call: Call) -> Answer:
        """PATCH or PUT /users/me/calendarList/{calendarId}."""
        person = self._person(self.gate.enter(call, (*_WRITE_LIST, "calendar.app.created")))
        version, body = self._entry(person, call), body_of(call, EntryBody)
        _check_etag(call, version.revision)
        base = version.row if call.method == "PATCH" else _some(version.row, ("primary",))
        merged = {**base, **_some(merge_patch(base, body), _ENTRY_FIELDS)}
        changed = person.entries.put(version.key, merged)
        self.channels.changed("calendarList", person.email)
        return Answer.json(entry_shown(self.world, person, changed))

    def delete_entry(self, call: Call) -> Answer:
        """DELETE /users/me/calendarList/{calendarId}."""
        person = self._person(self.gate.enter(call, (*_WRITE_LIST, "calendar.app.created")))
        version = self._entry(person, call)
        if version.row.get("primary"):
            raise refusal(403, "forbidden", "The primary calendar stays in the list.")
        self._drop_entry(person, version.key)
        return Answer.empty()

    def watch_entries(self, call: Call) -> Answer:
        """POST /users/me/calendarList/watch."""
        grant = self.gate.enter(call, _READ_LIST)
        uri = f"{call.base}/calendar/v3/users/me/calendarList?alt=json"
        resource = Resource("calendarList", grant.account, uri)
        return Answer.json(self.channels.watch(resource, body_of(call, ChannelBody), grant.account))

    # Sharing rules

    def list_rules(self, call: Call) -> Answer:
        """GET /calendars/{calendarId}/acl."""
        grant = self.gate.enter(call, _READ_RULES)
        book, _ = self.gate.book(grant, call.parts["calendar"], "writer")
        page = self._page(call, book.rules, f"acl {book.id}", lambda _: True)
        items = [rule_shown(one) for one in page["items"]]
        return Answer.json({**page, "kind": "calendar#acl", "items": items})

    def get_rule(self, call: Call) -> Answer:
        """GET /calendars/{calendarId}/acl/{ruleId}."""
        grant = self.gate.enter(call, _READ_RULES)
        book, _ = self.gate.book(grant, call.parts["calendar"], "writer")
        return Answer.json(rule_shown(_live(book.rules, call.parts["rule"])))

    def insert_rule(self, call: Call) -> Answer:
        """POST /calendars/{calendarId}/acl: writes over a rule of the same scope (section 10)."""
        grant = self.gate.enter(call, _WRITE_RULES)
        book, _ = self.gate.book(grant, call.parts["calendar"], "owner")
        body = body_of(call, RuleBody)
        scope = body.get("scope") or {}
        if scope.get("type") not in _SCOPE_KINDS:
            raise invalid("Invalid scope type.", "scope")
        if scope["type"] != "default" and not scope.get("value"):
            raise required("Missing scope value.", "scope")
        return self._put_rule(call, book, rule_id(scope), body.get("role"), scope)

    def change_rule(self, call: Call) -> Answer:
        """PATCH or PUT /calendars/{calendarId}/acl/{ruleId}."""
        grant = self.gate.enter(call, _WRITE_RULES)
        book, _ = self.gate.book(grant, call.parts["calendar"], "owner")
        known = _live(book.rules, call.parts["rule"])
        _check_etag(call, known.revision)
        role = body_of(call, RuleBody).get("role", known.row["role"])
        return self._put_rule(call, book, known.key, role, known.row["scope"])

    def delete_rule(self, call: Call) -> Answer:
        """DELETE /calendars/{calendarId}/acl/{ruleId}: nobody is told (section 4)."""
        grant = self.gate.enter(call, _WRITE_RULES)
        book, _ = self.gate.book(grant, call.parts["calendar"], "owner")
        known = _live(book.rules, call.parts["rule"])
        book.rules.put(known.key, {**known.row, "role": "none", "deleted": True})
        self.channels.changed("acl", book.id)
        return Answer.empty()

    def watch_rules(self, call: Call) -> Answer:
        """POST /calendars/{calendarId}/acl/watch."""
        grant = self.gate.enter(call, _READ_RULES)
        book, _ = self.gate.book(grant, call.parts["calendar"], "writer")
        resource = Resource("acl", book.id, f"{call.base}/calendar/v3/calendars/{book.id}/acl")
        return Answer.json(self.channels.watch(resource, body_of(call, ChannelBody), grant.account))

    # Settings

    def list_settings(self, call: Call) -> Answer:
        """GET /users/me/settings."""
        grant = self.gate.enter(call, _READ_SETTINGS)
        settings = self._person(grant).settings
        page = self._page(call, settings, f"settings {grant.account}", lambda _: True)
        items = [_setting_shown(one) for one in page["items"]]
        return Answer.json({**page, "kind": "calendar#settings", "items": items})

    def get_setting(self, call: Call) -> Answer:
        """GET /users/me/settings/{setting}."""
        person = self._person(self.gate.enter(call, _READ_SETTINGS))
        return Answer.json(_setting_shown(_live(person.settings, call.parts["setting"])))

    def _person(self, grant: Grant) -> Person:
        person = self.world.people.get(grant.account)
        if person is None:  # a service account by itself: no side bar until it has one
            kit = self.world.kit
            person = Person({"id": "0", "primaryEmail": grant.account}, kit.table(), kit.table(), 0)
        return person

    def _entry(self, person: Person, call: Call) -> Version[Doc]:
        name = call.parts["calendar"]
        return _live(person.entries, person.email if name == "primary" else name)

    def _drop_entry(self, person: Person, book_id: str) -> None:
        person.entries.put(book_id, {"deleted": True})
        self.channels.changed("calendarList", person.email)

    def _put_rule(self, call: Call, book: Book, name: str, role: Any, scope: Doc) -> Answer:
        if role not in ROLES:
            raise invalid("Invalid role.", "role")
        version = book.rules.put(name, _rule(role, scope))
        self.channels.changed("acl", book.id)
        # The default of `sendNotifications` is true; a removal is told to nobody.
        if flag(call, "sendNotifications") is not False and role != "none":
            for email in self._meant(scope):
                self.world.kit.outbox.tell(email, book.fields["summary"], f"shared as {role}")
        return Answer.json(rule_shown(version))

    def _meant(self, scope: Doc) -> list[str]:
        if scope["type"] in ("user", "group"):
            return self.world.members(scope["value"]) or [scope["value"]]
        return []

    def _page(
        self,
        call: Call,
        table: Table[Doc],
        of: str,
        wanted: Callable[[Version[Doc]], bool],
    ) -> Doc:
        """Return a page of any collection with sync tokens; its items are versions."""
        lag = self.world.kit.faults.lag_seconds(call)
        since, after, horizon = 0, None, table.horizon(lag)
        token, page_token = call.one("syncToken"), call.one("pageToken")
        if token is not None:
            if flag(call, "showDeleted") is False or flag(call, "showHidden") is False:
                raise refusal(400, "badRequest", "Deleted ones always come with syncToken.")
            since = read_token(self.world, call, token, of)["since"]
        if page_token is not None:
            since, after, horizon = _place(page_token, of)
        deleted = bool(flag(call, "showDeleted") or since)
        found: Iterable[Version[Doc]] = (
            one
            for one in table.versions(lag)
            if one.revision > since
            and (deleted or not one.row.get("deleted"))
            and (one.row.get("deleted") or wanted(one))
        )
        page = keyed(list(found), after, size_of(call, _SIZE, _LARGEST), lambda one: one.place)
        doc: Doc = {"etag": etag_of(horizon), "items": page.items}
        if page.more:
            doc["nextPageToken"] = seal([of, since, page.items[-1].place, horizon])
        else:
            at = self.world.kit.clock.now().timestamp()
            doc["nextSyncToken"] = seal({"of": of, "since": horizon, "at": at})
        return doc


def calendar_shown(book: Book) -> Doc:
    """Return a calendar as the vendor shows it."""
    owner = {} if book.primary else {"dataOwner": book.data_owner}
    kept = {"kind": "calendar#calendar", "etag": etag_of(book.revision), "id": book.id}
    return {**kept, **book.fields, "timeZone": book.zone, **owner}


def entry_shown(world: World, person: Person, version: Version[Doc]) -> Doc:
    """Return an entry of a person's list as the vendor shows it."""
    doc = {
        "kind": "calendar#calendarListEntry",
        "etag": etag_of(version.revision),
        "id": version.key,
    }
    if version.row.get("deleted"):
        return {**doc, "deleted": True}
    book = world.books[version.key]
    seen = _some(book.fields, ("summary", "description", "location"))
    return {
        **doc,
        **seen,
        "timeZone": book.zone,
        "accessRole": world.role(book, person.email),
        "defaultReminders": [],
        **({} if book.primary else {"dataOwner": book.data_owner}),
        **version.row,
    }


def rule_shown(version: Version[Doc]) -> Doc:
    """Return a sharing rule as the vendor shows it."""
    kept = {"kind": "calendar#aclRule", "etag": etag_of(version.revision), "id": version.key}
    return {**kept, **_some(version.row, ("role", "scope"))}


def rule_id(scope: Doc) -> str:
    """Return the id of the rule of a scope."""
    return "default" if scope["type"] == "default" else f"{scope['type']}:{scope['value']}"


def _rule(role: str, scope: Doc) -> Doc:
    kept = _some(scope, ("type", "value"))
    return {"role": role, "scope": kept} | ({"deleted": True} if role == "none" else {})


def _setting_shown(version: Version[Doc]) -> Doc:
    return {"kind": "calendar#setting", "etag": etag_of(version.revision), **version.row}


def _live(table: Table[Doc], key: str) -> Version[Doc]:
    version = table.version(key)
    if version is None or version.row.get("deleted"):
        raise not_found()
    return version


def _calendar_fields(body: Doc, zone: str) -> Doc:
    fields = {"timeZone": zone, **_some(body, _CALENDAR_FIELDS)}
    zone_of(str(fields["timeZone"]), "calendar")
    return fields


def _some(doc: Doc, names: Iterable[str]) -> Doc:
    return {name: doc[name] for name in names if doc.get(name) is not None}


def _check_etag(call: Call, revision: int) -> None:
    if call.headers.get("If-Match") not in (None, "*", etag_of(revision)):
        raise refusal(412, "conditionNotMet", location="If-Match", location_type="header")


def _place(token: str, of: str) -> tuple[int, int, int]:
    try:
        sealed = unseal(token)
    except ValueError:
        sealed = None
    if not isinstance(sealed, list) or len(sealed) != 4 or sealed[0] != of:  # noqa: PLR2004 - as sealed
        raise invalid("Invalid page token value.", "pageToken")
    return sealed[1], sealed[2], sealed[3]
