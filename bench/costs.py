"""(k) What a hub that is up costs: at rest, for a read without news, for changes.

Processor seconds are whole processes', less what they take at rest in the same time. They stand
in docs/why/scale.md, which reckons with them.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.boxed import boxed
from bench.burst import in_step, set_up
from bench.figures import Figure
from bench.served import housed, idle, until, up

if TYPE_CHECKING:
    from bench.served import House, Served

_ROWS = "select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables"
_SIZE = "select pg_database_size(current_database())"
_SESSIONS = "select count(*) from pg_stat_activity where datname = current_database()"


@dataclass(frozen=True)
class _Cost:
    """Processor milliseconds of the hub and of PostgreSQL."""

    hub: float
    data: float


class _Clock:
    """Tells what was taken since it was made, less what is taken at rest."""

    def __init__(self, house: House, served: Served, rest: _Cost = _Cost(0, 0)) -> None:
        self._house, self._served, self._rest = house, served, rest
        self._began = time.monotonic()
        self._before = served.cpu, house.database_cpu()

    def each(self, count: float) -> _Cost:
        """Return the milliseconds of one of so many; for seconds give the seconds."""
        took = time.monotonic() - self._began
        hub = 1000 * (self._served.cpu - self._before[0]) - took * self._rest.hub
        data = 1000 * (self._house.database_cpu() - self._before[1]) - took * self._rest.data
        return _Cost(max(hub, 0.0) / count, max(data, 0.0) / count)


async def figures(*, changes: int, calendars: int, seconds: float) -> list[Figure]:
    """Return the lines of the table."""
    async with housed() as house, boxed() as made:
        events = await set_up(house, made, changes, calendars, tenants_=1)
        async with up(house) as served:
            await in_step(house, made, calendars)
            clock = _Clock(house, served)
            await asyncio.sleep(seconds)
            rest = clock.each(seconds)
            lines = [_line("at rest, of a second", rest, f"{served.memory_mb:.0f} MB")]
            sessions = house.ask(_SESSIONS)
            read = await _reads(house, served, rest)
            lines.append(_line("a read without news", read, f"{sessions} sessions at PostgreSQL"))
            clock = _Clock(house, served, rest)
            alone = 30
            for mark in range(alone):
                made.edit(events[mark], mark)
                await until(lambda mark=mark: mark in made.seen.marks)
            await idle(house)
            lines.append(_line("a change alone, its echo read too", clock.each(alone), ""))
            before = house.ask(_ROWS), house.ask(_SIZE)
            clock = _Clock(house, served, rest)
            for mark, event in enumerate(events[:changes], start=alone):
                made.edit(event, mark)
            await until(lambda: len(made.seen.marks) >= alone + changes)
            await idle(house)
            cost = clock.each(changes)
            await asyncio.sleep(1.5)  # PostgreSQL tells its counts with a delay
            rows = (house.ask(_ROWS) - before[0]) / changes
            size = (house.ask(_SIZE) - before[1]) / changes / 1000
            note = f"{rows:.0f} rows written and {size:.1f} KB a change"
            lines.append(_line(f"a change among {changes:,} at once", cost, note))
        return lines


async def _reads(house: House, served: Served, rest: _Cost) -> _Cost:
    hub = house.hub()
    scopes = [one.id for one in await hub.store.scopes()]
    rounds = 3
    clock = _Clock(house, served, rest)
    used = house.ask("select count(*) from scope where due_at is not null")
    for _ in range(rounds):
        await hub.store.make_due(scopes, at=hub.now())
        await idle(house, times=1)
    return clock.each(rounds * used)


def _line(what: str, cost: _Cost, note: str) -> Figure:
    return Figure(
        what,
        f"{cost.hub:.1f} ms",
        f"PostgreSQL {cost.data:.1f} ms",
        cost.hub / max(cost.data, 0.01),
        note=note,
    )
