"""Whoever lost a lease makes no call any more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.nasty import Nasty, World, one
from truckroll.sync.braked import foresee
from truckroll.sync.job import Report
from truckroll.sync.leases import Held, Terms, is_fenced
from truckroll.sync.run import carry_out, observe, recover


@pytest.mark.fault("F36")
async def test_a_process_that_stood_still_while_it_read_again_does_not_write(monkeypatch):
    a, b = Nasty("A"), Nasty("B", conditional=False)
    world = World(a, {"b": b})
    a.put("1", title="one")
    await world.settle()
    a.put("1", title="two")
    clock, real = [0.0], b.read

    async def slow(*what):
        clock[0] = 60.0
        return await real(*what)

    monkeypatch.setattr(b, "read", slow)
    held = Held(world.store, [], 0.0, Terms(seconds=30.0, clock=lambda: clock[0]))
    job, report = replace(world.job(), guard=held.call), Report()
    await observe(job, report)
    _, foreseen = await foresee(job, report.waiting)
    with pytest.raises(BaseExceptionGroup) as raised:
        async with world.store.run(1, "apply") as run:
            await carry_out(job, run, report, foreseen, hour=timedelta(hours=1))
    assert is_fenced(raised.value)
    assert one(b)["title"] == "one"
    await recover(world.job())
    await world.settle()
    assert one(b)["title"] == "two"
