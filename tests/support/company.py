"""A company for the tests: a table of appointments, technicians' calendars, and a hub between."""

import csv
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from support.servers import Server
from truckroll.app import accounts, passes
from truckroll.app.hub import Hub
from truckroll.app.views import PassView
from truckroll.recipes.compile import builtin

COLUMNS = [
    "Job", "Title", "Start", "Duration", "Technician", "Status", "Address", "Customer", "Notes",
]  # fmt: skip
RECIPE = "appointments-to-calendars"
SOON = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)


def slot(day: int, hour: int) -> str:
    """A start in some days from now, as a table says it."""
    return f"{SOON + timedelta(days=day, hours=hour):%Y-%m-%d %H:%M}"


def row(number: int, *people: str, day: int = 3, hour: int = 9, **cells: str) -> dict[str, str]:
    """A row of the table."""
    return {
        "Job": f"J-{number}",
        "Title": f"Visit {number}",
        "Start": slot(day, hour),
        "Duration": "60",
        "Technician": "; ".join(people),
        "Status": "Scheduled",
        "Address": f"{number} Elm St",
        "Customer": "Smith",
        "Notes": "",
        **cells,
    }


def written(table: Path, rows: list[dict[str, str]]) -> None:
    """Write a table as a person's program would."""
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


@dataclass
class Company:
    """What a test drives: `rows` is the table, written by `save`."""

    hub: Hub
    table: Path
    server: Server
    rows: list[dict[str, str]]

    def save(self) -> None:
        """Write the rows into the table."""
        written(self.table, self.rows)

    def saved(self) -> list[dict[str, str]]:
        """Read the table back."""
        with self.table.open(newline="") as file:
            return list(csv.DictReader(file))

    async def map(self, **people: str) -> None:
        """Say whose calendar is whose: name = title."""
        for stored in await self.hub.store.scopes():
            for person, title in people.items():
                if stored.scope.title == title:
                    await self.hub.store.map_person(person, stored.account, stored.id, "test")

    async def plan(self) -> PassView:
        """What `apply` would do."""
        return await passes.plan(self.hub, RECIPE)

    async def apply(self, confirmed: int = 0) -> PassView:
        """One pass."""
        return await passes.apply(self.hub, RECIPE, confirmed=confirmed)

    async def undo(self, run: int) -> PassView:
        """Take a run back."""
        return await passes.undo_run(self.hub, run)

    def titles(self, calendar: str) -> list[str]:
        """The titles in a calendar, read by an independent client."""
        lines = [
            line.removeprefix("SUMMARY:")
            for data in self.server.events(calendar).values()
            for line in data.replace("\r", "").splitlines()
            if line.startswith("SUMMARY:")
        ]
        return sorted(lines)


@asynccontextmanager
async def company(store, tmp_path, server, *people: str, url: str = "", **choices: str):
    """A company with a calendar for each of its people, not yet in step."""
    for person in people:
        server.make_calendar(person.lower())
    hub = Hub(home=tmp_path, store=store)
    table = tmp_path / "jobs.csv"
    made = Company(hub, table, server, [row(1, people[0])])
    made.save()
    await accounts.add(hub, "jobs", "file", {"path": str(table)}, zone="America/New_York")
    signed = {
        "url": url or server.url,
        "user": server.user,
        "password": server.password,
        "private": "yes",
    }
    await accounts.add(hub, "field", "caldav", signed)
    await made.map(**{person: person.lower() for person in people})
    bound = {"from": "jobs", "to": "field", "zone": "America/New_York"}
    await store.install_recipe(RECIPE, builtin()[RECIPE], bound, choices)
    yield made


def brief(view: PassView) -> dict[str, object]:
    """A pass in short, for failing assertions."""
    return {
        name: getattr(view, name)
        for name in ("writes", "by_op", "held", "failed", "failures", "problems", "stops", "calls")
    } | {"holds": [msgspec.to_builtins(hold) for hold in view.holds[:3]]}
