"""Users, groups and resource calendars of the organisation (google-workspace, section 4).

`query` of users takes clauses `field=value` and `field:value*` joined by spaces, over the fields
that a hub needs; any other is refused (400).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from truckroll_sim.google_calendar.access import Gate
from truckroll_sim.google_calendar.channels import Channels, Resource
from truckroll_sim.google_calendar.errors import invalid, not_found, refusal, required
from truckroll_sim.google_calendar.fields import merge_patch
from truckroll_sim.google_calendar.listing import size_of
from truckroll_sim.google_calendar.shapes import ChannelBody, UserBody, body_of
from truckroll_sim.google_calendar.times import Doc
from truckroll_sim.google_calendar.views import etag_of
from truckroll_sim.google_calendar.world import CUSTOMER, Person, World
from truckroll_sim.kit.auth import Grant
from truckroll_sim.kit.calls import Answer, Call
from truckroll_sim.kit.clock import stamp
from truckroll_sim.kit.paging import keyed, seal, unseal

_USERS = ("admin.directory.user", "admin.directory.user.readonly")
_GROUPS = ("admin.directory.group", "admin.directory.group.readonly")
_MEMBERS = (*_GROUPS, "admin.directory.group.member", "admin.directory.group.member.readonly")
_RESOURCES = (
    "admin.directory.resource.calendar",
    "admin.directory.resource.calendar.readonly",
)
_CLAUSE = re.compile(r"(\w+)\s*(=|:)\s*('[^']*'|\S+)")
_QUERIED: dict[str, Callable[[Doc], Any]] = {
    "email": lambda user: user["primaryEmail"],
    "familyName": lambda user: user["name"]["familyName"],
    "givenName": lambda user: user["name"]["givenName"],
    "isArchived": lambda user: str(user["archived"]).lower(),
    "isSuspended": lambda user: str(user["suspended"]).lower(),
    "orgUnitPath": lambda user: user["orgUnitPath"],
}
_ORDERS = ("email", "familyName", "givenName")
_READ_ONLY = ("id", "customerId", "creationTime", "isAdmin", "etag", "kind")
_TWO_HOURS, _TWO_DAYS = 7_200, 172_800
_EVENTS = ("add", "delete", "makeAdmin", "undelete", "update")


@dataclass(frozen=True)
class Directory:
    """The handlers of the directory."""

    world: World
    gate: Gate
    channels: Channels

    def list_users(self, call: Call) -> Answer:
        """GET /users: by domain or customer, one of which is required."""
        grant = self._admin(call, _USERS)
        self._check_customer(call)
        deleted = (call.one("showDeleted") or "false").lower() == "true"
        people = [
            one
            for one in self.world.people.values()
            if one.deleted is deleted
            and (call.one("domain") is None or one.email.endswith(f"@{call.one('domain')}"))
            and _matches(one.fields, call.one("query"))
        ]
        order = call.one("orderBy") or "email"
        if order not in _ORDERS:
            raise invalid("Invalid Input: orderBy", "orderBy")
        people.sort(key=lambda one: str(_QUERIED[order](one.fields)).casefold())
        if call.one("sortOrder") == "DESCENDING":
            people.reverse()
        page, more = _paged(people, call, 100, 500)
        shown = [user_shown(one) for one in page]
        del grant
        doc = {"kind": "admin#directory#users", "etag": _etag(self.world), "users": shown}
        return Answer.json({**doc, **more})

    def get_user(self, call: Call) -> Answer:
        """GET /users/{userKey}: by primary address, alias or id."""
        self._admin(call, _USERS)
        return Answer.json(user_shown(self._person(call)))

    def insert_user(self, call: Call) -> Answer:
        """POST /users."""
        self._admin(call, _USERS[:1])
        body = body_of(call, UserBody)
        name = body.get("name") or {}
        if not (body.get("primaryEmail") and name.get("givenName") and name.get("familyName")):
            raise required("Invalid Input: primaryEmail and name are required.")
        if self.world.person(body["primaryEmail"]):
            raise refusal(409, "duplicate", "Entity already exists.")
        return Answer.json(user_shown(self.add(body)))

    def change_user(self, call: Call) -> Answer:
        """PATCH or PUT /users/{userKey}: both merge (section 4)."""
        self._admin(call, _USERS[:1])
        person = self._person(call)
        return Answer.json(user_shown(self.edit(person, body_of(call, UserBody))))

    def delete_user(self, call: Call) -> Answer:
        """DELETE /users/{userKey}."""
        self._admin(call, _USERS[:1])
        self.remove(self._person(call))
        return Answer.empty()

    def watch_users(self, call: Call) -> Answer:
        """POST /users/watch: two hours by default, two days at most (section 7)."""
        grant = self._admin(call, _USERS)
        self._check_customer(call)
        event = call.one("event")
        if event is not None and event not in _EVENTS:
            raise invalid("Invalid Input: event", "event")
        uri = f"{call.base}/admin/directory/v1/users?alt=json"
        resource = Resource("users", CUSTOMER, uri, _TWO_HOURS, _TWO_DAYS)
        return Answer.json(
            self.channels.watch(resource, body_of(call, ChannelBody), grant.account, event)
        )

    def list_groups(self, call: Call) -> Answer:
        """GET /groups."""
        self._admin(call, _GROUPS)
        self._check_customer(call)
        page, more = _paged(list(self.world.groups.values()), call, 200, 200)
        shown = [_group_shown(one) for one in page]
        doc = {"kind": "admin#directory#groups", "etag": _etag(self.world), "groups": shown}
        return Answer.json({**doc, **more})

    def list_members(self, call: Call) -> Answer:
        """GET /groups/{groupKey}/members."""
        self._admin(call, _MEMBERS)
        group = self.world.groups.get(call.parts["group"])
        if group is None:
            raise refusal(404, "notFound", "Resource Not Found: groupKey")
        page, more = _paged(group["members"], call, 200, 200)
        shown = [{"kind": "admin#directory#member", **one} for one in page]
        doc = {"kind": "admin#directory#members", "etag": _etag(self.world), "members": shown}
        return Answer.json({**doc, **more})

    def list_resources(self, call: Call) -> Answer:
        """GET /customer/{customer}/resources/calendars."""
        self._admin(call, _RESOURCES)
        page, more = _paged(list(self.world.resources.values()), call, 500, 500)
        kind = "admin#directory#resources#calendars#calendarResourcesList"
        doc = {"kind": kind, "etag": _etag(self.world), "items": page}
        return Answer.json({**doc, **more})

    def get_resource(self, call: Call) -> Answer:
        """GET /customer/{customer}/resources/calendars/{calendarResourceId}."""
        self._admin(call, _RESOURCES)
        if (found := self.world.resources.get(call.parts["resource"])) is None:
            raise refusal(404, "notFound", "Resource Not Found: resourceCalendar")
        return Answer.json(found)

    # What both the API and a person at the console do

    def add(self, body: Doc) -> Person:
        """Make a user."""
        name = body["name"]
        more = {k: v for k, v in body.items() if k not in ("primaryEmail", "name", "password")}
        given, family = name["givenName"], name["familyName"]
        person = self.world.add_person(body["primaryEmail"], given, family, **more)
        self._tell(person, "add")
        return person

    def edit(self, person: Person, body: Doc) -> Person:
        """Change a user; a new primary address keeps id and calendar's events."""
        changes = {k: v for k, v in body.items() if k not in _READ_ONLY}
        old = person.email
        person.fields = merge_patch(person.fields, changes)
        name = {**person.fields["name"], **(changes.get("name") or {})}
        name["fullName"] = f"{name['givenName']} {name['familyName']}"
        person.fields["name"] = name
        person.revision = self.world.kit.revisions.next()
        if person.email != old:
            self.world.rename(old, person)
        self._tell(person, "update")
        return person

    def remove(self, person: Person) -> None:
        """Delete a user."""
        person.deleted = True
        person.fields = {**person.fields, "deletionTime": stamp(self.world.kit.clock.now())}
        person.revision = self.world.kit.revisions.next()
        self._tell(person, "delete")

    def _tell(self, person: Person, event: str) -> None:
        shown = user_shown(person)
        told = {name: shown[name] for name in ("kind", "id", "etag", "primaryEmail")}
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        body = msgspec.json.encode(told)
        self.channels.changed("users", CUSTOMER, event, headers=headers, body=body)

    def _admin(self, call: Call, scopes: tuple[str, ...]) -> Grant:
        grant = self.gate.enter(call, scopes)
        person = self.world.people.get(grant.account)
        if person is None or not person.fields.get("isAdmin"):
            raise refusal(403, "forbidden", "Not Authorized to access this resource/api")
        return grant

    def _person(self, call: Call) -> Person:
        person = self.world.person(call.parts["user"])
        if person is None or person.deleted:
            raise refusal(404, "notFound", "Resource Not Found: userKey")
        return person

    def _check_customer(self, call: Call) -> None:
        customer, domain = call.one("customer"), call.one("domain")
        if customer is None and domain is None:
            raise refusal(400, "badRequest", "Bad Request")
        if customer not in (None, "my_customer", CUSTOMER):
            raise not_found()


def user_shown(person: Person) -> Doc:
    """Return a user as the vendor shows it."""
    kept = {"kind": "admin#directory#user", "etag": etag_of(person.revision)}
    return {**kept, **{k: v for k, v in person.fields.items() if k != "timeZone"}}


def _group_shown(group: Doc) -> Doc:
    shown = {name: value for name, value in group.items() if name != "members"}
    count = str(len(group["members"]))
    return {"kind": "admin#directory#group", **shown, "directMembersCount": count}


def _etag(world: World) -> str:
    return etag_of(world.kit.revisions.last)


def _matches(user: Doc, query: str | None) -> bool:
    for field, operator, quoted in _CLAUSE.findall(query or ""):
        if field not in _QUERIED:
            raise invalid("Invalid Input: query", "query")
        value, held = quoted.strip("'").casefold(), str(_QUERIED[field](user)).casefold()
        if field == "orgUnitPath":
            if not (held == value or held.startswith(value.rstrip("/") + "/")):
                return False
        elif operator == ":" and value.endswith("*"):
            if not held.startswith(value[:-1]):
                return False
        elif held != value:
            return False
    return True


def _paged(items: list[Any], call: Call, size: int, largest: int) -> tuple[list[Any], Doc]:
    after = None
    if (token := call.one("pageToken")) is not None:
        try:
            after = unseal(token)
        except ValueError:
            raise invalid("Invalid Input: pageToken", "pageToken") from None
        if not isinstance(after, int):
            raise invalid("Invalid Input: pageToken", "pageToken")
    numbered = list(enumerate(items))
    page = keyed(numbered, after, size_of(call, size, largest), lambda one: one[0])
    more = {"nextPageToken": seal(page.items[-1][0])} if page.more else {}
    return [one for _, one in page.items], more
