"""(f) From an edit at Google to the write at its target, through a hub that is up.

The hub is `truckroll up` with its embedded PostgreSQL; the simulated vendors and the editors are
in the bench's own process. A duration runs from the moment of the edit to the moment at which the
write is answered at the target. Every calendar has a recipe of its own, as technicians have.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.boxed import ZONE, boxed, dispatched, pair
from bench.figures import Figure
from bench.relay import relayed
from bench.served import housed, idle, until, up
from support import servers
from support.fleet import server_answers
from truckroll.app import accounts, timetable
from truckroll_sim.kit.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.boxed import Boxed
    from bench.served import House, Served

P50, P95 = 1.0, 3.0  # seconds
EACH = 4  # events of a calendar
_MOST_SECONDS = 1790  # visits begin at half hours
LAG_SECONDS = 30.0  # by how much ServiceTitan's feeds trail (the vendor's sheet, section 5)


async def figures(*, calendars: int, rate: float, seconds: float) -> list[Figure]:
    """Return the lines of the table."""
    size = {"rate": rate, "seconds": seconds}
    lines = await google(calendars, **size)
    lines += await caldav(calendars, **size)
    lines += await titan(calendars, **size)
    return lines


async def google(calendars: int, *, rate: float, seconds: float) -> list[Figure]:
    """Return the lines from Google to Google."""
    async with housed() as house, boxed() as made:
        events = await _filled(made, calendars, crews=calendars)
        hub = house.hub()
        await made.sign_in(hub)
        crews = [one for one in made.google.world.books if one.startswith("c_")]
        for number, (source, target) in enumerate(zip(_people(made), crews, strict=True)):
            await pair(hub, f"google/{source}", f"google/{target}", number)
        async with up(house) as served:
            await _in_step(house, made, 2 * calendars)
            taken = _Taken(house, served)
            waits = await _drive(events, made.edit, made.seen.marks, rate, seconds)
            what = f"Google → Google, {calendars} calendars, {rate:g} changes/s for {seconds:g} s"
            return _lines(what, waits, taken.told(len(waits)))


async def caldav(calendars: int, *, rate: float, seconds: float) -> list[Figure]:
    """Return the lines from Google to a CalDAV server."""
    kind = servers.radicale if servers.cyrus_missing() else servers.cyrus
    async with housed() as house, boxed() as made:
        events = await _filled(made, calendars, crews=0)
        with kind() as server:
            for number in range(calendars):
                await asyncio.to_thread(server.make_calendar, f"crew-{number:03}")
            async with relayed(server.port) as relay:
                hub = house.hub()
                await made.sign_in(hub)
                url = server.url.replace(str(server.port), str(relay.port))
                await accounts.add(hub, "field", "caldav", server_answers(server) | {"url": url})
                for number, source in enumerate(_people(made)):
                    await pair(hub, f"google/{source}", f"field/crew-{number:03}", number)
                async with up(house):
                    await _in_step(house, made, calendars)
                    waits = await _drive(events, made.edit, relay.marks, rate, seconds)
        what = f"Google → {server.name}, {calendars} calendars, {rate:g} changes/s"
        return _lines(what, waits, "")


async def titan(
    technicians: int,
    *,
    rate: float,
    seconds: float,
    lags: tuple[float, ...] = (0.0, LAG_SECONDS),
) -> list[Figure]:
    """Return the lines from ServiceTitan to Google, with feeds that trail by so many seconds."""
    lines = []
    async with housed() as house, boxed() as made:
        hub = house.hub()
        visits = int(max(rate * seconds * 2, technicians))
        await dispatched(hub, made, technicians=technicians, visits=visits)
        await timetable.set_poll(hub, "titan", 1)
        async with up(house) as served:
            await idle(house)
            for lag in lags:
                made.titan.kit.faults.clear()
                if lag:
                    made.titan.kit.faults.add(Fault(kind="stale", seconds=lag))
                taken = _Taken(house, served)
                waits = await _rescheduled(made, rate, seconds, lag)
                feed = f", feeds {lag:g} s behind" if lag else ""
                what = f"ServiceTitan → Google, polled each second{feed}, {rate:g} changes/s"
                lines += _lines(what, waits, taken.told(len(waits)))
    return lines


async def _rescheduled(made: Boxed, rate: float, seconds: float, lag: float) -> list[float]:
    """Move visits at a rate; count from the moment at which the feed shows it."""
    starts: dict[int, int] = {}

    def act(row: dict[str, Any], mark: int) -> None:
        starts[mark] = _move(made, row, 1 + (mark + int(lag)) % _MOST_SECONDS)

    made.seen.clear()
    waits = await _drive(_ready(made), act, _Starts(starts, made), rate, seconds, patience=30 + lag)
    return [max(one - lag, 0.0) for one in waits]


def move_all(made: Boxed, count: int) -> int:
    """Move as many visits as there are, at most `count`; return how many."""
    rows = _ready(made)[:count]
    for number, row in enumerate(rows):
        _move(made, row, 1 + number % _MOST_SECONDS)
    return len({_seconds(row, 1 + number % _MOST_SECONDS) for number, row in enumerate(rows)})


def _ready(made: Boxed) -> list[dict[str, Any]]:
    """Return the visits that are still to come."""
    least = datetime.now(UTC) + timedelta(hours=1)
    rows = made.titan.records["appointments"].list({})
    return [row for row in rows if row["status"] == "Scheduled" and row["start"] > least]


def _move(made: Boxed, row: dict[str, Any], by: int) -> int:
    """Move a visit by seconds, so that its start is no other's; return the start."""
    later = timedelta(seconds=by)
    body = {"start": _iso(row["start"] + later), "end": _iso(row["end"] + later)}
    made.titan.acts["reschedule"]({"appointmentId": row["id"], **body})
    return _seconds(row, by)


def _seconds(row: dict[str, Any], by: int) -> int:
    return int(row["start"].timestamp()) + by


class _Starts(dict[int, float]):
    """When a visit's new start was written, by the mark of its move."""

    def __init__(self, starts: Mapping[int, int], made: Boxed) -> None:
        super().__init__()
        self._starts, self._made = starts, made

    def get(self, mark: int, default: float | None = None) -> float | None:  # type: ignore[override] # a view by marks
        return self._made.seen.starts.get(self._starts[mark], default)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _filled(made: Boxed, calendars: int, *, crews: int) -> list[tuple[str, str, str]]:
    """Make a company with events in all calendars; return those that are edited, in turn."""
    size = {"technicians": calendars, "crews": crews, "appointments": calendars * EACH}
    made.google.seed({"vans": 0, "zone": ZONE, "domain": "acme.example", **size})
    return made.plain(_people(made))


def _people(made: Boxed) -> list[str]:
    return [one for one in made.google.world.people if not one.startswith("office")]


async def _subscribed(made: Boxed, least: int) -> None:
    """Wait until Google has a channel of each calendar."""
    if not await until(lambda: len(made.google.channels.open) >= least, seconds=180):
        raise RuntimeError(f"{len(made.google.channels.open)} channels after three minutes")


async def _in_step(house: House, made: Boxed, channels: int) -> None:
    """Wait until all calendars are subscribed and read, and everything is written."""
    await _subscribed(made, channels)
    await idle(house)


async def _drive(
    rows: Sequence[Any],
    act: Callable[[Any, int], None],
    seen: Mapping[int, float],
    rate: float,
    seconds: float,
    *,
    patience: float = 60.0,
) -> list[float]:
    """Act at a rate, on one row after the other; return the seconds until each was seen."""
    began, at = time.monotonic(), []
    for mark in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + mark / rate - time.monotonic()))
        at.append(time.monotonic())
        act(rows[mark % len(rows)], mark)
    await until(lambda: all(seen.get(mark) for mark in range(len(at))), seconds=patience, every=0.2)
    missing = [mark for mark in range(len(at)) if not seen.get(mark)]
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(at)} changes never came, as {missing[:5]}")
    return [(seen.get(mark) or 0.0) - one for mark, one in enumerate(at)]


class _Taken:
    """What the hub and its database took since a moment."""

    def __init__(self, house: House, served: Served) -> None:
        self._house, self._served = house, served
        self._before = served.cpu, house.database_cpu()

    def told(self, changes: int) -> str:
        with contextlib.suppress(OSError):
            hub = self._served.cpu - self._before[0]
            data = self._house.database_cpu() - self._before[1]
            return (
                f"{1000 * hub / changes:.0f} ms processor a change in the hub,"
                f" {1000 * data / changes:.0f} in PostgreSQL; {self._served.memory_mb:.0f} MB"
            )
        return ""


def _lines(what: str, waits: list[float], note: str) -> list[Figure]:
    steps = statistics.quantiles(waits, n=100)
    return [
        Figure(f"{what}: p50", _ms(steps[49]), f"{P50:g} s", steps[49] / P50, 1.0, note=note),
        Figure(
            f"{what}: p95",
            _ms(steps[94]),
            f"{P95:g} s",
            steps[94] / P95,
            1.0,
            note=f"longest {_ms(max(waits))}, {len(waits)} changes",
        ),
    ]


def _ms(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.0f} ms"
