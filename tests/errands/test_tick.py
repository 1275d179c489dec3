"""The tick and the wall clock: what went on while it leapt is put right after it."""

from datetime import UTC, datetime, timedelta

import pytest

from errands.test_fair import Desk
from truckroll.errands.memory import Board, MemoryEngine
from truckroll.errands.ports import Errand
from truckroll.errands.tick import Tick

START = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.fault("F57")
async def test_a_leap_is_told_at_once_and_again_when_what_went_on_has_ended():
    clock = {"wall": START, "steady": 0.0}
    told = []

    async def nothing():
        return None

    async def jumped():
        told.append(clock["steady"])

    desk, engine = Desk(), MemoryEngine(Board(lambda: clock["wall"]))
    tick = Tick(
        engine,
        desk,
        now=lambda: clock["wall"],
        steady=lambda: clock["steady"],
        look=nothing,
        sweep=nothing,
        jumped=jumped,
    )

    async def after(seconds, leap=0.0):
        clock["steady"] += seconds
        clock["wall"] += timedelta(seconds=seconds + leap)
        await tick.once()

    await after(0)
    long, later = Errand("read", 1, 1), Errand("read", 1, 2)
    desk.ask(long, clock["wall"], 1)
    await after(1)
    going = await engine.take()
    assert going.errand == long
    desk.due.pop(long)
    await after(1, leap=-3600)
    assert told == [0, 2]
    desk.ask(later, clock["wall"], 1)
    await after(1)
    await after(1)
    assert told == [0, 2]
    await engine.finish(going)
    await after(1)
    await after(1)
    assert told == [0, 2, 5], "what begins after the leap is not waited for"
