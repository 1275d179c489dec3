"""A company with a ServiceTitan tenant and Google calendars, both simulated in this process."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from support.servers import Server
from truckroll.app import accounts, passes, people
from truckroll.app.hub import Hub
from truckroll.app.views import PassView
from truckroll.recipes.compile import builtin
from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.kit.server import Box, running
from truckroll_sim.servicetitan import ServiceTitan

RECIPE = "appointments-to-calendars"
ZONE = "America/Chicago"


@dataclass
class Fleet:
    """What a test drives: the office works in `titan`, the technicians in `google`."""

    hub: Hub
    box: Box
    seeded: dict[str, Any]
    emails: dict[int, str] = field(default_factory=dict)

    @property
    def titan(self):
        return self.box.systems["servicetitan"]

    @property
    def google(self):
        return self.box.systems["google-calendar"]

    async def plan(self) -> PassView:
        """What `apply` would do."""
        return await passes.plan(self.hub, RECIPE)

    async def apply(self, confirmed: int = 0) -> PassView:
        """One pass."""
        return await passes.apply(self.hub, RECIPE, confirmed=confirmed)

    def office(self, act: str, **body: Any) -> Any:
        """Let somebody in the office, or a technician, do something in ServiceTitan."""
        return self.titan.acts[act](body)

    def visits(self) -> dict[int, dict[str, Any]]:
        """The visits that stand, by their id."""
        rows = self.titan.records["appointments"].list({})
        return {row["id"]: row for row in rows if row["active"] and row["status"] != "Canceled"}

    def assigned(self) -> set[tuple[int, str]]:
        """Each standing visit with the mail address of each technician who is on it."""
        standing = self.visits()
        return {
            (row["appointmentId"], self.emails[row["technicianId"]])
            for row in self.titan.records["assignments"].list({})
            if row["active"] and row["appointmentId"] in standing
        }

    def events(self) -> list[dict[str, Any]]:
        """All events that stand in all calendars."""
        listed = self.google.records["events"].list({})
        return [event for event in listed if event["status"] != "cancelled"]

    def later(self, number: int, *, hours: int) -> dict[str, str]:
        """The times of a visit, moved by whole hours, as the API writes them."""
        row = self.visits()[number]
        times = {name: row[name] + timedelta(hours=hours) for name in ("start", "end")}
        return {name: time.isoformat().replace("+00:00", "Z") for name, time in times.items()}

    def written_to_titan(self) -> list[str]:
        """The writes that ServiceTitan was sent, sign-ins aside."""
        calls = self.calls("servicetitan", "POST", "PUT", "PATCH", "DELETE")
        return [f"{one.method} {one.path}" for one in calls if one.path != "/connect/token"]

    def forget_calls(self) -> None:
        """Begin to count calls anew."""
        for system in (self.titan, self.google):
            system.kit.calls.clear()
            system.kit.outbox.clear()

    def calls(self, system: str, *methods: str) -> list[Any]:
        """The calls that a system was sent, in their order."""
        log = self.box.systems[system].kit.calls
        return [one for one in log if not methods or one.method in methods]


@asynccontextmanager
async def fleet(
    store,
    tmp_path,
    *,
    choices: dict[str, str] | None = None,
    google_says: dict[str, str] | None = None,
    server: Server | None = None,
    on_server: int = 0,
    **sample: Any,
):
    """A fleet that is set up and not yet in step; `sample` are the tenant's parameters.

    `google_says` are further answers of whoever adds the account at Google. The last `on_server`
    technicians have calendars on a CalDAV server in the place of Google's.
    """
    async with running([ServiceTitan, GoogleCalendar]) as box:
        titan, google = box.systems["servicetitan"], box.systems["google-calendar"]
        seeded = titan.seed({"zone": ZONE, **sample})
        technicians = titan.records["technicians"].list({})
        folk = [
            {
                "email": one["email"],
                "given": one["name"].split()[0],
                "family": one["name"].split()[1],
            }
            for one in technicians[: len(technicians) - on_server]
        ]
        quota = google.gate.quota
        quota.per_user = quota.per_project = 1_000_000  # waits are not tested
        google.seed({"people": folk, "vans": 0, "zone": ZONE, "domain": "acme.example"})
        hub = Hub(home=tmp_path, store=store)
        made = Fleet(hub, box, seeded, {one["id"]: one["email"] for one in technicians})
        await accounts.add(hub, "titan", "servicetitan", titan_answers(box), zone=ZONE)
        await accounts.add(
            hub, "google", "google-calendar", google_answers(box) | (google_says or {})
        )
        if server is not None:
            for one in technicians[len(technicians) - on_server :]:
                server.make_calendar(one["email"].partition("@")[0], one["name"])
            await accounts.add(hub, "field", "caldav", server_answers(server))
        targets = "google,field" if server is not None else "google"
        bound = {"from": "titan", "to": targets, "zone": ZONE}
        await store.install_recipe(RECIPE, builtin()[RECIPE], bound, choices or {})
        await people.suggested(hub, RECIPE, take_sure=True, by="test")
        made.forget_calls()
        yield made


def titan_answers(box: Box) -> dict[str, str]:
    """What a person answers who adds the simulated tenant as an account."""
    keys = box.systems["servicetitan"].credentials(f"{box.address}/servicetitan")
    asked = ("client_id", "client_secret", "app_key")
    return {
        **{name: keys[name] for name in asked},
        "tenant": str(keys["tenant"]),
        "zone": ZONE,
        "api": keys["api"],
        "auth": keys["token_url"],
        "private": "yes",
    }


def google_answers(box: Box) -> dict[str, str]:
    """What a person answers who adds the simulated calendars as an account."""
    keys = box.systems["google-calendar"].credentials(f"{box.address}/google-calendar")
    asked = ("client_id", "client_secret", "refresh_token", "api", "token")
    return {**{name: keys[name] for name in asked}, "private": "yes"}


def server_answers(server: Server) -> dict[str, str]:
    """What a person answers who adds a CalDAV server as an account."""
    who = {"url": server.url, "user": server.user, "password": server.password}
    return {**who, "private": "yes"}
