"""Tokens over processes: one renewal, stored before use, and what becomes of crashes."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from support.many import OLD, app_at, at_once, renew
from truckroll.kit.auth import OAuth2, Tokens
from truckroll.kit.errors import RetryLater, SignIn
from truckroll.kit.grants import LEASE_SECONDS, Place
from truckroll.kit.pace import Timing

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
HERE = Place("", "seed")


class Rotating:
    """A token server whose refresh tokens are good for one use."""

    def __init__(self):
        self.valid, self.asked, self.life, self.hold = "r0", [], 3600, 0.0

    async def __call__(self, request):
        form = {k: v[0] for k, v in parse_qs((await request.read()).decode()).items()}
        self.asked.append(form["refresh_token"])
        if form["refresh_token"] != self.valid:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.valid = f"r{len(self.asked)}"
        await asyncio.sleep(self.hold)
        answer = {"access_token": f"a{len(self.asked)}", "refresh_token": self.valid}
        return web.json_response(answer | ({"expires_in": self.life} if self.life else {}))


@asynccontextmanager
async def serving(handler):
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    finally:
        await runner.cleanup()


@pytest.fixture
async def vendor():
    """Return a token server and the app that is known there."""
    server = Rotating()
    async with serving(server) as url:
        yield server, app_at(url)


@pytest.fixture
async def account(store):
    return (await store.add_account("caldav", "crm", {}, {})).id


class Clock:
    """A clock that moves when it is told to, or slept on; `off` is how wrong a process has it."""

    def __init__(self):
        self.at = NOW

    def now(self):
        return self.at

    def seconds(self):
        return (self.at - NOW).total_seconds()

    def timing(self, off=timedelta(0)):
        async def sleep(seconds):
            self.at += timedelta(seconds=seconds)
            await asyncio.sleep(0)

        return Timing(self.seconds, lambda: self.at + off, sleep)


def proof(app, store, account, clock, **off):
    grants = store.grants(account, clock=clock.now)
    return OAuth2(app, OLD, grants=grants, timing=clock.timing(**off))


@pytest.mark.fault("F40")
@pytest.mark.fault("AT-20")
async def test_processes_share_one_renewal_of_a_token_that_is_good_once(
    store, account, database_url, tmp_path
):
    server = Rotating()
    server.hold = 0.3
    async with serving(server) as url:
        got = await at_once(4, renew, database_url, tmp_path / "home", account, url)
    assert got == ["Bearer a1"] * 4
    assert server.asked == ["r0"]


@pytest.mark.fault("F40")
@pytest.mark.fault("AT-20")
async def test_twenty_workers_make_one_call_each_time_the_token_is_too_old(store, account, vendor):
    server, app = vendor
    server.life = 1
    workers = [OAuth2(app, OLD, grants=store.grants(account)) for _ in range(20)]
    for number in (1, 2):
        got = await asyncio.gather(*(one.headers() for one in workers))
        assert {one["Authorization"] for one in got} == {f"Bearer a{number}"}
        await asyncio.sleep(1.0)
    assert server.asked == ["r0", "r1"]


@pytest.mark.fault("F40")
async def test_the_loser_adopts_a_newer_token_before_it_declares_the_grant_dead(
    store, account, vendor
):
    server, app = vendor
    clock = Clock()
    first, second = (proof(app, store, account, clock) for _ in range(2))

    grant = first._grant

    async def overtaken():
        clock.at += timedelta(seconds=LEASE_SECONDS + 1)  # it hung, and its turn was over
        await second.headers()
        return await grant()

    first._grant = overtaken
    assert await first.headers() == {"Authorization": "Bearer a1"}
    assert server.asked == ["r0", "r0"]
    assert await second.headers() == {"Authorization": "Bearer a1"}


@pytest.mark.fault("F41")
async def test_a_crash_before_the_new_token_is_stored_tries_the_old_one_within_grace(
    store, account, vendor
):
    server, app = vendor
    clock = Clock()
    grants = store.grants(account, clock=clock.now)
    auth = proof(app, store, account, clock)
    claim = await grants.claim(auth._place, 0, clock.now())
    assert claim.kind == "mine"  # and its process dies with the answer
    assert (await grants.claim(auth._place, 0, clock.now())).kind == "busy"
    assert await auth.headers() == {"Authorization": "Bearer a1"}
    assert clock.at >= NOW + timedelta(seconds=LEASE_SECONDS)
    assert server.asked == ["r0"]


@pytest.mark.fault("F41")
async def test_past_the_grace_a_person_is_asked_and_nothing_is_forgotten(store, account, vendor):
    server, app = vendor
    clock = Clock()
    server.valid = "r1"  # it was given, and never stored
    for _ in range(60):
        with pytest.raises(SignIn, match="Sign in again"):
            await proof(app, store, account, clock).headers()  # each a process of its own
        clock.at += timedelta(minutes=1)
    assert len(server.asked) <= 8
    again = OAuth2(
        app, Tokens("", "r1", OLD.good_until), grants=store.grants(account), timing=clock.timing()
    )
    assert await again.headers() == {"Authorization": f"Bearer a{len(server.asked)}"}


@pytest.mark.fault("AT-20")
async def test_a_dead_grant_is_asked_a_few_times_a_day_by_all_workers_together(
    store, account, vendor
):
    server, app = vendor
    server.valid = "gone"
    clock = Clock()
    workers = [proof(app, store, account, clock) for _ in range(4)]
    for _ in range(6 * 24):
        for one in workers:
            with pytest.raises(SignIn):
                await one.headers()
        clock.at += timedelta(minutes=10)
    assert len(server.asked) < 40


async def test_a_token_server_that_fails_is_left_alone_for_a_while(store, account):
    asked, clock = [], Clock()

    async def broken(_request):
        asked.append(clock.at)
        return web.Response(status=500)

    async with serving(broken) as url:
        for _ in range(10):
            with pytest.raises(RetryLater, match="by itself"):
                await proof(app_at(url), store, account, clock).headers()
            clock.at += timedelta(seconds=5)
    assert [round((one - NOW).total_seconds()) for one in asked] == [0, 30]


@pytest.mark.fault("F43")
@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_process_with_a_wrong_clock_makes_no_storm(store, account, vendor, minutes):
    server, app = vendor
    server.life = 300  # shorter than the clock is wrong
    clock = Clock()
    right, wrong = (
        proof(app, store, account, clock, off=timedelta(minutes=off)) for off in (0, minutes)
    )
    for _ in range(100):
        await wrong.headers()
        await right.headers()
        clock.at += timedelta(seconds=30)
    assert 50 * 60 / 300 <= len(server.asked) <= 50 * 60 / 300 * 1.4


@pytest.mark.fault("F43")
async def test_a_lifetime_that_is_not_said_is_not_asked_about(store, account, vendor):
    server, app = vendor
    server.life = None
    clock = Clock()
    for _ in range(20):
        await proof(app, store, account, clock).headers()
        clock.at += timedelta(hours=1)
    assert server.asked == ["r0"]


async def test_tokens_are_sealed_and_another_key_opens_them_after_a_change(store, account):
    grants = store.grants(account)
    tokens = Tokens("secret-access", "secret-refresh", more={"instance_url": "https://x/"})
    assert await grants.keep(HERE, 0, tokens, NOW) == 1
    async with store._transaction() as cursor:
        await cursor.execute("select sealed from oauth_grant")
        (sealed,) = await cursor.fetchone()
    assert b"secret" not in bytes(sealed)
    await store.reseal(store._keyring.rotated())
    store._keyring = store._keyring.retired()
    assert (await grants.claim(HERE, 0, NOW)).tokens == tokens


async def test_what_a_person_gives_anew_begins_a_grant_of_its_own(store, account, vendor):
    server, app = vendor
    clock = Clock()
    await proof(app, store, account, clock).headers()
    server.valid = "other"
    new = OAuth2(app, Tokens("", "other", OLD.good_until), grants=store.grants(account))
    assert await new.headers() == {"Authorization": "Bearer a2"}
    assert await proof(app, store, account, clock).headers() == {"Authorization": "Bearer a1"}


async def test_a_late_winner_does_not_overwrite_newer_tokens(store, account):
    grants = store.grants(account)
    assert await grants.keep(HERE, 0, Tokens("a1", "r1"), NOW) == 1
    assert await grants.keep(HERE, 1, Tokens("a2", "r2"), NOW) == 2
    assert await grants.keep(HERE, 1, Tokens("late", "late"), NOW) is None
    await grants.fail(HERE, 1, SignIn("late"))
    assert (await grants.claim(HERE, 2, NOW)).kind == "mine"
