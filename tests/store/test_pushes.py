"""Subscriptions and pushes in the database."""

import asyncio
import secrets
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from store.worlds import AT, later, make_world
from truckroll.kit.push import Odd, Subscribed
from truckroll.store.open import open_store, open_stores
from truckroll.store.pushes import Came
from truckroll.store.secret import Keyring
from truckroll.store.subscriptions import subscription_at


def came(subscription, number=1, **more):
    row = {
        "subscription": subscription,
        "delivery": f"delivery {number}".encode(),
        "at": AT,
        "query": "",
        "headers": "{}",
        "body": b'{"n": 1}',
    }
    return Came(**{**row, **more})


async def subscribed(store, world=None, **more):
    world = world or await make_world(store)
    return await store.add_subscription(world.source_account, world.source, at=AT, **more)


async def live(store, row, *, until=None, remote="r1", at=AT, **more):
    claimed = await store.claim_subscription(row, at=at, until=at + timedelta(minutes=5), **more)
    told = Subscribed(id=remote, more={"k": "v"}, expires_at=until)
    assert await store.settle_subscription(claimed, told, at=at, anew=True)
    return await store.subscription(row.id)


async def due(store):
    async with store._transaction() as cursor:
        await cursor.execute("select id, due_at, asked from scope order by id")
        return {row[0]: (row[1], row[2]) async for row in cursor}


# Pushes


@pytest.mark.fault("F01")
@pytest.mark.fault("AT-17")
async def test_a_delivery_that_comes_again_is_counted_and_has_no_other_effect(store):
    world = await make_world(store)
    row = await subscribed(store, world)
    assert await store.keep_pushes([came(row.id)]) == ["new"]
    once = await due(store)
    assert once[world.source] == (AT, 1)
    assert once[world.target] == (None, 0)
    again = [came(row.id, at=later(minutes=n)) for n in range(3)]
    assert await store.keep_pushes(again) == ["doubled"] * 3
    assert await due(store) == once
    (kept,) = await store.pushes(row.id)
    assert (kept.at, kept.doubled, kept.body) == (AT, 3, b'{"n": 1}')
    seen = await store.subscription(row.id)
    assert (seen.pushes, seen.doubled) == (1, 3)


@pytest.mark.fault("F01")
async def test_a_delivery_twice_in_one_batch_is_one(store):
    row = await subscribed(store)
    told = await store.keep_pushes([came(row.id, 1), came(row.id, 2), came(row.id, 1)])
    assert sorted(told) == ["doubled", "new", "new"]
    assert [one.doubled for one in await store.pushes(row.id)] in ([1, 0], [0, 1])


@pytest.mark.fault("AT-17")
async def test_of_two_processes_with_the_same_delivery_one_has_the_effect(
    store, database_url, tmp_path
):
    world = await make_world(store)
    row = await subscribed(store, world)
    async with open_store(database_url, tmp_path / "home") as other:
        batches = [[came(row.id, n % 5) for n in range(20)] for _ in range(6)]
        each = [(store, other)[n % 2].keep_pushes(batch) for n, batch in enumerate(batches)]
        told = [kind for batch in await asyncio.gather(*each) for kind in batch]
    assert told.count("new") == 5
    assert told.count("doubled") == 115
    assert sum(one.doubled for one in await store.pushes(row.id)) == 115


async def test_a_push_notifies_those_who_wait_for_work(store, database_url):
    row = await subscribed(store)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as listener:
        await listener.execute("listen truckroll_due")
        await store.keep_pushes([came(row.id)])
        await store.keep_pushes([came(row.id)])
        heard = [one.channel async for one in listener.notifies(timeout=0.5)]
    assert heard == ["truckroll_due"]


async def test_a_push_about_an_account_makes_the_scopes_due_that_it_names(store):
    world = await make_world(store)
    row = await store.add_subscription(world.source_account, None, at=AT, by_hand=True)
    (known, *_) = await store.scopes(world.source_account)
    await store.keep_pushes([came(row.id, 1, scopes=("elsewhere",))])
    assert (await due(store))[world.source] == (None, 0)
    await store.keep_pushes([came(row.id, 2, scopes=("elsewhere", known.scope.id))])
    assert (await due(store))[world.source] == (AT, 1)
    await store.keep_pushes([came(row.id, 3, at=later(hours=1), scopes=("",))])
    assert await due(store) == {world.source: (AT, 2), world.target: (None, 0)}


async def test_while_the_hub_writes_in_a_calendar_pushes_about_it_are_read_together(store):
    """Systems tell of the hub's own writes too; a person's edit waits two seconds at most."""
    world = await make_world(store)
    await world.synced()
    row = await store.add_subscription(world.target_account, world.target, at=AT, by_hand=True)
    await store.keep_pushes([came(row.id, 1, at=later(seconds=1))])
    assert (await due(store))[world.target] == (later(seconds=2), 1)
    await store.keep_pushes([came(row.id, 2, at=later(seconds=1.5))])
    assert (await due(store))[world.target] == (later(seconds=2), 2)
    agenda = await store.scope_agenda(world.target)
    await store.scope_read(world.target, agenda, at=later(seconds=2), next_at=later(hours=1))
    await store.keep_pushes([came(row.id, 3, at=later(seconds=3))])
    assert (await due(store))[world.target] == (later(seconds=3), 3)


async def test_a_push_to_a_subscription_that_was_removed_is_unknown_and_harms_no_other(store):
    world = await make_world(store)
    row = await subscribed(store, world)
    other = await store.add_subscription(world.target_account, world.target, at=AT)
    await store.keep_pushes([came(row.id)])
    await store.remove_subscription(row.id)
    told = await store.keep_pushes([came(row.id), came(other.id), came(row.id, 2)])
    assert told == ["unknown", "new", "unknown"]
    assert await store.pushes(row.id) == []


@pytest.mark.fault("F05")
async def test_odd_parts_are_kept_raw_beside_their_push(store):
    world = await make_world(store)
    row = await subscribed(store, world)
    odd = (Odd(36, "Part 37 has another form.", b"\x00\xff"),)
    await store.keep_pushes([came(row.id, odd=odd), came(row.id, odd=odd)])
    assert await store.odd_parts(row.id) == list(odd)
    assert (await due(store))[world.source] == (AT, 1)


@pytest.mark.fault("F06")
async def test_refusals_add_to_a_counter_and_to_nothing_else(store):
    row = await subscribed(store)
    await store.count_refused({row.id: 40, 999: 1})
    assert (await store.subscription(row.id)).refused == 40
    assert await store.pushes(row.id) == []


async def test_old_pushes_are_forgotten_and_odd_ones_later(store):
    row = await subscribed(store)
    odd = (Odd(0, "It is odd.", b"?"),)
    await store.keep_pushes(
        [came(row.id, 1), came(row.id, 2, odd=odd), came(row.id, 3, at=later(days=8))]
    )
    week, month = later(days=7), later(days=-20)
    assert await store.prune_pushes(before=week, odd_before=month) == 1
    assert len(await store.pushes(row.id)) == 2
    assert await store.prune_pushes(before=week, odd_before=week) == 1
    assert await store.odd_parts(row.id) == []


# Subscriptions


async def test_a_place_has_one_subscription_and_one_address(store):
    world = await make_world(store)
    rows = await asyncio.gather(*(subscribed(store, world) for _ in range(8)))
    assert len({(row.id, row.path) for row in rows}) == 1
    whole = [
        await store.add_subscription(world.source_account, None, at=AT, by_hand=True)
        for _ in range(2)
    ]
    assert whole[0].id == whole[1].id != rows[0].id
    assert (whole[0].state, rows[0].state) == ("live", "making")


async def test_neither_address_nor_secrets_stand_in_the_database(store, database_url):
    row = await subscribed(store, secret="the-secret-itself")
    row = await live(store, row, coming="the-next-secret")
    with psycopg.connect(database_url) as connection:
        text = str(connection.execute("select * from truckroll.subscription").fetchall())
    for secret in (row.path, "the-secret-itself", "the-next-secret"):
        assert secret not in text
        assert secret.encode().hex() not in text
        assert secret not in repr(row)
    assert row.secrets == ("the-next-secret", "", "the-secret-itself")


async def test_an_address_finds_its_subscription_whatever_the_tenant(store, database_url, tmp_path):
    row = await subscribed(store)
    async with open_store(database_url, tmp_path / "home", tenant=2) as other:
        theirs = await subscribed(other)
        assert await other.subscription(row.id) is None
        assert await other.keep_pushes([came(row.id)]) == ["unknown"]
    async with open_stores(database_url, tmp_path / "home") as stores:
        assert await subscription_at(stores.pool, row.path) == (1, row.id)
        assert await subscription_at(stores.pool, theirs.path) == (2, theirs.id)
        assert await subscription_at(stores.pool, "x" * 43) is None
    assert await store.pushes(row.id) == []


async def test_addresses_are_found_where_the_owner_is_no_superuser(server_url, template, tmp_path):
    name = f"truckroll_test_{secrets.token_hex(6)}"
    parts = urlsplit(server_url)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"create role {name} login password 'pw'")
        server.execute(f"create database {name} owner {name}")
        server.execute(f"grant truckroll_app to {name}")
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{name}:pw@{host}", path=f"/{name}"))
        try:
            async with open_stores(url, tmp_path / "home") as stores:
                async with open_store(url, tmp_path / "home", tenant=7) as store:
                    row = await subscribed(store)
                assert await subscription_at(stores.pool, row.path) == (7, row.id)
                async with stores.pool.connection() as connection:
                    found = await connection.execute("select * from subscription")
                    assert await found.fetchall() == []
        finally:
            server.execute(f"drop database {name} with (force)")
            server.execute(f"drop role {name}")


@pytest.mark.fault("F10")
async def test_of_many_who_want_to_renew_one_does(store):
    row = await live(store, await subscribed(store))
    until = later(minutes=5)
    claims = [store.claim_subscription(row, at=AT, until=until, coming=f"s{n}") for n in range(20)]
    (winner,) = [one for one in await asyncio.gather(*claims) if one is not None]
    seen = await store.subscription(row.id)
    assert (seen.epoch, seen.coming) == (winner.epoch, winner.coming)
    assert seen.is_busy(AT)
    assert await store.claim_subscription(seen, at=AT, until=until) is None


@pytest.mark.fault("F10")
async def test_who_comes_too_late_changes_nothing(store):
    row = await subscribed(store)
    slow = await store.claim_subscription(row, at=AT, until=later(minutes=5), coming="slow")
    seen = await store.subscription(row.id)
    assert await store.claim_subscription(seen, at=later(minutes=4), until=later(hours=1)) is None
    quick = await live(store, seen, remote="quick", at=later(minutes=6), coming="quick")
    told = Subscribed(id="slow")
    assert not await store.settle_subscription(slow, told, at=later(minutes=7), anew=True)
    assert not await store.learn_secret(slow, "slow too")
    await store.fail_subscription(slow, "It failed.", try_at=later(hours=1), lost=True)
    assert await store.subscription(row.id) == quick
    assert (quick.remote, quick.secret, quick.state) == ("quick", "quick", "live")


async def test_a_secret_that_comes_with_a_handshake_counts_at_once(store):
    row = await subscribed(store)
    claimed = await store.claim_subscription(row, at=AT, until=later(minutes=5), coming="ours")
    assert await store.learn_secret(claimed, "theirs")
    assert "theirs" in (await store.subscription(row.id)).secrets
    assert await store.settle_subscription(claimed, Subscribed(id="r"), at=AT, anew=True)
    seen = await store.subscription(row.id)
    assert seen.secrets == ("theirs", "", "")
    assert not await store.learn_secret(seen, "anybody's")


async def test_a_failure_is_noted_and_a_lost_one_is_told(store):
    row = await live(store, await subscribed(store))
    claimed = await store.claim_subscription(row, at=AT, until=later(minutes=5))
    await store.fail_subscription(claimed, "It is gone.", try_at=later(hours=1), lost=True)
    seen = await store.subscription(row.id)
    assert (seen.state, seen.problem, seen.tries) == ("lost", "It is gone.", 1)
    again = await live(store, seen, remote="r2")
    assert (again.state, again.problem, again.tries, again.try_at) == ("live", "", 0, None)


@pytest.mark.fault("F03")
async def test_changes_that_no_push_told_of_are_counted_as_found_by_the_sweep(store):
    world = await make_world(store)
    row = await live(store, await subscribed(store, world))
    read = store.note_read
    assert not await read(world.source, found=5, began=later(minutes=1))  # the first fill
    assert not await read(world.source, found=0, began=later(minutes=2))
    await store.keep_pushes([came(row.id, at=later(minutes=3))])
    assert not await read(world.source, found=1, began=later(minutes=3, seconds=1))
    assert await read(world.source, found=2, began=later(minutes=20))
    seen = await store.subscription(row.id)
    assert (seen.swept, seen.doubted) == (2, True)
    await store.keep_pushes([came(row.id, 2, at=later(minutes=21))])
    assert not (await store.subscription(row.id)).doubted
    assert not await read(world.target, found=9, began=later(minutes=22))


async def test_keys_can_be_exchanged(store):
    row = await subscribed(store, secret="s")
    rotated = store._keyring.rotated()
    assert await store.reseal(rotated) == 1
    store._keyring = Keyring.parse(rotated.retired().text())
    assert await store.subscription(row.id) == row


async def test_an_account_takes_its_subscriptions_along(store):
    world = await make_world(store)
    row = await subscribed(store, world)
    await store.keep_pushes([came(row.id, odd=(Odd(0, "Odd.", b""),))])
    await store.remove_account("r-a")
    assert await store.subscriptions() == []
