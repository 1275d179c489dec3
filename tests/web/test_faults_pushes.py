"""Pushes that nobody asked for: replayed ones, and garbage in bulk."""

import asyncio
import tracemalloc
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from store.worlds import AT
from truckroll.app.unwelcome import AT_ONCE, MOST_SOURCES, PER_SECOND, Unwelcome
from truckroll.kit.push import Hint
from web.receiving import BODY, TOKEN

GARBAGE = b"\x00garbage" * (1024 * 1024 // 8)


def client_of(hall, address):
    transport = httpx.ASGITransport(hall.client._transport.app, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="https://hub.example")


@pytest.mark.fault("F70")
async def test_a_signed_push_that_is_replayed_within_its_tolerance_has_no_second_effect(hall):
    row = await hall.subscribed(replace(TOKEN, delivery_id=None, keep=("x-time",)))
    headers = {"X-Time": "1"}
    assert (await hall.send(row, BODY, headers)).status_code == 200
    for minutes in (0, 1, 4):
        hall.clock[0] = AT + timedelta(minutes=minutes)
        assert (
            await hall.send(row, BODY, {**headers, "X-Replayed": str(minutes)})
        ).status_code == 200
    (kept,) = await hall.store.pushes(row.id)
    assert kept.doubled == 3
    assert await hall.due() == 1


@pytest.mark.fault("F70")
async def test_garbage_in_bulk_is_turned_away_unread_and_nothing_of_it_is_kept(hall):
    taken_apart = []

    def parts(push):
        taken_apart.append(push.body)
        return (Hint(),)

    row = await hall.subscribed(replace(TOKEN, parts=parts))
    assert (await hall.send(row, headers={"X-Id": "0"})).status_code == 200  # it is known

    async def flood(sender):
        async def body():
            for at in range(0, len(GARBAGE), 65_536):
                yield GARBAGE[at : at + 65_536]

        answer = await sender.post(f"/push/{row.path}", content=body(), headers={"X-Token": "no"})
        return answer.status_code

    async with client_of(hall, "203.0.113.7") as sender:
        for _ in range(8):  # what is loaded once is loaded now
            assert await flood(sender) == 401
        tracemalloc.start()
        try:
            answers = [await flood(sender) for _ in range(8, 600)]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert set(answers) == {401, 429}
        refused = answers.count(401)
        assert AT_ONCE - 10 <= refused < 450, refused
        assert peak < 16 * 1024 * 1024
        assert len(hall.receiver._unwelcome) == 1
    # the system itself, from where it sends, is heard all the while; nothing else was kept
    assert (await hall.send(row, headers={"X-Id": "1"})).status_code == 200
    assert taken_apart == [BODY, BODY]
    assert len(await hall.store.pushes(row.id)) == 2
    assert await hall.store.odd_parts(row.id) == []
    await hall.receiver._write_counts()
    assert (await hall.store.subscription(row.id)).refused == 8 + refused


@pytest.mark.fault("F70")
async def test_who_floods_unknown_ends_keeps_no_known_one_away_even_behind_one_proxy(hall):
    row = await hall.subscribed()
    assert (await hall.send(row, headers={"X-Id": "0"})).status_code == 200
    answers = [
        (await hall.client.post(f"/push/{number:043d}", content=b"x")).status_code
        for number in range(int(AT_ONCE) + 200)
    ]
    assert answers.count(429) > 50
    assert (await hall.send(row, headers={"X-Id": "1"})).status_code == 200


@pytest.mark.fault("F70")
async def test_bodies_that_arrive_slowly_in_great_number_have_bounded_room(hall, monkeypatch):
    monkeypatch.setattr("truckroll.web.pushes._MOST_IN_HAND", 1024 * 1024)
    row = await hall.subscribed()
    go_on = asyncio.Event()

    async def slow():
        yield b"x" * 100_000
        await go_on.wait()
        yield b"y"

    url, headers = f"/push/{row.path}", {"X-Token": "no"}
    sent = [
        asyncio.ensure_future(hall.client.post(url, content=slow(), headers=headers))
        for _ in range(40)
    ]
    done, _ = await asyncio.wait(sent, timeout=5, return_when=asyncio.ALL_COMPLETED)
    assert {one.result().status_code for one in done} == {503}
    assert len(done) >= 40 - 11
    go_on.set()
    answers = await asyncio.gather(*sent)
    assert sum(one.status_code == 401 for one in answers) == 40 - len(done)
    assert (
        await hall.send(row, headers={"X-Id": "1"})
    ).status_code == 200  # the room is free again


def test_what_was_refused_is_forgotten_and_only_the_latest_sources_are_known():
    now = [0.0]
    counts = Unwelcome(clock=lambda: now[0])
    for _ in range(int(AT_ONCE)):
        assert not counts.is_full("a", "x")
        counts.add("a", "x")
    assert counts.is_full("a", "x")
    assert not counts.is_full("a", "y")
    assert not counts.is_full("b", "x")
    now[0] += 1 / PER_SECOND
    assert not counts.is_full("a", "x")
    for number in range(MOST_SOURCES + 5):
        counts.add(str(number), "x")
    assert len(counts) == MOST_SOURCES
