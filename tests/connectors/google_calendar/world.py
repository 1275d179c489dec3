"""The simulated Google under the contract suite: a person's calendars, and an organisation's."""

import json
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import datetime

from contract.bench import Held, Visit, World
from support.clock import at_once
from support.proxy import FaultProxy
from truckroll.connectors.google_calendar import GOOGLE_CALENDAR, GOOGLE_WORKSPACE
from truckroll.kit.contract import Session
from truckroll.kit.http import open_client
from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.kit.server import running

AT_ONCE = at_once()
LA = "America/Los_Angeles"
# What the hub knows nothing of, and what stays as it is.
OWN = {
    "colorId": "5",
    "guestsCanInviteOthers": False,
    "reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 30}]},
    "extendedProperties": {"shared": {"other": "tool"}, "private": {"more": "theirs"}},
}
EVENT = {
    "start": {"dateTime": "2026-11-30T09:00:00", "timeZone": LA},
    "end": {"dateTime": "2026-11-30T10:30:00", "timeZone": LA},
    "description": "Gate code 1234",
    "location": "12 Elm St",
}


class Company:
    """A simulated organisation, and what its people do in the vendor's own screens."""

    def __init__(self, box, **seed):
        self.box = box
        self.system = box.systems["google-calendar"]
        self.system.gate.quota.per_user = 100_000  # the client's waits take no time in tests
        self.system.gate.quota.per_project = 1_000_000
        self.made = self.system.seed({"technicians": 2, "vans": 1, **seed})
        self.ana, *self.others = self.made["technicians"]
        self.office = self.made["office"]
        self.domain = self.office.rpartition("@")[2]

    @property
    def url(self):
        return f"{self.box.address}/google-calendar"

    @property
    def world(self):
        return self.system.world

    def act(self, name, **body):
        return self.system.acts[name](body)

    def calls(self, *methods):
        """Return the calls that came in, those of a batch among them."""
        flat = [part for line in self.system.kit.calls for part in (line.parts or (line,))]
        return [one for one in flat if not methods or one.method in methods]

    def add(self, calendar="", **fields):
        """Make an event by hand and return its id."""
        options = {"calendar": calendar or self.ana}
        return self.system.records["events"].add({**EVENT, **fields}, options)["id"]

    def edit(self, id_, calendar="", **fields):
        self.system.records["events"].edit(id_, fields, {"calendar": calendar or self.ana})

    def delete(self, id_, calendar=""):
        self.system.records["events"].remove(id_, {"calendar": calendar or self.ana})

    def get(self, id_, calendar=""):
        """Return an event as its owner sees it, None where it is not there or deleted."""
        try:
            found = self.system.records["events"].get(id_, {"calendar": calendar or self.ana})
        except KeyError:
            return None
        return None if found["status"] == "cancelled" else found

    def events(self, calendar=""):
        """Return the live events of a calendar, visits of series left out."""
        all_ = self.system.records["events"].list({"calendar": calendar or self.ana})
        live = (one for one in all_ if one["status"] != "cancelled")
        return [one for one in live if "recurringEventId" not in one]

    def spoil(self):
        """Make a series in a zone that nobody knows: nobody can say when it happens."""
        id_ = self.add(summary="Where?", recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
        events = self.world.books[self.ana].events
        event = events.get(id_)
        start = {**event.fields["start"], "timeZone": "Nowhere/Atlantis"}
        events.put(id_, replace(event, fields={**event.fields, "start": start}))
        return id_

    def back(self, id_):
        found = self.get(id_)
        if found is None:
            return None
        return {
            "title": found.get("summary", ""),
            "begins": datetime.fromisoformat(found["start"]["dateTime"]),
            "ends": datetime.fromisoformat(found["end"]["dateTime"]),
            "status": found["status"],
        }

    def knows_own(self, id_):
        found = self.get(id_)
        mine = found.get("extendedProperties", {})
        kept = {name: found.get(name) for name in ("colorId", "guestsCanInviteOthers", "reminders")}
        wanted = {name: OWN[name] for name in kept}
        private = mine.get("private", {}).get("more") == "theirs"
        return kept == wanted and private and mine.get("shared") == {"other": "tool"}

    def person_settings(self, url="", **more):
        """Return the settings of the office's own account."""
        told = self.system.credentials(url or self.url)
        settings = {name: told[name] for name in ("client_id", "client_secret", "refresh_token")}
        return {**settings, **_places(told), **more}

    def workspace_settings(self, url="", **more):
        """Return the settings of a service account that may act for everybody."""
        told = self.system.credentials(url or self.url)
        key = {**told["service_account"], "token_uri": f"{self.url}/token"}
        places = {**_places(told), "token": ""}  # what is signed names the server itself
        return {"key": json.dumps(key), "subject": self.office, **places, **more}


def _places(told):
    return {"api": told["api"], "token": told["token"], "private": "yes"}


@asynccontextmanager
async def session_of(connector, settings, held=None):
    """Sign in; sentences name the account."""
    name = connector.system
    async with open_client(
        connector.transport(settings), system=name, account="google", timing=AT_ONCE
    ) as client:
        yield Session(
            account="google",
            system=name,
            settings=settings,
            http=client,
            known=held if held is not None else Held(),
        )


def visiting(connector, settings):
    """Return how a test visits Ana's calendar by a connector; `settings(company, url)`."""

    @asynccontextmanager
    async def visit(_):
        async with running([GoogleCalendar]) as box:
            company = Company(box)
            async with (
                FaultProxy(f"{box.address}/") as proxy,
                session_of(connector, settings(company, f"{proxy.url}google-calendar")) as session,
            ):
                yield await _stay(connector, company, proxy, session)

    return visit


async def _stay(connector, company, proxy, session):
    scopes = await connector.scopes(session)
    scope = next(one for one in scopes if one.id == company.ana)
    # Everybody's first call asks for a token; the tests are about what comes after.
    await connector.resource(scope.kind).read(session, scope, "nothing")
    proxy.clear()
    return Visit(
        connector=connector,
        session=session,
        scope=scope,
        seed=lambda _, title: company.add(summary=title, **OWN),
        edit=lambda id_, title: company.edit(id_, summary=title),
        delete=company.delete,
        count=lambda: len(company.events()),
        back=company.back,
        spoil=company.spoil,
        unknown=company.knows_own,
        expired=lambda cursor: json.dumps({**json.loads(cursor), "token": "bm90IGtub3du"}),
        proxy=proxy,
        server=company,
        held=session.known,
        writes_by="*",
    )


WORLDS = [
    World(
        "google-calendar",
        nullcontext,
        visiting(GOOGLE_CALENDAR, Company.person_settings),
        series=True,
    ),
    World(
        "google-workspace",
        nullcontext,
        visiting(GOOGLE_WORKSPACE, Company.workspace_settings),
        series=True,
    ),
]
