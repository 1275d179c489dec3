"""The receiver of pushes, over ASGI and over a real socket, on a real database."""

import asyncio
import base64
import gzip
import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
import pytest

from kit.schemes import SCHEMES, secret_of, signed
from store.worlds import AT, later, make_world
from support import disk
from truckroll.app import pushes as app_pushes
from truckroll.app.hub import Hub
from truckroll.app.pushes import MOST_BYTES, Receiver, forget_old
from truckroll.connectors.servicetitan import SERVICETITAN
from truckroll.kit.contract import Push
from truckroll.kit.proofs import Unsigned
from truckroll.kit.push import Subscribed, parts_of
from truckroll.store.open import open_store
from web.receiving import ADDRESS, BODY, TOKEN


class Event(msgspec.Struct):
    id: int
    board: str = ""


# Taking


async def test_a_proven_push_is_kept_byte_for_byte_and_makes_its_scope_due(hall):
    row = await hall.subscribed(replace(TOKEN, keep=("x-id", "x-token")))
    body = b'{ "b":1,\r\n"a" : "\xc3\xa9" }\n'
    answer = await hall.send(row, body, {"X-Id": "1"}, query="?x=%2F")
    assert (answer.status_code, answer.content) == (200, b"")
    (kept,) = await hall.store.pushes(row.id)
    assert (kept.body, kept.query, kept.at) == (body, "x=%2F", AT)
    assert kept.headers == {"x-id": "1"}
    assert await hall.due() == 1
    assert (await hall.store.subscription(row.id)).heard_at == AT


@pytest.mark.fault("AT-17")
@pytest.mark.fault("F01")
async def test_of_a_hundred_identical_deliveries_at_once_one_has_an_effect(hall):
    row = await hall.subscribed()
    answers = await asyncio.gather(*(hall.send(row, headers={"X-Id": "7"}) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    (kept,) = await hall.store.pushes(row.id)
    assert kept.doubled == 99
    assert await hall.due() == 1
    assert (hall.receiver.counts["new"], hall.receiver.counts["doubled"]) == (1, 99)


@pytest.mark.fault("F01")
async def test_without_an_id_the_same_body_is_the_same_delivery(hall):
    row = await hall.subscribed(replace(TOKEN, delivery_id=None, keep=("x-topic",)))
    for headers, body in (
        ({"X-Topic": "a"}, b"1"),
        ({"X-Topic": "a", "X-Attempt": "2"}, b"1"),
        ({"X-Topic": "b"}, b"1"),
        ({"X-Topic": "a"}, b"2"),
    ):
        assert (await hall.send(row, body, headers)).status_code == 200
    assert sorted(one.doubled for one in await hall.store.pushes(row.id)) == [0, 0, 1]


async def test_what_arrives_together_is_kept_together(hall, monkeypatch):
    row = await hall.subscribed()
    sizes = []
    of = hall.stores.of

    class Counted:
        def __init__(self, store):
            self._store = store

        def __getattr__(self, name):
            return getattr(self._store, name)

        async def keep_pushes(self, came):
            sizes.append(len(came))
            return await self._store.keep_pushes(came)

    monkeypatch.setattr(type(hall.stores), "of", lambda _, tenant: Counted(of(tenant)))
    assert (await hall.send(row, headers={"X-Id": "first"})).status_code == 200
    sizes.clear()
    sent = [hall.send(row, headers={"X-Id": str(n)}) for n in range(200)]
    assert {answer.status_code for answer in await asyncio.gather(*sent)} == {200}
    assert sum(sizes) == 200
    assert len(sizes) <= 5
    assert (await hall.store.subscription(row.id)).pushes == 201


@pytest.mark.fault("F05")
async def test_of_a_batch_with_one_odd_part_the_others_are_used(hall):
    batch = replace(TOKEN, parts=lambda push: parts_of(push, "events.*", Event, lambda e: e.board))
    row = await hall.subscribed(batch, scope=False)
    (place,) = await hall.store.scopes(hall.world.source_account)
    events = [{"id": n, "board": place.scope.id} for n in range(100)]
    events[36] = {"id": "not a number", "board": 5}
    body = json.dumps({"events": events}).encode()
    assert (await hall.send(row, body)).status_code == 200
    (odd,) = await hall.store.odd_parts(row.id)
    assert (odd.number, json.loads(odd.raw)) == (36, events[36])
    assert "Part 37" in odd.reason
    assert await hall.due() == 1
    assert (await hall.store.pushes(row.id))[0].body == body


@pytest.mark.fault("F05")
@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 50_000, b'{"events": [{"id": "\\u0000"}]}'])
async def test_a_push_that_cannot_be_read_at_all_asks_for_a_read_of_everything(hall, body):
    batch = replace(TOKEN, parts=lambda push: parts_of(push, "events.*", Event))
    row = await hall.subscribed(batch, scope=False)
    assert (await hall.send(row, body)).status_code == 200
    assert len(await hall.store.odd_parts(row.id)) == 1
    assert await hall.due() == (0 if b"events" in body else 1)


@pytest.mark.fault("F05")
async def test_a_push_that_its_connector_fails_at_is_kept_and_everything_is_read(hall):
    row = await hall.subscribed(replace(TOKEN, parts=lambda push: [push.body[99]]), scope=False)
    assert (await hall.send(row)).status_code == 200
    (odd,) = await hall.store.odd_parts(row.id)
    assert (odd.raw, "cannot be taken apart" in odd.reason) == (BODY, True)
    assert await hall.due() == 1


# Proofs


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
async def test_every_scheme_is_proven_over_the_wire(hall, scheme):
    hall.clock[0] = AT
    row = await hall.subscribed(Push(SCHEMES[scheme]), secret=secret_of(scheme))
    url = f"{ADDRESS}/push/{row.path}?x=%2F"
    hall.receiver.address = "https://hub.example/in"
    push = signed(scheme, BODY, AT, url=url)
    headers = {name.title(): value for name, value in push.headers.items()}
    path = f"/push/{row.path}?x=%2F"
    assert (await hall.client.post(path, content=BODY, headers=headers)).status_code == 200
    for body in (BODY + b"\n", json.dumps(json.loads(BODY), indent=1).encode(), b""):
        answer = await hall.client.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.content) == (401, b"")
    assert len(await hall.store.pushes(row.id)) == 1
    assert await hall.due() == 1
    await hall.receiver.close()
    assert (await hall.store.subscription(row.id)).refused == 3


@pytest.mark.fault("F06")
async def test_a_body_counts_as_it_was_sent_in_pieces_or_compressed(hall):
    row = await hall.subscribed(Push(SCHEMES["asana"]), secret=secret_of("asana"))
    path = f"/push/{row.path}"

    async def pieces(body):
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    headers = signed("asana", BODY, AT).headers
    assert (await hall.client.post(path, content=pieces(BODY), headers=headers)).status_code == 200
    packed = gzip.compress(BODY)
    headers = {**signed("asana", packed, AT).headers, "Content-Encoding": "gzip"}
    assert (await hall.client.post(path, content=packed, headers=headers)).status_code == 200
    newest = {one.body: one.headers for one in await hall.store.pushes(row.id)}
    assert newest[packed] == {"content-encoding": "gzip"}
    assert BODY in newest


@pytest.mark.fault("F06")
async def test_a_flood_of_refused_pushes_asks_little_of_the_database(hall, monkeypatch):
    row = await hall.subscribed()
    assert (await hall.send(row, headers={"X-Id": "1"})).status_code == 200
    asked = []
    find = app_pushes.subscription_at

    async def noted(pool, path):
        asked.append(path)
        return await find(pool, path)

    monkeypatch.setattr(app_pushes, "subscription_at", noted)
    for _ in range(50):
        answer = await hall.send(row, headers={"X-Token": "wrong", "X-Id": "2"})
        assert answer.status_code == 401
    assert len(asked) <= 5  # whether the secret was exchanged: three times, then once a second
    await hall.receiver.close()
    assert (await hall.store.subscription(row.id)).refused == 50
    assert len(await hall.store.pushes(row.id)) == 1


async def test_a_secret_that_was_exchanged_elsewhere_is_found(hall):
    row = await hall.subscribed()
    assert (await hall.send(row, headers={"X-Id": "1"})).status_code == 200
    claimed = await hall.store.claim_subscription(
        row, at=AT, until=later(minutes=1), coming="another secret of ours"
    )
    for secret in ("another secret of ours", row.secret):
        answer = await hall.send(row, headers={"X-Token": secret, "X-Id": secret})
        assert answer.status_code == 200
    await hall.store.settle_subscription(claimed, Subscribed(id="r"), at=AT, anew=True)
    answer = await hall.send(row, headers={"X-Token": row.secret, "X-Id": "in flight"})
    assert answer.status_code == 200


async def test_unsigned_pushes_are_a_hint_and_not_without_end(hall):
    row = await hall.subscribed(Push(Unsigned(per_minute=3)), secret="")
    answers = [await hall.send(row, str(n).encode()) for n in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert "Retry-After" in answers[-1].headers
    assert len(await hall.store.pushes(row.id)) == 3


@pytest.mark.parametrize("encode", [bytes.hex, lambda raw: base64.b64encode(raw).decode()])
async def test_what_servicetitan_sends_is_a_call_to_read_its_tenant(hall, encode):
    row = await hall.subscribed(SERVICETITAN.push, scope=False)
    body = b'{"anything": "at all"}'
    digest = hmac.digest(row.secret.encode(), body, "sha256")
    path, headers = f"/push/{row.path}", {"X-ServiceTitan-Signature": encode(digest)}
    assert (await hall.client.post(path, content=body, headers=headers)).status_code == 200
    assert await hall.due() == 1
    assert (await hall.client.post(path, content=body + b" ", headers=headers)).status_code == 401
    assert (await hall.client.post(path, content=body)).status_code == 401
    assert len(await hall.store.pushes(row.id)) == 1


# Addresses


async def test_an_unknown_address_is_not_found_and_says_nothing(hall):
    row = await hall.subscribed()
    for path in ("x" * 43, row.path[:-1], f"{row.path}x", "", "..%2f", f"{row.path}/more", "%00"):
        answer = await hall.client.post(f"/push/{path}", content=BODY)
        assert (answer.status_code, answer.content) == (404, b""), path
    assert (await hall.send(row, method="GET")).status_code == 404
    assert await hall.store.pushes(row.id) == []


async def test_random_addresses_do_not_wear_the_database_out(hall, monkeypatch):
    asked = []

    async def nobody(_, path):
        asked.append(path)

    monkeypatch.setattr(app_pushes, "subscription_at", nobody)
    hall.receiver._lookups = app_pushes._Bucket(1.0, 50.0)
    paths = [f"{n:043}" for n in range(200)]
    answers = [(await hall.client.post(f"/push/{path}")).status_code for path in paths]
    assert 50 <= len(asked) < 100
    assert set(answers) == {404, 503}


async def test_a_stopped_subscription_says_that_it_is_gone(hall):
    row = await hall.subscribed()
    await hall.store.turn_subscription(row.id, "off")
    assert (await hall.send(row)).status_code == 410
    await hall.store.remove_subscription(row.id)
    assert (await hall.send(row)).status_code == 404


async def test_too_large_a_push_is_turned_away(hall):
    row = await hall.subscribed(replace(TOKEN, most_bytes=100))
    assert (await hall.send(row, b"x" * 101)).status_code == 413
    assert (await hall.send(row, b"x" * (MOST_BYTES + 1))).status_code == 413
    assert (await hall.send(row, b"x" * 100)).status_code == 200

    async def endless():
        for _ in range(MOST_BYTES // 65536 + 2):
            yield b"x" * 65536

    assert (await hall.send(row, endless())).status_code == 413


async def test_old_pushes_are_forgotten(hall):
    row = await hall.subscribed()
    assert (await hall.send(row)).status_code == 200
    hub = Hub(None, hall.store, lambda: AT + timedelta(days=13))
    assert await forget_old(hub) == 0
    hub = Hub(None, hall.store, lambda: AT + timedelta(days=15))
    assert await forget_old(hub) == 1


# The database away


@pytest.mark.fault("F08")
async def test_without_a_database_nothing_is_acknowledged_and_lost(
    hall, database_url, server_url, monkeypatch
):
    monkeypatch.setattr(app_pushes, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(app_pushes, "_DOWN_SECONDS", 0.2)
    row = await hall.subscribed()
    acknowledged, turned_away = set(), set()

    async def send(number):
        answer = await hall.send(row, headers={"X-Id": str(number)})
        (acknowledged if answer.status_code == 200 else turned_away).add(number)
        return answer

    for number in range(5):
        await send(number)
    with disk.away(database_url, server_url):
        began = time.monotonic()
        answers = await asyncio.gather(*(send(number) for number in range(10, 60)))
        assert time.monotonic() - began < 5
        assert {answer.status_code for answer in answers} == {503}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
        began = time.monotonic()
        assert (await send(60)).status_code == 503
        assert time.monotonic() - began < 0.2
        unknown = await hall.client.post(f"/push/{'y' * 43}")
        assert unknown.status_code == 503
    assert acknowledged == set(range(5))
    for _ in range(100):
        await asyncio.sleep(0.1)
        if (await send(70)).status_code == 200:
            break
    for number in sorted(turned_away):  # the system sends them again
        assert (await send(number)).status_code == 200
    assert (await hall.store.subscription(row.id)).pushes == len(acknowledged)


async def test_one_push_that_cannot_be_kept_keeps_no_other_away(hall):
    row = await hall.subscribed(replace(TOKEN, keep=("x-note",)))
    good = [hall.send(row, headers={"X-Id": str(n)}) for n in range(20)]
    headers = {"x-token": row.secret, "x-id": "bad"}
    push = hall.receiver.arrival("POST", f"/push/{row.path}?q=\x00", headers, BODY)
    bad, *answers = await asyncio.gather(hall.receiver.take(row.path, push), *good)
    assert bad.status == 503
    assert [answer.status_code for answer in answers] == [200] * 20
    assert (await hall.store.subscription(row.id)).pushes == 20


# Tenants


@pytest.mark.fault("F08")
async def test_a_tenant_whose_rows_are_locked_holds_up_no_other(
    hall, database_url, tmp_path, monkeypatch
):
    monkeypatch.setattr(app_pushes, "_PATIENCE_SECONDS", 0.5)
    mine = await hall.subscribed()
    async with open_store(database_url, tmp_path / "home", tenant=2) as other:
        world = await make_world(other)
        theirs = await other.add_subscription(
            world.source_account, world.source, at=AT, secret="t" * 20, by_hand=True
        )
        for row in (mine, theirs):
            assert (await hall.send(row, headers={"X-Id": "1"})).status_code == 200
        with psycopg.connect(database_url) as locker:
            locker.execute("select from truckroll.subscription where id = %s for update", [mine.id])
            sent = [hall.send(mine, headers={"X-Id": f"m{n}"}) for n in range(20)]
            held_up = [asyncio.ensure_future(one) for one in sent]
            for number in range(20):
                answer = await hall.send(theirs, headers={"X-Id": f"t{number}"})
                assert answer.status_code == 200
            assert {(await one).status_code for one in held_up} == {503}
        assert len(await other.pushes(theirs.id)) == 21
    assert len(await hall.store.pushes(mine.id)) == 1


async def test_each_tenants_pushes_go_to_that_tenant(hall, database_url, tmp_path):
    mine = await hall.subscribed()
    async with open_store(database_url, tmp_path / "home", tenant=2) as other:
        world = await make_world(other)
        theirs = await other.add_subscription(
            world.source_account, world.source, at=AT, secret="t" * 20, by_hand=True
        )
        sent = [hall.send(row, headers={"X-Id": "1"}) for row in (mine, theirs)]
        assert [one.status_code for one in await asyncio.gather(*sent)] == [200, 200]
        crossed = await hall.send(theirs, headers={"X-Token": mine.secret, "X-Id": "2"})
        assert crossed.status_code == 401
        assert len(await other.pushes(theirs.id)) == 1
        assert await other.pushes(mine.id) == []
    assert len(await hall.store.pushes(mine.id)) == 1


def test_the_clock_of_a_receiver_is_aware():
    assert Receiver(None, ADDRESS).now().tzinfo is UTC
    assert datetime.now(UTC) - Receiver(None, ADDRESS).now() < timedelta(seconds=5)
