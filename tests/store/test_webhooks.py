"""Events: written by the database with their cause, taken by one at a time."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from store.worlds import AT, make_world, reply, seen
from truckroll.store.alerts import Finding
from truckroll.store.open import Stores
from truckroll.store.webhooks import Told
from truckroll.sync.types import Hold, Note

LEASE = timedelta(minutes=2)
SOON = timedelta(days=9000)  # events of the journal carry the database's own clock


async def endpoint(store, *types, url="https://x.example/hook"):
    return await store.add_endpoint(url, types, "whsec_c2VjcmV0c2VjcmV0", private=False, at=AT)


async def told(store):
    due = await store.take_deliveries(at=AT + SOON, lease=LEASE, each=100)
    return [
        (one.type, __import__("json").loads(one.data)) for one in sorted(due, key=lambda d: d.id)
    ]


async def types(store):
    return [kind for kind, _ in await told(store)]


async def test_a_write_is_told_once_with_the_outcome(store):
    world = await make_world(store)
    await endpoint(store)
    (link,) = await world.synced()
    ((kind, data),) = await told(store)
    assert kind == "record.written"
    assert (data["op"], data["link"], data["external_id"]) == ("create", link.id, "x0")
    assert (data["account"], data["scope"]) == (world.target_account, world.target)
    assert await told(store) == [], "it is somebody else's now"


async def test_no_event_holds_what_a_record_holds(store, database_url):
    world = await make_world(store)
    await endpoint(store)
    await world.synced(seen("1", {"title": "Canary at 12 Elm St"}))
    with psycopg.connect(database_url) as connection:
        (text,) = connection.execute(
            "select string_agg(data::text, '') from truckroll.webhook_event"
        ).fetchone()
    assert text
    assert "Canary" not in text


async def test_what_is_rolled_back_is_not_told(store, database_url):
    world = await make_world(store)
    await endpoint(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    with psycopg.connect(database_url) as connection:
        connection.execute("select set_config('truckroll.tenant', '1', true)")
        connection.execute("set local search_path = truckroll")
        connection.execute(
            "update step set kind = 'done', done_at = now() where id = %s", [opened.id]
        )
        connection.rollback()
    assert await told(store) == []
    await world.finish(opened, "refused", says="no")
    assert await types(store) == ["record.held"]


async def test_nothing_is_written_where_nobody_listens(store, database_url):
    world = await make_world(store)
    await endpoint(store, "run.finished")
    await world.synced()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from truckroll.webhook_event").fetchone() == (0,)


async def test_holds_are_told_when_they_come_and_when_they_go(store):
    world = await make_world(store)
    await endpoint(store)
    (link,) = await world.adopted()
    hold = Hold(reason="person_unmapped", detail="nobody said whose Mike is")
    await world.journal(link, holds=(hold,))
    await world.journal(await world.link(link.id), holds=(hold,))
    await world.journal(await world.link(link.id))
    assert await told(store) == [
        ("record.held", {"link": link.id, "mirror": world.mirror, "reasons": ["person_unmapped"]}),
        (
            "hold.released",
            {"link": link.id, "mirror": world.mirror, "reasons": ["person_unmapped"]},
        ),
    ]


async def test_conflicts_and_runs_are_told(store):
    world = await make_world(store)
    await endpoint(store)
    (link,) = await world.adopted()
    await world.journal(
        link, notes=(Note("lost", "10:00 stands, 11:00 does not"), Note("matched", "x"))
    )
    async with store.run(world.recipe, "apply") as run:
        await store.end_run(
            run, {"writes": 3, "held": 1, "failed": 0, "stopped": [], "problems": []}
        )
    async with store.run(world.recipe, "apply"):
        pass
    found = await told(store)
    assert [kind for kind, _ in found] == ["conflict.found", "run.finished", "run.finished"]
    assert found[0][1]["link"] == link.id
    assert (found[1][1]["result"], found[1][1]["writes"]) == ("done", 3)
    assert found[2][1]["result"] == "failed", "a run without a summary is no success"


async def test_alerts_are_told_and_a_sign_in_by_its_own_name(store):
    await endpoint(store, "account.needs_sign_in", "alert.closed")
    await store.settle_alerts([Finding("sign_in", "field", "Sign in.")], at=AT)
    for minutes in (1, 7):
        await store.settle_alerts([], at=AT + timedelta(minutes=minutes))
    assert await types(store) == ["account.needs_sign_in", "alert.closed"]


async def test_one_delivery_is_taken_by_one(store):
    world = await make_world(store)
    await endpoint(store)
    await world.synced(*(seen(str(number)) for number in range(30)))
    taken = await asyncio.gather(
        *(store.take_deliveries(at=AT + SOON, lease=LEASE, each=10) for _ in range(5))
    )
    ids = [one.id for theirs in taken for one in theirs]
    assert len(ids) == len(set(ids)) == 30
    again = await store.take_deliveries(at=AT + SOON + LEASE, lease=LEASE, each=100)
    assert sorted(one.id for one in again) == sorted(ids), "of those whose takers died"
    done = [Told(id=one.id, done_at=AT, status=200) for one in again]
    await store.delivered(done)
    late = [Told(id=one.id, next_at=AT, status=500) for one in again]
    await store.delivered(late)
    assert await store.take_deliveries(at=AT + 2 * SOON, lease=LEASE) == []


async def test_a_slow_endpoint_takes_no_place_of_another(store):
    world = await make_world(store)
    first, second = await endpoint(store), await endpoint(store)
    await world.synced(*(seen(str(number)) for number in range(8)))
    due = await store.take_deliveries(at=AT + SOON, lease=LEASE, each=3)
    assert sorted(one.endpoint for one in due) == [first] * 3 + [second] * 3


async def test_a_paused_endpoint_misses_nothing(store):
    world = await make_world(store)
    id_ = await endpoint(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    await store.pause_endpoint(id_, "it was gone.", at=AT)
    await world.finish(opened, "done", **reply("x"))
    assert await told(store) == []
    (shown,) = await store.endpoints()
    assert (shown.waiting, shown.paused_why) == (1, "it was gone.")
    assert await store.resume_endpoint(id_, at=AT)
    assert await types(store) == ["record.written"]


async def test_secrets_are_sealed(store, database_url):
    await endpoint(store)
    await store.add_channel("ops", "slack", {"url": "https://hooks.example/canary"}, at=AT)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select sealed from truckroll.webhook_endpoint union select sealed from truckroll.alert_channel"
        ).fetchall()
    assert len(rows) == 2
    assert not any(b"canary" in row[0] or b"c2VjcmV0" in row[0] for row in rows)
    (channel,) = await store.channels()
    assert channel.settings == {"url": "https://hooks.example/canary"}
    assert "canary" not in repr(channel)


async def test_the_key_of_channels_and_endpoints_is_changed(store):
    world = await make_world(store)
    await endpoint(store)
    await store.add_channel("ops", "slack", {"url": "https://hooks.example/canary"}, at=AT)
    rotated = store._keyring.rotated()
    assert (await store.reseal_channels(rotated), await store.reseal_endpoints(rotated)) == (1, 1)
    await store.reseal(rotated)
    store._keyring = rotated.retired()
    (channel,) = await store.channels()
    assert channel.settings == {"url": "https://hooks.example/canary"}
    await world.synced()
    assert [one.secret for one in await store.take_deliveries(at=AT + SOON, lease=LEASE)]


async def test_whose_turn_it_is_is_known_over_all_tenants_by_id_alone(store, database_url):
    world = await make_world(store)
    stores = Stores(store._pool, store._keyring)
    assert await stores.tenants() == [1]
    assert await stores.tenants_to_tell(AT + SOON) == []
    await endpoint(store)
    await world.synced()
    assert await stores.tenants_to_tell(AT + SOON) == [1]
    assert await stores.tenants_to_tell(AT - SOON) == []
    async with store._pool.connection() as connection:
        await connection.execute("select set_config('truckroll.tenant', '2', false)")
        count = await connection.execute("select count(*) from webhook_delivery")
        assert await count.fetchone() == (0,)
        await connection.execute("reset truckroll.tenant")


async def test_an_owner_without_powers_can_look_over_tenants_too(store, database_url):
    """The functions are the owner's; that it is no superuser must not blind them."""
    world = await make_world(store)
    await endpoint(store)
    await world.synced()
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "create role plain_owner nologin; grant usage, create on schema truckroll to plain_owner"
        )
        for table in ("workspace", "webhook_delivery", "alert_message"):
            connection.execute(f"alter table truckroll.{table} owner to plain_owner")
            connection.execute(f"alter policy watch_owner on truckroll.{table} to plain_owner")
        for function in ("watched_tenants()", "tenants_to_tell(timestamptz)"):
            connection.execute(f"alter function truckroll.{function} owner to plain_owner")
        connection.execute("set role truckroll_app; set search_path = truckroll")
        assert connection.execute("select watched_tenants()").fetchall() == [(1,)]
        assert connection.execute("select tenants_to_tell('2100-01-01')").fetchall() == [(1,)]
        assert connection.execute("select count(*) from workspace").fetchone() == (0,)
        connection.rollback()


@pytest.mark.parametrize("at", [AT])
async def test_alerts_are_one_per_reason_and_settle(store, at):
    late = Finding("late", "field", "47 min ago")
    first = await store.settle_alerts([late], at=at)
    again = await store.settle_alerts([Finding("late", "field", "48 min ago")], at=at)
    assert (first.opened, again.opened, first.told) == (1, 0, 0)
    (alert,) = await store.alerts(at=at)
    assert alert.says == "48 min ago"
    for minutes, finding in ((1, []), (3, [late]), (4, []), (8, [])):
        await store.settle_alerts(finding, at=at + timedelta(minutes=minutes))
        assert len(await store.alerts(at=at)) == 1, "it came and went within five minutes"
    settled = await store.settle_alerts([], at=at + timedelta(minutes=9))
    assert settled.closed == 1
    assert await store.alerts(at=at) == []
    (over,) = await store.alerts(at=at, closed=True)
    assert over.closed_at == at + timedelta(minutes=9)
