"""`truckroll up` as a process."""

import asyncio
import time

from support.company import row
from truckroll.app.hub import utc_now


async def until(true, seconds=20.0):
    """Wait until something is true, looked at from a thread: it asks other processes."""
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.05)


async def test_it_keeps_in_step_until_it_is_told_to_end(office, ups, store):
    began = time.monotonic()
    up = await asyncio.to_thread(ups("--role", "worker").ready)
    assert time.monotonic() - began < 5.0 + 5.0  # the machine may be busy; alone it takes one
    await until(lambda: office.titles("ana") == ["J-1 Visit 1 · Smith"])
    office.rows.append(row(2, "Ben"))
    office.save()
    (jobs,) = [one for one in await store.scopes() if one.scope.id == "table"]
    await store.make_due([jobs.id], at=utc_now())
    await until(lambda: office.titles("ben") == ["J-2 Visit 2 · Smith"])
    began = time.monotonic()
    code, out, err = await asyncio.to_thread(up.end)
    assert (code, err) == (0, "")
    assert "ended" in out
    assert time.monotonic() - began < 5
