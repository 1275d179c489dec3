"""Leases: one at a time, over processes; whoever lost one writes nothing more."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from store.worlds import AT, make_world, seen
from truckroll.kit.contract import Page, Scope
from truckroll.store.memory import MemoryStore
from truckroll.store.open import open_store
from truckroll.sync.leases import Terms, alone, holding
from truckroll.sync.ports import Busy, Fenced

PROCESS = """
import asyncio, sys
from pathlib import Path
from truckroll.store.open import open_store

async def main():
    async with open_store(sys.argv[1], Path(sys.argv[2])) as store:
        leases = await store.take("scope", [int(sys.argv[3])], seconds=float(sys.argv[4]))
        print(len(leases), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
async def other(database_url, tmp_path, store):
    """Return the store of another process: its session is its own."""
    async with open_store(database_url, tmp_path / "home") as opened:
        yield opened


def process(database_url, home, scope, seconds=60.0):
    command = [sys.executable, "-c", PROCESS, database_url, str(home), str(scope), str(seconds)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "1\n"
    return started


def ended(started):
    started.kill()
    started.wait()
    started.stdout.close()


async def test_one_holds_it_until_it_is_given_up(store, other):
    (ours,) = await store.take("scope", [1], seconds=60)
    assert await other.take("scope", [1], seconds=60) == []
    assert [one.id for one in await other.take("scope", [1, 2], seconds=60)] == [2]
    await store.release([ours])
    (theirs,) = await other.take("scope", [1], seconds=60)
    assert (theirs.epoch, theirs.deaths) == (ours.epoch + 1, 0)
    assert await store.extend([ours], seconds=60) == []
    await store.release([ours])  # what is another's is not given up
    assert await store.take("scope", [1], seconds=60) == []


async def test_what_is_over_is_free_and_what_is_extended_is_not(store, other):
    (ours,) = await store.take("scope", [1], seconds=0.2)
    assert await store.extend([ours], seconds=60) == [ours]
    await asyncio.sleep(0.3)
    assert await other.take("scope", [1], seconds=60) == []
    await store.extend([ours], seconds=0.0)
    (theirs,) = await other.take("scope", [1], seconds=60)
    assert theirs.deaths == 1


async def test_a_process_that_was_killed_gives_up_its_leases_at_once(database_url, tmp_path, store):
    started = process(database_url, tmp_path / "home", 7)
    try:
        assert await store.take("scope", [7], seconds=60) == []
        started.kill()
        async with asyncio.timeout(5):
            while not (taken := await store.take("scope", [7], seconds=60)):  # noqa: ASYNC110 -- another process
                await asyncio.sleep(0.02)
    finally:
        ended(started)
    assert taken[0].deaths == 1


@pytest.mark.fault("F36")
async def test_a_process_that_is_paused_is_taken_over_when_its_lease_is_over(
    database_url, tmp_path, store
):
    started = process(database_url, tmp_path / "home", 7, seconds=0.5)
    try:
        os.kill(started.pid, signal.SIGSTOP)
        assert await store.take("scope", [7], seconds=60) == []
        async with asyncio.timeout(5):
            while not await store.take("scope", [7], seconds=60):  # noqa: ASYNC110 -- another process
                await asyncio.sleep(0.05)
    finally:
        ended(started)


async def late_writes(store, world, link):
    """Return what a pass writes, each as a call that is not begun."""
    page = Page(items=(seen("9"),), last=True)
    at = {"at": AT}
    return {
        "begin_listing": lambda: store.begin_listing(world.source),
        "store_page": lambda: store.store_page(
            world.source, 9, "appointment", page, keep_cursor=False, **at
        ),
        "finish_listing": lambda: store.finish_listing(world.source, 9, **at),
        "set_cursor": lambda: store.set_cursor(world.source, "late"),
        "mark_gone": lambda: store.mark_gone([1], **at),
        "adopt": lambda: store.adopt(world.mirror, "source", [world.source], limit=9, **at),
        "journal": lambda: store.journal(1, [], **at),
        "finish": lambda: store.finish(1, [], **at),
        "start_run": lambda: store.start_run(world.recipe, "apply"),
        "attach": lambda: store.attach(link.id, link.ends[0].id, 1),
    }


@pytest.mark.fault("F36")
async def test_a_late_writer_is_refused_whatever_it_writes(store, other):
    world = await make_world(store)
    (link,) = await world.synced()
    await world.page(seen("2"))  # it waits for its link
    before = await store.scope(world.source)
    (lost,) = await store.take("scope", [world.source], seconds=0)
    assert await other.take("scope", [world.source], seconds=60)
    fenced = store.under([lost])
    for name, write in (await late_writes(fenced, world, link)).items():
        with pytest.raises(Fenced):
            await write()
        assert await store.scope(world.source) == before, name
    assert await fenced.scope(world.source) == before  # looking is free


@pytest.mark.fault("F36")
async def test_taking_over_waits_for_what_the_holder_is_just_writing(store, other):
    world = await make_world(store)
    (ours,) = await store.take("scope", [world.source], seconds=0)
    fenced = store.under([ours])
    async with fenced._transaction(fenced=True) as cursor:
        taking = asyncio.create_task(other.take("scope", [world.source], seconds=60))
        await asyncio.sleep(0.2)
        assert not taking.done()
        await cursor.execute("update scope set cursor = 'in time' where id = %s", [world.source])
    assert len(await taking) == 1
    assert (await store.scope(world.source)).cursor == "in time"


async def test_a_heartbeat_does_not_wait_for_a_transaction_of_its_own_process(store):
    (ours,) = await store.take("scope", [1], seconds=60)
    fenced = store.under([ours])
    async with fenced._transaction(fenced=True):
        async with asyncio.timeout(2):
            assert await store.extend([ours], seconds=60) == [ours]


async def test_a_run_holds_its_lease_longer_than_it_was_taken_for(store, other):
    world = await make_world(store)
    terms = Terms(seconds=0.4, beat=0.1)
    async with alone(store, world.recipe, terms=terms) as held:
        await asyncio.sleep(0.7)
        assert held.remainder > 0
        with pytest.raises(Busy):
            async with alone(other, world.recipe):
                pass
    async with alone(other, world.recipe):
        pass


@pytest.mark.fault("F36")
async def test_no_call_begins_or_goes_on_once_the_lease_is_over(store, other):
    clock = [0.0]
    terms = Terms(seconds=10.0, beat=60.0, clock=lambda: clock[0])
    async with holding(store, "recipe", [1], terms=terms) as held:
        async with held.call():
            pass
        clock[0] = 9.9  # the process was away for long
        with pytest.raises(Fenced):
            async with held.call():
                await asyncio.sleep(5)
        clock[0] = 10.1
        with pytest.raises(Fenced):
            async with held.call():
                pytest.fail("a call was made past the lease")


async def test_a_lease_that_another_took_ends_the_call_that_is_under_way(store, other):
    terms = Terms(seconds=0.3, beat=0.5)
    async with holding(store, "recipe", [1], terms=terms) as held:
        await asyncio.sleep(0.35)
        assert await other.take("recipe", [1], seconds=60)
        with pytest.raises(Fenced):
            async with held.call():
                await asyncio.sleep(5)


@pytest.mark.fault("F57")
@pytest.mark.parametrize("seconds", [0.3, 30], ids=["ends by itself", "is cut short"])
async def test_whoever_takes_over_from_one_that_may_be_well_waits_until_it_knows(
    store, other, seconds
):
    """The database's clock leapt: the lease is over, and its holder goes on with a call."""
    order = []

    async def hold():
        terms = Terms(seconds=60.0, beat=0.5)
        async with holding(store, "recipe", [1], terms=terms) as held:
            with contextlib.suppress(Fenced):
                async with held.call():
                    await asyncio.sleep(seconds)
            order.append("the first ends")

    first = asyncio.create_task(hold())
    await asyncio.sleep(0.1)
    async with store._transaction() as cursor:
        await cursor.execute("update lease set until = until - interval '1 hour'")
    async with holding(other, "recipe", [1], terms=Terms(seconds=60.0, beat=0.5)) as held:
        assert [one.robbed for one in held.leases] == [True]
        order.append("the second works")
    await first
    assert order == ["the first ends", "the second works"]


async def test_the_twin_does_the_same():
    store, at = MemoryStore(), [datetime(2026, 12, 1, tzinfo=UTC)]
    store.now = lambda: at[0]
    scope = store.put_scope(1, Scope("a", "A", "appointment"))
    (ours,) = await store.take("scope", [scope.id], seconds=10)
    store.holder = "another"
    assert await store.take("scope", [scope.id], seconds=10) == []
    at[0] += timedelta(seconds=11)
    fenced = store.under([ours])
    await fenced.set_cursor(scope.id, "in time")
    (theirs,) = await store.take("scope", [scope.id], seconds=10)
    assert (theirs.epoch, theirs.deaths) == (ours.epoch + 1, 1)
    with pytest.raises(Fenced):
        await fenced.set_cursor(scope.id, "late")
    assert store.scope(scope.id).cursor == "in time"
    assert await store.extend([ours], seconds=10) == []
    store.gone = {"another"}
    store.holder = "a third"
    assert [one.epoch for one in await store.take("scope", [scope.id], seconds=10)] == [3]


async def test_who_takes_a_lease_for_the_first_time_at_the_same_moment_shares_it_with_nobody(store):
    for number in range(1000, 1200):
        ids = list(range(number * 10, number * 10 + 8))
        both = await asyncio.gather(*(store.take("scope", ids, seconds=30) for _ in range(8)))
        assert sorted(one.id for some in both for one in some) == ids
