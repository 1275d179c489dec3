"""Google Calendar and Google Workspace as one system under two names."""

import random
from typing import Any

from truckroll_sim.google_calendar.access import Gate
from truckroll_sim.google_calendar.batch import answered, parts_of
from truckroll_sim.google_calendar.calendars import Calendars
from truckroll_sim.google_calendar.channels import Channels
from truckroll_sim.google_calendar.company import found, office, sample
from truckroll_sim.google_calendar.desk import Desk
from truckroll_sim.google_calendar.directory import Directory
from truckroll_sim.google_calendar.errors import error_answer
from truckroll_sim.google_calendar.events import Events
from truckroll_sim.google_calendar.oauth import SignIn, all_scopes
from truckroll_sim.google_calendar.screens import (
    CalendarScreen,
    EventScreen,
    ListScreen,
    RuleScreen,
    UserScreen,
)
from truckroll_sim.google_calendar.world import World
from truckroll_sim.kit.calls import Answer, Call, Handler
from truckroll_sim.kit.faults import Fault
from truckroll_sim.kit.system import Kit, System

_REASONS = {
    400: "badRequest",
    401: "authError",
    403: "userRateLimitExceeded",
    404: "notFound",
    409: "conflict",
    410: "fullSyncRequired",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
}


class GoogleCalendar(System):
    """Calendar API v3 below `/calendar/v3`, Directory API v1 below `/admin/directory/v1`.

    The token endpoint is `/token`, the consent page `/o/oauth2/v2/auth`, the batch endpoint
    `/batch/calendar/v3`.

    Acts: `revoke` takes back the grants of `account` (all, if it is not said); `expire-tokens`
    ends access tokens alone; `limits` sets the requests per minute `per_user` and `per_project`
    (the vendor's 600 and 10,000 until then); `delegate` sets the `scopes` that the service account
    may ask for on behalf of people; `sign-in` answers tokens of `account` for `scopes`.
    """

    name = "google-calendar"
    also = ("google-workspace",)

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.world = World(kit)
        self.gate = Gate(self.world)
        self.channels = Channels(kit)
        self.desk = Desk(self.world, lambda book: self.channels.changed("events", book.id))
        self.sign_in = SignIn(self.world, delegated=all_scopes())
        self.directory = Directory(self.world, self.gate, self.channels)
        self._order = random.Random("batch")
        found(self.world)
        self._add_routes()
        self.records = {
            "events": EventScreen(self.world, self.desk),
            "users": UserScreen(self.world, self.directory),
            "calendars": CalendarScreen(self.world),
            "acl": RuleScreen(self.world),
            "calendar-list": ListScreen(self.world),
        }
        self.acts = {
            "revoke": self._revoke,
            "expire-tokens": lambda wanted: {"gone": kit.tokens.revoke(wanted.get("account"))},
            "limits": self._limits,
            "delegate": self._delegate,
            "sign-in": self._signed_in,
        }

    def credentials(self, base: str) -> dict[str, Any]:
        """Return a signed-in client of the office, and a service account with delegation."""
        account = office(self.world)
        return {
            "account": account,
            "client_id": self.sign_in.client_id,
            "client_secret": self.sign_in.client_secret,
            "api": f"{base}/calendar/v3",
            "directory": f"{base}/admin/directory/v1",
            "batch": f"{base}/batch/calendar/v3",
            "token": f"{base}/token",
            "authorize": f"{base}/o/oauth2/v2/auth",
            **self._signed_in({"account": account}),
            "service_account": self.sign_in.key_file(base),
        }

    def seed(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Make the sample company: see `company.Parameters`."""
        return sample(self.world, self.desk, parameters)

    def account(self, call: Call) -> str | None:
        """Return who is signed in."""
        return self.gate.account(call)

    def not_found(self, call: Call) -> Answer:
        """Return the vendor's answer to an unknown path."""
        del call
        return error_answer(404, "notFound")

    def trouble(self, call: Call, fault: Fault) -> Answer:
        """Return an injected error: its reason, or the usual one of its status."""
        if call.path == "/token":
            return Answer.json({"error": fault.reason or "internal_failure"}, fault.status)
        return error_answer(
            fault.status, fault.reason or _REASONS.get(fault.status, "backendError")
        )

    async def batch(self, call: Call) -> Answer:
        """Answer `/batch/calendar/v3`: each part counts, and may fail, by itself."""
        parts = parts_of(call, (self.name, *self.also))
        return await answered(parts, self.answer_unlogged, self.logged, self._order)

    def _add_routes(self) -> None:
        for method, pattern, handler in (*self._event_routes(), *self._other_routes()):
            self.routes.add(method, pattern, handler)

    def _event_routes(self) -> list[tuple[str, str, Handler]]:
        events = Events(self.world, self.gate, self.desk, self.channels)
        many = "/calendar/v3/calendars/{calendar}/events"
        one = many + "/{event}"
        return [
            ("GET", many, events.list),
            ("POST", many, events.insert),
            ("POST", many + "/import", events.import_),
            ("POST", many + "/watch", events.watch),
            ("GET", one, events.get),
            ("PATCH", one, events.patch),
            ("PUT", one, events.update),
            ("DELETE", one, events.delete),
            ("POST", one + "/move", events.move),
            ("GET", one + "/instances", events.instances),
            ("POST", "/calendar/v3/freeBusy", events.free_busy),
            ("POST", "/calendar/v3/channels/stop", events.stop),
            ("POST", "/admin/directory_v1/channels/stop", events.stop),
            ("POST", "/batch/calendar/v3", self.batch),
            ("POST", "/batch", self.batch),
            ("POST", "/token", self.sign_in.token),
            ("GET", "/o/oauth2/v2/auth", self.sign_in.authorize),
        ]

    def _other_routes(self) -> list[tuple[str, str, Handler]]:
        calendars, directory = Calendars(self.world, self.gate, self.channels), self.directory
        books, own = "/calendar/v3/calendars", "/calendar/v3/users/me"
        book, entry = books + "/{calendar}", own + "/calendarList/{calendar}"
        rules, users = book + "/acl", "/admin/directory/v1/users"
        resources = "/admin/directory/v1/customer/{customer}/resources/calendars"
        return [
            ("POST", books, calendars.insert_calendar),
            ("GET", book, calendars.get_calendar),
            ("PATCH", book, calendars.change_calendar),
            ("PUT", book, calendars.change_calendar),
            ("DELETE", book, calendars.delete_calendar),
            ("POST", book + "/clear", calendars.clear_calendar),
            ("POST", book + "/transferOwnership", calendars.transfer_calendar),
            ("GET", rules, calendars.list_rules),
            ("POST", rules, calendars.insert_rule),
            ("POST", rules + "/watch", calendars.watch_rules),
            ("GET", rules + "/{rule}", calendars.get_rule),
            ("PATCH", rules + "/{rule}", calendars.change_rule),
            ("PUT", rules + "/{rule}", calendars.change_rule),
            ("DELETE", rules + "/{rule}", calendars.delete_rule),
            ("GET", own + "/calendarList", calendars.list_entries),
            ("POST", own + "/calendarList", calendars.insert_entry),
            ("POST", own + "/calendarList/watch", calendars.watch_entries),
            ("GET", entry, calendars.get_entry),
            ("PATCH", entry, calendars.change_entry),
            ("PUT", entry, calendars.change_entry),
            ("DELETE", entry, calendars.delete_entry),
            ("GET", own + "/settings", calendars.list_settings),
            ("GET", own + "/settings/{setting}", calendars.get_setting),
            ("GET", users, directory.list_users),
            ("POST", users, directory.insert_user),
            ("POST", users + "/watch", directory.watch_users),
            ("GET", users + "/{user}", directory.get_user),
            ("PATCH", users + "/{user}", directory.change_user),
            ("PUT", users + "/{user}", directory.change_user),
            ("DELETE", users + "/{user}", directory.delete_user),
            ("GET", "/admin/directory/v1/groups", directory.list_groups),
            ("GET", "/admin/directory/v1/groups/{group}/members", directory.list_members),
            ("GET", resources, directory.list_resources),
            ("GET", resources + "/{resource}", directory.get_resource),
        ]

    def _revoke(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"gone": self.sign_in.revoke(wanted.get("account"))}

    def _limits(self, wanted: dict[str, Any]) -> dict[str, Any]:
        quota = self.gate.quota
        quota.per_user = int(wanted.get("per_user", quota.per_user))
        quota.per_project = int(wanted.get("per_project", quota.per_project))
        return {"per_user": quota.per_user, "per_project": quota.per_project}

    def _delegate(self, wanted: dict[str, Any]) -> dict[str, Any]:
        scopes = wanted.get("scopes")
        self.sign_in.delegated = all_scopes() if scopes is None else frozenset(scopes)
        return {"scopes": sorted(self.sign_in.delegated)}

    def _signed_in(self, wanted: dict[str, Any]) -> dict[str, Any]:
        account = str(wanted.get("account") or office(self.world))
        if account not in self.world.people:
            raise KeyError(f"there is no user {account}")
        scopes = wanted.get("scopes") or all_scopes()
        token = self.kit.tokens.issue(account, scopes, self.sign_in.life_seconds, prefix="ya29.")
        return {
            "access_token": token,
            "refresh_token": self.sign_in.consent(account, scopes),
            "expires_in": self.sign_in.life_seconds,
            "scope": " ".join(sorted(scopes)),
        }
