"""(g) A burst: everything is changed at once, and the hub brings it over as fast as it can.

Several tenants, each with calendars of its own at the simulated Google, and one to four worker
processes on one PostgreSQL. The simulator, which also sends the pushes, is in the bench's own
process, so it takes its share of the two cores.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.boxed import ZONE, boxed, dispatched, pair
from bench.figures import Figure
from bench.latency import move_all
from bench.served import housed, idle, until, up
from truckroll.app import tenants

if TYPE_CHECKING:
    from bench.boxed import Boxed
    from bench.served import House, Served

GOAL, SHARE = 300.0, 0.9
PER_MINUTE = 6_000
TENANTS = 4


async def figures(*, changes: int, calendars: int, workers: tuple[int, ...]) -> list[Figure]:
    """Return the lines of the table."""
    lines = [await pairs(changes, calendars, count) for count in workers]
    lines.append(await limited(changes // 2, calendars))
    lines.append(await _titan(changes))
    return lines


async def pairs(changes: int, calendars: int, workers: int) -> Figure:
    """Return the line of a burst that so many processes share."""
    async with housed() as house, boxed() as made:
        events = await set_up(house, made, changes, calendars)
        async with up(house, workers=workers - 1) as served:
            await in_step(house, made, calendars)
            rate, note = await _burst(house, made, served, events[:changes])
    who = f"{workers} worker{'s' if workers > 1 else ''}"
    return Figure(
        f"{changes:,} events at once, Google → Google, {TENANTS} tenants, {who}",
        f"{rate:.0f} changes/s",
        f"{GOAL:.0f}/s",
        rate / GOAL,
        1.0,
        least=True,
        note=note,
    )


async def limited(changes: int, calendars: int) -> Figure:
    """Return the line with the vendor's limit on, of which the hub is told."""
    async with housed() as house, boxed() as made:
        events = await set_up(
            house, made, changes, calendars, tenants_=1, per_minute=str(PER_MINUTE)
        )
        made.limit(PER_MINUTE)
        async with up(house) as served:
            await in_step(house, made, calendars)
            calls = made.calls
            began = time.monotonic()
            rate, _ = await _burst(house, made, served, events[:changes])
            took = made.seen.last - began
        allowed = PER_MINUTE / 60
        calls = made.calls - calls
        refused = made.refused
    return Figure(
        f"the same with a limit of {allowed:.0f} calls/s, {changes:,} events",
        f"{rate:.0f} changes/s",
        f"{allowed:.0f} calls/s",
        calls / took / allowed,
        SHARE,
        least=True,
        note=f"{calls:,} calls in {took:.1f} s, lists among them; {refused} refused",
    )


async def _titan(visits: int) -> Figure:
    async with housed() as house, boxed() as made:
        hub = house.hub()
        await dispatched(hub, made, technicians=40, visits=2 * visits)
        async with up(house) as served:
            await idle(house)
            cpu = served.cpu
            made.seen.clear()
            began = time.monotonic()
            count = move_all(made, visits)
            scopes = await hub.store.scopes()
            await hub.store.make_due([one.id for one in scopes], at=hub.now())
            await until(lambda: len(made.seen.starts) >= count, seconds=120)
            took = made.seen.last - began
            cpu = served.cpu - cpu
        rate = len(made.seen.starts) / took
    return Figure(
        f"{count:,} visits moved at once, ServiceTitan → 40 Google calendars, 1 worker",
        f"{rate:.0f} changes/s",
        f"{GOAL:.0f}/s",
        rate / GOAL,
        1.0,
        least=True,
        note=f"one recipe; {1000 * cpu / count:.1f} ms processor a change in the hub",
    )


async def set_up(
    house: House,
    made: Boxed,
    changes: int,
    calendars: int,
    *,
    tenants_: int = TENANTS,
    **answers: str,
) -> list[tuple[str, str, str]]:
    """Give each tenant its share of the calendars, each with a recipe; return what is edited."""
    each = int(changes / calendars * 1.6) + 3  # some are private, some are series
    size = {"technicians": calendars, "crews": calendars, "appointments": calendars * each}
    made.google.seed({"vans": 0, "zone": ZONE, "domain": "acme.example", "days": each, **size})
    people = [one for one in made.google.world.people if not one.startswith("office")]
    crews = [one for one in made.google.world.books if one.startswith("c_")]
    added = [await tenants.add(house.hub(), f"company {one}") for one in range(1, tenants_)]
    numbers = [1, *(one.number for one in added)]
    for tenant in numbers:
        await made.sign_in(house.hub(tenant), **answers)
    for number, (source, target) in enumerate(zip(people, crews, strict=True)):
        hub = house.hub(numbers[number % tenants_])
        await pair(hub, f"google/{source}", f"google/{target}", number)
    return made.plain(people)


async def in_step(house: House, made: Boxed, calendars: int) -> None:
    """Wait until all calendars are subscribed and everything is written."""
    least = 2 * calendars
    if not await until(lambda: len(made.google.channels.open) >= least, seconds=180):
        raise RuntimeError(f"{len(made.google.channels.open)} channels after three minutes")
    await idle(house)


async def _burst(
    house: House, made: Boxed, served: Served, events: list[tuple[str, str, str]]
) -> tuple[float, str]:
    """Change everything; return how many changes a second came over."""
    made.seen.clear()
    before = (
        served.cpu,
        house.database_cpu(),
        house.ask("select pg_database_size(current_database())"),
    )
    began = time.monotonic()
    for mark, event in enumerate(events):
        made.edit(event, mark)
    await until(lambda: len(made.seen.marks) >= len(events), seconds=180)
    if len(made.seen.marks) < len(events):
        raise RuntimeError(f"{len(made.seen.marks)} of {len(events)} changes came")
    rate = len(events) / (max(made.seen.marks.values()) - began)
    hub, data = served.cpu - before[0], house.database_cpu() - before[1]
    size = house.ask("select pg_database_size(current_database())") - before[2]
    thousand = 1000 / len(events)
    return rate, (
        f"{hub * thousand:.1f} ms processor a change in the first process,"
        f" {data * thousand:.1f} in PostgreSQL; {size * thousand / 1e6:.1f} MB per 1,000 changes"
    )
