"""The benches of a hub that is up run, on sizes that take little time; no duration is asserted."""

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import automation, boxed, burst, latency, pushes, relay


async def test_every_push_that_is_acknowledged_is_in_the_database():
    accepted, _, kept, cost, same = await pushes.figures(
        rate=100, seconds=1, scopes=5, lines=10, tenants=2
    )
    assert accepted.note == "200: 100"
    assert kept.ratio == 1.0
    assert cost.ratio > 0
    assert same.ours == "1"
    assert same.note == "100 acknowledged, 1 kept, 99 counted as doubled"


async def test_each_edit_at_google_is_seen_at_its_target():
    p50, p95 = await latency.google(3, rate=5, seconds=2)
    assert p50.ratio > 0
    assert p95.note.endswith("10 changes")


async def test_each_moved_visit_is_seen_at_its_target():
    lines = await latency.titan(3, rate=5, seconds=1, lags=(0.0,))
    assert [one.note.endswith(" 5 changes") for one in lines] == [False, True]


async def test_a_burst_comes_over_whole():
    line = await burst.pairs(40, 4, 1)
    assert line.ratio > 0


async def test_a_peer_that_is_not_installed_is_said_to_be_so(monkeypatch):
    monkeypatch.delenv(automation.PEERS, raising=False)
    assert await automation._node_red(1) is None
    assert await automation._n8n(1) is None
    line = automation._line("what", automation.Ran(1, 1), None, "n8n", 5.0)
    assert line.met is None
    assert line.beside == "n8n is not installed"


@pytest.mark.parametrize("text", ["2026-11-30T09:00:05-06:00", "2026-11-30T15:00:05Z"])
def test_starts_are_compared_as_instants(text):
    assert boxed._second(text) == boxed._second("2026-11-30T09:00:05")


async def test_the_relay_notes_what_was_answered_well():
    ended = asyncio.Event()

    async def answer(reader, writer):
        for status in (b"201 Created", b"412 Precondition Failed"):
            await reader.readuntil(b"end")
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, relay.relayed(server.sockets[0].getsockname()[1]) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        for mark in (7, 8):
            writer.write(b"PUT /a HTTP/1.1\r\n\r\nVisit (edit %d) end" % mark)
            await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        await ended.wait()
    assert list(made.marks) == [7]
    assert made.writes == 1
