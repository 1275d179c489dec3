"""Who tries tokens that are none is not looked up any more after a while; others go on."""

import tracemalloc
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from litestar.exceptions import TooManyRequestsException

from truckroll.web.app import make_app
from truckroll.web.door import FAILURES_A_MINUTE, Door

BAD = {"Authorization": "Bearer tkr_none"}


class Clock:
    at = datetime(2026, 12, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


def refused(door, address, token=b"x"):
    try:
        door.ask(address, token)
    except TooManyRequestsException:
        return True
    return False


def test_an_address_is_refused_after_so_many_failures_and_let_in_after_a_minute(clock):
    door = Door(clock)
    for _ in range(FAILURES_A_MINUTE):
        assert not refused(door, "198.51.100.7")
        door.failed("198.51.100.7", b"x")
    assert refused(door, "198.51.100.7")
    assert not refused(door, "198.51.100.8")
    clock.at += timedelta(seconds=61)
    assert not refused(door, "198.51.100.7")


def test_a_network_of_ipv6_counts_as_one_and_mapped_addresses_as_what_they_are(clock):
    door = Door(clock, most=2)
    for end in ("1", "ffff:1:2:3"):
        door.failed(f"2001:db8:0:1:{end}" if ":" in end else f"2001:db8:0:1::{end}", b"x")
    assert refused(door, "2001:db8:0:1::9")
    assert not refused(door, "2001:db8:0:2::9")
    door.failed("192.0.2.1", b"x")
    door.failed("::ffff:192.0.2.1", b"x")
    assert refused(door, "192.0.2.1")


def test_a_token_that_was_good_goes_on_until_it_is_not(clock):
    door = Door(clock, most=1)
    door.passed(b"good")
    door.failed("192.0.2.1", b"bad")
    assert refused(door, "192.0.2.1", b"other")
    assert not refused(door, "192.0.2.1", b"good")
    door.failed("192.0.2.1", b"good")  # it was revoked
    assert refused(door, "192.0.2.1", b"good")


def test_addresses_without_end_take_no_memory_without_end(clock):
    door = Door(clock, most=1)

    def storm(first, count):
        for number in range(first, first + count):
            door.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", b"x")
            door.passed(number.to_bytes(32))

    storm(0, 20_000)
    tracemalloc.start()
    storm(20_000, 40_000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(door._tries) == len(door._good) == 10_000
    assert grown < 20_000_000
    assert refused(door, "10.0.234.95"), "the latest are known"


async def test_nobody_asks_the_database_for_who_only_tries(office, monkeypatch):
    state = office.app.state
    app = make_app(state.stores, state.home, now=office.clock, failures_a_minute=3)
    good = {"Authorization": f"Bearer {office.tokens['acme', 'csr']}"}
    new = {"Authorization": f"Bearer {office.tokens['acme', 'dispatcher']}"}
    transport = httpx.ASGITransport(app, client=("198.51.100.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.example") as client:
        assert (await client.get("/api/v1/me", headers=good)).status_code == 200
        for _ in range(3):
            assert (await client.get("/api/v1/me", headers=BAD)).status_code == 401
        asked = 0
        places = type(office.hubs["acme"].store).token_places

        async def counted(store, digest):
            nonlocal asked
            asked += 1
            return await places(store, digest)

        monkeypatch.setattr(type(office.hubs["acme"].store), "token_places", counted)
        answer = await client.get("/api/v1/me", headers=BAD)
        assert (answer.status_code, asked) == (429, 0)
        assert "came without a good token" in answer.json()["detail"]
        headers = answer.headers
        assert 0 < int(headers["retry-after"]) <= 60
        assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("3", "0")
        assert (await client.get("/api/v1/me", headers=good)).status_code == 200
        assert (await client.get("/api/v1/me", headers=new)).status_code == 429
    elsewhere = httpx.ASGITransport(app, client=("198.51.100.8", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://hub.example") as client:
        assert (await client.get("/api/v1/me", headers=new)).status_code == 200
