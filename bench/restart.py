"""(l) From kill -9 to serving again: of the process, of the database server, of both at once.

Each is killed while visits that were all moved at once are being written. What is counted is the
time until `/health/ready` answers with success; a killed process is started again at once, as a
service manager does. In the end every visit stands where it was moved to, once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from bench.boxed import boxed, dispatched
from bench.figures import Figure
from bench.latency import move_all
from bench.served import House, Served, idle, until
from truckroll.app import timetable
from truckroll.app.home import make_home
from truckroll.store.embedded import Embedded
from truckroll.store.open import open_home_stores

if TYPE_CHECKING:
    from bench.boxed import Boxed

GOAL = 5.0  # seconds
INTO_IT = 0.25  # which part of the writes has come when it is killed
KILLED = ("the process", "the database server", "both")


async def figures(*, visits: int) -> list[Figure]:
    """Return the lines of the table."""
    with tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder:
        home = Path(folder) / "home"
        make_home(home)
        try:
            async with boxed() as made:
                async with open_home_stores(home) as (url, stores):
                    house = House(home, url, stores)
                    await dispatched(house.hub(), made, technicians=20, visits=visits)
                    await timetable.set_poll(house.hub(), "titan", 1)
                return [await _killed(house, made, what, visits) for what in KILLED]
        finally:
            Embedded(home).erase()  # under root the data stand elsewhere


async def _killed(house: House, made: Boxed, what: str, visits: int) -> Figure:
    served = Served(house)
    try:
        await served.ready()
        await idle(house)
        events = _events(made)
        made.seen.clear()
        count = move_all(made, visits)
        if not await until(lambda: len(made.seen.starts) >= count * INTO_IT):
            raise RuntimeError("nothing was written before it was to be killed")
        server = house.server()
        began = time.monotonic()
        if what != "the database server":
            served.kill()
        if what != "the process":
            os.kill(server, signal.SIGKILL)
        if what != "the database server":
            served = Served(house)
        else:
            await _answers(served, 503)
        await _answers(served, 200)
        took = time.monotonic() - began
        if not await until(lambda: len(made.seen.starts) >= count):
            raise RuntimeError(f"{count - len(made.seen.starts)} visits were not written")
        await idle(house)
        if _events(made) != events:
            raise RuntimeError(f"{events} events before, {_events(made)} after")
    finally:
        served.stop()
    return Figure(
        f"kill -9 of {what}: until ready",
        f"{took:.2f} s",
        f"{GOAL:g} s",
        took / GOAL,
        1.0,
        note=f"while {count} visits were being written; each came, none twice",
    )


def _events(made: Boxed) -> int:
    """Return how many events there are in all calendars."""
    events = made.google.records["events"]
    return sum(len(events.list({"calendar": one})) for one in made.google.world.books)


async def _answers(served: Served, status: int) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get(f"{served.address}/health/ready") as answer:
                    if answer.status == status:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)
