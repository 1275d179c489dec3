"""The simulated vendors in the bench's own process, and when what somebody did was written where.

An edit carries a mark in its title; the moment at which a write with that mark is answered is the
moment at which it is seen at the target. Nothing is polled for it.
"""

from __future__ import annotations

import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from support.fleet import google_answers, titan_answers
from truckroll.app import accounts, people, recipes
from truckroll.recipes.compile import builtin
from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.kit.server import running
from truckroll_sim.servicetitan import ServiceTitan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from truckroll.app.hub import Hub
    from truckroll_sim.kit.calls import Answer, Call
    from truckroll_sim.kit.server import Box

ZONE = "America/Chicago"
PAIR = "calendar-to-calendar"
_WRITES = frozenset({"POST", "PUT", "PATCH"})
_MARK = re.compile(rb"\(edit (\d+)\)")
_START = re.compile(rb'"start":\s*\{[^}]*"dateTime":\s*"([^"]+)"')
_WELL = 300
_BUSY = (403, 429)


@dataclass
class Seen:
    """What was written at targets: by mark, by start of the visit (seconds), and in all."""

    marks: dict[int, float] = field(default_factory=dict)
    starts: dict[int, float] = field(default_factory=dict)
    writes: int = 0
    first: float = 0.0
    last: float = 0.0

    def note(self, body: bytes) -> None:
        """Note a write that was just answered."""
        self.writes += 1
        self.last = time.monotonic()
        self.first = self.first or self.last
        for mark in _MARK.findall(body):
            self.marks.setdefault(int(mark), self.last)
        for start in _START.findall(body):
            self.starts.setdefault(_second(start.decode()), self.last)

    def clear(self) -> None:
        self.writes, self.first, self.last = 0, 0.0, 0.0
        self.marks.clear()
        self.starts.clear()


@dataclass
class Boxed:
    """Vendors that are watched. `own` are the addresses of calendars that only the hub writes."""

    box: Box
    seen: Seen = field(default_factory=Seen)
    calls: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.google.kit.watchers.append(self._watch)
        self.limit(10_000_000)

    @property
    def google(self) -> Any:
        return self.box.systems["google-calendar"]

    @property
    def titan(self) -> Any:
        return self.box.systems["servicetitan"]

    def limit(self, per_minute: int) -> None:
        """Let Google allow so many calls a minute."""
        self.google.gate.quota.per_user = self.google.gate.quota.per_project = per_minute

    def _watch(self, call: Call, answer: Answer) -> None:
        if call.path.startswith("/batch"):
            return
        self.calls += 1
        self.refused += answer.status in _BUSY
        if call.method in _WRITES and "/events" in call.path and answer.status < _WELL:
            self.seen.note(call.body)

    def plain(self, calendars: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return the events whose title is copied: calendar, id, title; calendars take turns."""
        rows = []
        for calendar in calendars:
            listed = self.google.records["events"].list({"calendar": calendar})
            fine = [one for one in listed if not one.get("recurrence") and "visibility" not in one]
            rows.append([(calendar, one["id"], one["summary"]) for one in fine])
        longest = max(map(len, rows))
        return [row[at] for at in range(longest) for row in rows if at < len(row)]

    def edit(self, event: tuple[str, str, str], mark: int) -> None:
        """Let somebody change an event's title."""
        calendar, id_, title = event
        summary = f"{title} (edit {mark})"
        self.google.records["events"].edit(id_, {"summary": summary}, {"calendar": calendar})

    async def sign_in(self, hub: Hub, name: str = "google", **more: str) -> None:
        """Add Google as an account."""
        await accounts.add(hub, name, "google-calendar", google_answers(self.box) | more)


def _second(text: str) -> int:
    """Return an instant as whole seconds; without an offset it is the company's wall time."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(ZONE))).timestamp())


@asynccontextmanager
async def boxed() -> AsyncIterator[Boxed]:
    """Serve Google and ServiceTitan in this process, without limits."""
    async with running([GoogleCalendar, ServiceTitan]) as box:
        yield Boxed(box)


async def pair(hub: Hub, source: str, target: str, number: int) -> None:
    """Install the recipe that keeps one calendar in step with another, under a name of its own."""
    text = builtin()[PAIR].replace(f'name = "{PAIR}"', f'name = "pair-{number}"', 1)
    await recipes.install(
        hub, f"pair-{number}", source=source, target=target, choices={}, zone=ZONE, text=text
    )


async def dispatched(hub: Hub, made: Boxed, *, technicians: int, visits: int) -> None:
    """Let a ServiceTitan tenant's visits go to its technicians' Google calendars."""
    days = max(7, 2 * visits // (technicians * 5))
    size = {"technicians": technicians, "appointments": visits, "days": days}
    made.titan.seed({"zone": ZONE, **size})
    made.titan.acts["habits"]({"calls_a_second": 100_000})
    folk = []
    for one in made.titan.records["technicians"].list({}):
        given, family = one["name"].split()
        folk.append({"email": one["email"], "given": given, "family": family})
    made.google.seed({"people": folk, "vans": 0, "zone": ZONE, "domain": "acme.example"})
    await accounts.add(hub, "titan", "servicetitan", titan_answers(made.box), zone=ZONE)
    await made.sign_in(hub)
    name = "appointments-to-calendars"
    await recipes.install(hub, name, source="titan", target="google", choices={}, zone=ZONE)
    await people.suggested(hub, name, take_sure=True, by="bench")
