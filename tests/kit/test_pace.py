import asyncio
from bisect import bisect_left
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truckroll.kit.gate import Gate, HeldBackError, LocalMeter, lane
from truckroll.kit.pace import REAL_TIME, Limit, Pace, backoff, jittered, retry_after

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.fault("F31")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5), (" 5 ", 5), ("2.128", 2.128), ("0", 0), ("86400", 86400), ("999999", 86400),
        ("-3", 0), ("1e400", None), ("nan", None), ("inf", None), ("", None), (None, None),
        ("soon", None), ("5 seconds", None),
        ("Mon, 02 Mar 2026 09:01:00 GMT", 60), ("Mon, 02 Mar 2026 08:00:00 GMT", 0),
        ("Monday, 02-Mar-26 09:01:00 GMT", 60), ("Mon, 02 Mar 2026 10:01:00 +0100", 60),
        ("Tue, 99 Foo 2026", None), ("Mon, 02 Mar 2099 09:00:00 GMT", 86400),
    ],
)  # fmt: skip
def test_a_wait_in_any_form_is_read(value, seconds):
    waits = retry_after(value, now=NOW)
    assert waits == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.fault("F57")
def test_a_date_is_measured_by_the_systems_own_clock():
    waits = retry_after(
        "Mon, 02 Mar 2026 12:00:30 GMT", now=NOW, date="Mon, 02 Mar 2026 12:00:00 GMT"
    )
    assert waits == timedelta(seconds=30)


@given(st.text())
def test_no_text_breaks_the_reading_of_a_wait(text):
    waits = retry_after(text, now=NOW, date=text)
    assert waits is None or timedelta(0) <= waits <= timedelta(days=1)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_back_off_grows_to_a_cap_and_is_half_chance(attempt, chance):
    wait = backoff(attempt, chance, first=1, cap=30)
    ceiling = min(30, 2 ** (attempt - 1))
    assert ceiling / 2 <= wait <= ceiling


@given(st.floats(0, 1, exclude_max=True))
def test_a_jittered_wait_is_never_shorter_than_asked(chance):
    assert 10 <= jittered(timedelta(seconds=10), chance) <= 11


def most_in(at, seconds):
    """The most that any stretch of so many seconds holds."""
    return max(bisect_left(at, one + seconds - 1e-9) - n for n, one in enumerate(at))


async def used(gate, clock, count, weight=1):
    at = []
    for _ in range(count):
        async with gate.turn(weight):
            at += [clock.at] * weight
    return at


LIMITS = [
    Limit(5), Limit(0.5), Limit(60), Limit(1), Limit(3, 60), Limit(600, 60, burst=50),
    Limit(2500, 300), Limit(100, 10, burst=90),
]  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS, ids=lambda one: f"{one.amount:g}/{one.per_seconds:g}s")
async def test_no_stretch_of_time_holds_more_than_the_limit(clock, limit):
    gate = Gate(Pace(limits=(limit,)), clock.timing)
    at = await used(gate, clock, 1500)
    clock.at += 3600
    at += await used(gate, clock, 1500)
    assert most_in(at, limit.per_seconds) <= max(1, limit.amount)


@pytest.mark.parametrize("limit", [Limit(60), Limit(600, 60, burst=50), Limit(2500, 300)])
async def test_nine_tenths_of_the_limit_are_used_in_the_long_run(clock, limit):
    at = await used(Gate(Pace(limits=(limit,)), clock.timing), clock, 3000)
    assert 3000 / (at[-1] - at[0]) >= 0.9 * limit.amount / limit.per_seconds


async def test_a_slow_rate_allows_one_at_once(clock):
    await used(Gate(Pace(0.5, 3), clock.timing), clock, 3)
    assert clock.at - 1000 == pytest.approx(4)


async def test_a_burst_goes_at_once_and_idle_time_saves_up_no_more(clock):
    gate = Gate(Pace(limits=(Limit(600, 60, burst=50),)), clock.timing)
    for begun in (1000.0, 4600.0):
        clock.at = begun
        at = await used(gate, clock, 51)
        assert at[:50] == [pytest.approx(begun)] * 50
        assert at[50] > begun


async def test_a_whole_batch_waits_until_all_its_parts_may_go(clock):
    gate = Gate(Pace(limits=(Limit(600, 60, burst=50),)), clock.timing)
    at = await used(gate, clock, 20, weight=50)
    assert at[:50] == [pytest.approx(1000)] * 50
    assert most_in(at, 60) <= 600


async def test_people_have_budgets_of_their_own_within_the_projects(clock):
    limits = (Limit(1, 10, of="user"), Limit(6, 10, of="app", burst=3))
    gate = Gate(Pace(limits=limits), clock.timing)
    for who in ("ana", "ben", "cho"):
        async with gate.turn(whom=who):
            assert clock.at == 1000
    async with gate.turn(whom="dan"):
        assert clock.at > 1000  # the project has none left
    async with gate.turn(whom="ana"):
        assert clock.at >= 1010


async def test_points_are_taken_in_advance_and_what_they_did_not_cost_comes_back(clock):
    gate = Gate(Pace(limits=(Limit(10, unit="points", bucket=100),)), clock.timing)
    for _ in range(5):
        async with gate.turn(points=60):
            await gate.spare(55)
    assert clock.at == 1000
    async with gate.turn(points=80):
        assert clock.at > 1000
    async with gate.turn():  # what costs no points does not wait for them
        assert clock.at < 1020


async def test_a_wait_longer_than_ones_patience_is_told_and_costs_nothing(clock):
    gate = Gate(Pace(limits=(Limit(10, 3600),)), clock.timing)
    await used(gate, clock, 1)
    for _ in range(5):
        with pytest.raises(HeldBackError) as caught:
            async with gate.turn(patience=30):
                pass
        assert caught.value.seconds == pytest.approx(360)
    clock.at += 360
    async with gate.turn(patience=30):
        pass


async def test_what_was_borrowed_is_given_back_at_the_end(clock):
    meter, limit = LocalMeter(clock.timing), Limit(600, 60, burst=50)
    asked = []
    take = meter.take

    async def taking(wants):
        asked.append(sum(one.units for one in wants))
        return await take(wants)

    meter.take = taking
    gate = Gate(Pace(limits=(limit,)), clock.timing, meter)
    await used(gate, clock, 45)
    assert len(asked) <= 6
    await gate.close()
    at = await used(Gate(Pace(limits=(limit,)), clock.timing, meter), clock, 5)
    assert at == [pytest.approx(1000)] * 5


async def test_no_more_at_one_time_than_allowed():
    gate, at_once, most = Gate(Pace(None, 3), REAL_TIME), 0, 0

    async def one():
        nonlocal at_once, most
        async with gate.turn():
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            at_once -= 1

    tasks = [asyncio.create_task(one()) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[5:8]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (most, at_once) == (3, 0)
    async with asyncio.timeout(1), gate.turn(), gate.turn(), gate.turn():
        pass


async def test_scopes_of_an_account_take_turns():
    gate, order = Gate(Pace(None, 1), REAL_TIME), []

    async def one(scope):
        with lane(scope):
            async with gate.turn():
                order.append(scope)
                await asyncio.sleep(0)

    busy = [asyncio.create_task(one("busy")) for _ in range(50)]
    await asyncio.sleep(0)
    quiet = [asyncio.create_task(one(name)) for name in ("a", "b", "a")]
    await asyncio.gather(*busy, *quiet)
    assert max(n for n, name in enumerate(order) if name != "busy") <= 8


@pytest.mark.fault("F31")
async def test_a_pause_holds_everybody_and_never_shrinks(clock):
    gate = Gate(Pace(None, 3), clock.timing)
    await gate.pause(10)
    await gate.pause(2)
    assert gate.paused == 10
    async with gate.turn():
        assert clock.at == pytest.approx(1010, abs=0.1)
    assert gate.paused == 0
