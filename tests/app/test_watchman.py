"""The watch over all tenants, that nobody has to watch."""

import asyncio

import pytest

from store.worlds import make_world
from support.watching import Clock, make_office, receiving
from truckroll.app import alerts, freshness, watchman, webhooks
from truckroll.app.hub import Hub, utc_now
from truckroll.app.observe import Meter
from truckroll.app.watchman import Watchman
from truckroll.store.open import Stores, open_store


@pytest.fixture
async def two(store, database_url, tmp_path):
    """Return the stores of two tenants."""
    async with open_store(database_url, tmp_path / "home", tenant=2):
        yield Stores(store._pool, store._keyring)


async def test_it_looks_and_tells_by_itself_for_each_tenant(two, tmp_path, monkeypatch):
    monkeypatch.setattr(watchman, "TELL_SECONDS", 0.02)
    man = Watchman(two, tmp_path, Meter())
    async with receiving() as first, receiving() as second:
        for tenant, receiver in ((1, first), (2, second)):
            hub = Hub(tmp_path, two.of(tenant))
            await webhooks.add(hub, receiver.url, private=True)
        work = asyncio.create_task(man.keep())
        await asyncio.sleep(0.1)
        world = await make_world(two.of(2))
        async with two.of(2).run(world.recipe, "apply") as run:
            await two.of(2).end_run(run, {"writes": 1})
        async with asyncio.timeout(10):
            while not second.got:  # noqa: ASYNC110 -- the receiver is a plain server
                await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert first.got == [], "it is the other's"


async def test_the_trouble_of_one_tenant_is_not_that_of_the_next(two, tmp_path, monkeypatch):
    looked, seen = [], []

    async def look(hub, restart, *, expect):
        looked.append(hub.store._tenant)
        seen.append(expect)
        if hub.store._tenant == 1:
            raise RuntimeError("no")

    monkeypatch.setattr(alerts, "look", look)
    man = Watchman(two, tmp_path, Meter())
    for _ in range(11):
        await man.look()
    assert sorted(looked) == [1] * 11 + [2] * 11
    assert seen == [True] * 2 + [False] * 18 + [True] * 2, "what costs most is seldom done"


@pytest.mark.fault("AT-16")
async def test_stopped_reads_are_set_going_for_their_tenant(two, tmp_path, monkeypatch):
    async def keep(_):
        """Leave the scopes of the office expected, though no recipe reads them."""

    monkeypatch.setattr(freshness, "expect", keep)
    clock = Clock()
    office = await make_office(two.of(2), tmp_path, clock)
    clock.go(minutes=16)
    restarted = []

    async def restart(tenant, scopes):
        restarted.append((tenant, list(scopes)))

    await Watchman(two, tmp_path, Meter(), restart, clock).look()
    assert restarted == [(2, [office.scope])]


async def test_what_nobody_asks_for_is_forgotten(two, tmp_path):
    store = two.of(1)
    clock = Clock(utc_now())
    office = await make_office(store, tmp_path, clock)
    await office.called(answered=3)
    await webhooks.add(office.hub, "https://x.example/hook")
    world = await make_world(store)
    async with store.run(world.recipe, "apply") as run:
        await store.end_run(run, {})
    man = Watchman(two, tmp_path, Meter(), now=clock)
    await man.prune()
    assert len(await webhooks.log(office.hub)) == 1
    clock.go(days=31)
    await man.prune()
    assert await webhooks.log(office.hub) == []
    accounts = await store.account_watches(since=clock() - freshness.WINDOW * 20000, at=clock())
    assert all(one.answered == 0 for one in accounts)
