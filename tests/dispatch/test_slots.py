from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truckroll.dispatch.overlap import Booking, Span
from truckroll.dispatch.slots import STEP, Hours, free_slots, is_free, rounded_up
from truckroll.model.time import Timed, instant

ZONE = "America/New_York"
HOURS = Hours(zone=ZONE)
HOUR = timedelta(hours=1)
ANY = Timed(datetime(2026, 12, 1, 9), ZONE)
WEEK = timedelta(days=7)


def at(text):
    return instant(datetime.fromisoformat(text), ZONE)


def span(start, end, kind="visit"):
    booking = Booking(technician="Ana", key=f"{start} {end}", ref="", when=ANY, kind=kind)
    begins = at(start) if isinstance(start, str) else start
    return Span(booking, begins, at(end) if isinstance(end, str) else end)


def free(
    *taken, after="2026-12-01T06:00", length=HOUR, travel=0, limit=3, before=None, hours=HOURS
):
    found = free_slots(
        taken,
        length=length,
        after=at(after),
        before=before or at(after) + WEEK,
        hours=hours,
        travel=timedelta(minutes=travel),
        limit=limit,
    )
    zone = ZoneInfo(ZONE)
    return [f"{one.begins.astimezone(zone):%a %H:%M}" for one in found]


def test_a_day_without_anything_begins_with_its_hours():
    assert free() == ["Tue 08:00", "Tue 09:00", "Tue 10:00"]


def test_gaps_are_filled_where_they_are_long_enough_with_travel_on_both_sides():
    taken = (
        span("2026-12-01T08:00", "2026-12-01T09:00"),
        span("2026-12-01T10:15", "2026-12-01T11:00"),
        span("2026-12-01T12:30", "2026-12-01T17:00"),
    )
    assert free(*taken, limit=1) == ["Tue 09:00"]
    assert free(*taken, travel=15, limit=2) == ["Tue 11:15", "Wed 08:00"]


def test_nobody_drives_to_time_off():
    taken = (span("2026-12-01T08:00", "2026-12-01T09:00", "time_off"),)
    assert free(*taken, travel=30, limit=1) == ["Tue 09:00"]


def test_a_slot_begins_no_earlier_than_asked_on_a_full_five_minutes():
    assert free(after="2026-12-01T09:32", limit=1) == ["Tue 09:35"]
    assert rounded_up(at("2026-12-01T09:35")) == at("2026-12-01T09:35")


def test_a_visit_ends_within_the_hours_and_the_weekend_is_off():
    assert free(after="2026-12-04T16:30", limit=1) == ["Mon 08:00"]
    assert free(after="2026-12-04T16:00", limit=2) == ["Fri 16:00", "Mon 08:00"]
    assert free(length=timedelta(hours=10)) == []


def test_what_is_asked_for_an_instant_is_not_given_after_it():
    assert free(before=at("2026-12-01T10:00")) == ["Tue 08:00", "Tue 09:00"]


@pytest.mark.parametrize(
    ("day", "first", "hours"),
    [("2026-03-08", "2026-03-08T03:00", 7), ("2026-11-01", "2026-11-01T01:00", 9)],
)
def test_a_day_on_which_the_clocks_change_has_its_hours_by_the_clock(day, first, hours):
    begins = time(1) if day == "2026-11-01" else time(3)
    every = Hours(zone=ZONE, begins=begins, ends=time(9 if hours == 9 else 10), days=frozenset({6}))
    shift = every.of(datetime.fromisoformat(day).date())
    assert shift == (at(first), at(first) + timedelta(hours=hours))
    slots = free_slots([], length=HOUR, after=shift[0], before=shift[1], hours=every, limit=20)
    assert len(slots) == hours
    assert all(one.ends - one.begins == HOUR for one in slots)


def test_a_night_shift_is_worked_through_midnight():
    night = Hours(zone=ZONE, begins=time(22), ends=time(2))
    assert free(hours=night, after="2026-12-01T23:30", limit=3) == [
        "Tue 23:30", "Wed 00:30", "Wed 22:00",
    ]  # fmt: skip


def test_hours_are_widened_to_where_visits_are():
    early = span("2026-12-05T06:30", "2026-12-05T07:30")
    off = span("2026-12-06T03:00", "2026-12-06T04:00", "time_off")
    wide = HOURS.widened([early, off])
    assert (wide.begins, wide.ends, wide.days) == (time(6, 30), time(17), frozenset(range(6)))


@given(
    st.lists(st.tuples(st.integers(0, 72), st.integers(1, 30), st.booleans()), max_size=12),
    st.integers(1, 20),
    st.integers(0, 8),
)
def test_a_free_slot_is_in_nothings_way(taken, length, travel):
    start = datetime(2026, 12, 1, 13, tzinfo=UTC)
    items = [
        span(start + STEP * a * 4, start + STEP * (a * 4 + b), "visit" if drives else "time_off")
        for a, b, drives in taken
    ]
    found = free_slots(
        items,
        length=STEP * length,
        after=start,
        before=start + WEEK,
        hours=HOURS,
        travel=STEP * travel,
        limit=4,
    )
    assert len(found) == 4
    for one in found:
        assert one.ends - one.begins == STEP * length
        assert is_free(items, one.begins, one.ends, STEP * travel)
        shift = HOURS.of(one.begins.astimezone(ZoneInfo(ZONE)).date())
        assert shift[0] <= one.begins < one.ends <= shift[1]
    for one, following in pairwise(found):
        assert following.begins - one.ends >= STEP * travel
