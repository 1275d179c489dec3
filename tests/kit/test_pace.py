import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truckroll.kit.pace import REAL_TIME, Gate, backoff, jittered, retry_after

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


async def test_the_rate_holds_over_a_long_run(clock):
    gate = Gate(5, 3, clock.timing)
    for _ in range(105):
        async with gate.turn():
            pass
    assert clock.at - 1000 == pytest.approx(20)  # a burst of five, then five a second


async def test_a_slow_rate_allows_one_at_once(clock):
    gate = Gate(0.5, 3, clock.timing)
    for _ in range(3):
        async with gate.turn():
            pass
    assert clock.at - 1000 == pytest.approx(4)


async def test_idle_time_saves_up_no_more_than_a_second(clock):
    gate = Gate(5, 3, clock.timing)
    clock.at += 3600
    for _ in range(10):
        async with gate.turn():
            pass
    assert clock.at - 4600 == pytest.approx(1)


async def test_no_more_at_one_time_than_allowed():
    gate, at_once, most = Gate(None, 3, REAL_TIME), 0, 0

    async def one():
        nonlocal at_once, most
        async with gate.turn():
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            at_once -= 1

    await asyncio.gather(*(one() for _ in range(20)))
    assert (most, at_once) == (3, 0)


@pytest.mark.fault("F31")
async def test_a_pause_holds_everybody_and_never_shrinks(clock):
    gate = Gate(None, 3, clock.timing)
    gate.pause(10)
    gate.pause(2)
    assert gate.paused == 10
    async with gate.turn():
        assert clock.at == 1010
    assert gate.paused == 0
