"""The breaker and the bulkhead: what a vendor that is down or hangs may take."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from contract.sentences import assert_sentence
from truckroll.kit import breaker
from truckroll.kit.breaker import Health
from truckroll.kit.errors import RetryLater, SignIn
from truckroll.kit.gate import Gate, LocalMeter
from truckroll.kit.http import Cost, Limit, Limits, Pace, Transport, open_client

AT = datetime(2026, 12, 1, 8, tzinfo=UTC)


def later(seconds):
    return AT + timedelta(seconds=seconds)


def down():
    health = Health()
    for number in range(breaker.IN_A_ROW):
        health = breaker.failed(health, later(number * 2), says="Toy does not answer")
    return health


def test_it_opens_after_many_failures_over_a_while_and_not_before():
    health = Health()
    for number in range(breaker.IN_A_ROW - 1):
        health = breaker.failed(health, later(number * 2))
    assert breaker.verdict(health, later(30)).why == ""
    assert breaker.failed(health, later(30)).state == "down"
    quick = Health()
    for _ in range(100):
        quick = breaker.failed(quick, AT)
    assert quick.state == ""
    assert breaker.well(quick, AT).failures == 0


def test_only_a_probe_closes_it_or_keeps_it_open_for_longer():
    health = down()
    assert breaker.well(health, later(30)) == health
    assert breaker.failed(health, later(30)).until == health.until
    waits = []
    for _ in range(8):
        health = breaker.probing(health, health.until)
        begun = health.until
        health = breaker.failed(health, begun, probe=True)
        waits.append((health.until - begun).total_seconds())
    assert waits == [30, 60, 120, 240, 300, 300, 300, 300]
    assert health.since == later(18)
    closed = breaker.well(health, health.until, probe=True)
    assert (closed.state, closed.failures, closed.trips) == ("", 0, 0)


def test_two_failures_close_to_each_other_make_a_system_shaky_for_a_while():
    once = breaker.failed(Health(), AT)
    assert not breaker.shaky(once, AT)
    assert not breaker.shaky(breaker.failed(once, later(3600)), later(3600))
    twice = breaker.well(breaker.failed(breaker.well(once, later(60)), later(120)), later(180))
    assert breaker.shaky(twice, later(900))
    assert not breaker.shaky(twice, later(120 + 15 * 60))


STEPS = st.sampled_from(["well", "failed", "signed_out", "paused", "released", "forgiven"])


@given(st.lists(st.tuples(STEPS, st.integers(0, 4000), st.booleans()), max_size=40))
def test_whatever_happens_it_asks_again_within_a_day(steps):
    health, at = Health(), AT
    for name, seconds, probe in steps:
        at += timedelta(seconds=seconds)
        change = {
            "well": lambda h, now, probe=probe: breaker.well(h, now, probe=probe),
            "failed": lambda h, now, probe=probe: breaker.failed(h, now, probe=probe),
            "signed_out": lambda h, now: breaker.signed_out(h, now, says="x"),
            "paused": lambda h, now, s=seconds: breaker.paused(h, now, seconds=s * 100),
            "released": breaker.released,
            "forgiven": breaker.forgiven,
        }[name]
        health = breaker.probing(change(health, at), at)
        found = breaker.verdict(health, at)
        assert found.wait <= 1.1 * 86400
        assert bool(found.why) == (found.wait > 0)
    assert breaker.verdict(health, at + timedelta(days=2)).wait == 0


@pytest.mark.fault("F61")
async def test_a_vendor_down_for_forty_hours_gets_few_calls_and_then_all_within_its_limit(
    serve, client, clock
):
    alive, calls = False, []

    async def handler(_request):
        calls.append((clock.at, alive))
        return web.Response(status=200 if alive else 503)

    pace = Pace(limits=(Limit(60, 60, burst=5),))
    http = await client(await serve(handler), pace=pace)
    queue, done, begun = list(range(200)), [], clock.at
    while queue:
        alive = clock.at - begun >= 40 * 3600
        try:
            await http.request("GET", f"/{queue[0]}")
        except RetryLater as error:
            assert_sentence(error.says)
            clock.at += max(60.0, error.after.total_seconds() if error.after else 0.0)
        else:
            done.append(queue.pop(0))
    assert done == list(range(200))  # nothing lost, in order
    in_vain = [at for at, lived in calls if not lived]
    assert len(in_vain) <= 40 * 60 / 5 + 40
    at = [one for one, lived in calls if lived]
    assert max(sum(1 for x in at if one <= x < one + 60) for one in at) <= 60


@pytest.mark.fault("F62")
async def test_a_vendor_that_never_answers_takes_its_own_share_and_the_others_go_on(
    serve, client, clock
):
    hanging, most, answered = set(), 0, 0

    async def hangs(request):
        nonlocal most
        hanging.add(id(request))
        most = max(most, len(hanging))
        while request.transport is not None:  # noqa: ASYNC110 -- until the other side hangs up
            await asyncio.sleep(0.01)
        hanging.discard(id(request))
        clock.at += 2
        return web.Response()

    async def answers(_request):
        nonlocal answered
        answered += 1
        return web.Response()

    limits = Limits(total_seconds=0.3, tries=1)
    slow = await client(await serve(hangs), limits=limits, pace=Pace(concurrency=3))
    quick = await client(await serve(answers), pace=Pace(concurrency=3))

    async def ask():
        with pytest.raises(RetryLater):
            await slow.request("GET", "/")

    waiting = [asyncio.create_task(ask()) for _ in range(40)]
    for _ in range(50):
        await quick.request("GET", "/")
    assert (answered, most) == (50, 3)
    assert not all(one.done() for one in waiting)
    await asyncio.gather(*waiting)
    # Each of the three connections waits out its time-out a few times, then nobody waits at all.
    assert slow.calls <= breaker.IN_A_ROW + 2 * 3


async def test_an_open_breaker_says_when_it_is_asked_again(serve, client, clock):
    async def handler(_request):
        return web.Response(status=500)

    http = await client(await serve(handler), limits=Limits(patience_seconds=5))
    for _ in range(5):
        with pytest.raises(RetryLater):
            await http.request("GET", "/")
        clock.at += 4
    with pytest.raises(RetryLater, match="has failures of its own; it is asked again") as caught:
        await http.request("GET", "/")
    assert_sentence(caught.value.says)
    assert caught.value.after > timedelta(0)


@pytest.mark.fault("F42")
async def test_a_sign_in_that_is_refused_is_not_asked_about_again_at_once(serve, client, clock):
    status = 401

    async def handler(_request):
        return web.Response(status=status)

    http = await client(await serve(handler))
    for _ in range(10):
        with pytest.raises(SignIn, match="Sign in again"):
            await http.request("GET", "/")
        clock.at += 2
    assert http.calls == 2
    clock.at += 60
    status = 200
    assert (await http.request("GET", "/")).status == 200
    assert (await http.request("GET", "/")).status == 200


async def test_what_a_request_costs_is_counted_by_what_it_cost_after_all(serve, clock):
    costs = itertools.cycle(["5"])

    async def handler(_request):
        return web.Response(headers={"X-Cost": next(costs)})

    transport = Transport(
        await serve(handler),
        pace=Pace(limits=(Limit(10, unit="points", bucket=100),)),
        cost=Cost(lambda _method, _url, _body: 50.0, lambda one: float(one.headers["x-cost"])),
        private=True,
    )
    async with open_client(transport, system="Toy", timing=clock.timing) as http:
        for _ in range(10):
            await http.request("POST", "/graphql")
        assert clock.at == pytest.approx(1000)
        for _ in range(20):
            await http.request("POST", "/graphql")
        assert 1005 <= clock.at <= 1012


@pytest.mark.fault("F31")
async def test_a_day_long_pause_is_kept_by_every_client_of_the_account(serve, clock):
    calls = []

    async def handler(_request):
        calls.append(clock.at)
        return web.Response(status=429, headers={"Retry-After": "86400"})

    meter, url = LocalMeter(clock.timing), await serve(handler)
    for hours in (0, 1, 23):
        clock.at = 1000 + hours * 3600
        transport = Transport(url, private=True)
        async with open_client(
            transport,
            system="Toy",
            timing=clock.timing,
            gates=lambda pace, timing: Gate(pace, timing, meter),
        ) as http:
            with pytest.raises(RetryLater) as caught:
                await http.request("GET", "/")
            assert caught.value.after >= timedelta(hours=24 - hours) - timedelta(minutes=1)
    assert len(calls) == 1
