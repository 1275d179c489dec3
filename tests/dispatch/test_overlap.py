from datetime import UTC, date, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truckroll.dispatch import overlap
from truckroll.dispatch.overlap import Booking, Overlap, Span, overlaps, sentences, spans
from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.time import AllDay, Rule, Timed

ZONE = "America/New_York"
DEE = "Dee Fox"
START = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)


wall = datetime.fromisoformat


def visit(ref, text, minutes=60, *, technician=DEE, kind="visit", **more):
    when = Timed(datetime.fromisoformat(text), ZONE, minutes * 60, **more)
    return Booking(technician=technician, key=f"{ref}/{technician}", ref=ref, when=when, kind=kind)


def days(ref, start, end, kind="visit"):
    when = AllDay(date.fromisoformat(start), date.fromisoformat(end))
    return Booking(technician=DEE, key=ref, ref=ref, when=when, kind=kind)


def found(*bookings, travel=0, start=START, end=END) -> tuple[Overlap, ...]:
    seen = spans(bookings, start=start, end=end, zone=ZONE)
    return overlaps(seen.items, travel=timedelta(minutes=travel))


def numbers(*bookings, travel=0):
    return [
        (one.a.ref, one.b.ref, one.minutes, one.travel_minutes)
        for one in found(*bookings, travel=travel)
    ]


def test_the_sentence_names_both_the_technician_the_minutes_and_the_travel():
    first = visit("J-1070", "2026-12-01T09:00")
    second = visit("J-1071", "2026-12-01T09:50")
    (one,) = found(first, second, travel=15)
    assert one.says(second.key) == "overlaps J-1070 for Dee Fox by 25 min incl. 15 min travel"
    assert one.says(first.key) == "overlaps J-1071 for Dee Fox by 25 min incl. 15 min travel"
    assert one.starts == datetime(2026, 12, 1, 14, 50, tzinfo=UTC)
    assert sentences([one]) == {
        first.key: one.says(first.key),
        second.key: one.says(second.key),
    }


def test_visits_that_touch_do_not_overlap():
    assert numbers(visit("A", "2026-12-01T09:00"), visit("B", "2026-12-01T10:00")) == []


def test_travel_counts_once_between_two_visits():
    late = visit("B", "2026-12-01T10:05")
    assert numbers(visit("A", "2026-12-01T09:00"), late, travel=15) == [("A", "B", 10, 10)]
    later = visit("B", "2026-12-01T10:15")
    assert numbers(visit("A", "2026-12-01T09:00"), later, travel=15) == []


def test_other_technicians_are_nobodys_overlap():
    other = visit("B", "2026-12-01T09:30", technician="Ana Ruiz")
    assert numbers(visit("A", "2026-12-01T09:00"), other, travel=15) == []


def test_a_visit_inside_another_misses_its_whole_length():
    assert numbers(visit("A", "2026-12-01T09:00", 180), visit("B", "2026-12-01T10:00", 30)) == [
        ("A", "B", 30, 0)
    ]


def test_all_pairs_are_found_not_only_neighbours():
    three = [visit(ref, "2026-12-01T09:00", 60) for ref in "ABC"]
    assert [pair[:2] for pair in numbers(*three)] == [("A", "B"), ("A", "C"), ("B", "C")]


def test_time_off_counts_without_travel_and_is_named():
    off = visit("leave", "2026-12-01T12:00", 120, kind="time_off")
    job = visit("J-1", "2026-12-01T11:30", 60)
    (one,) = found(job, off, travel=15)
    assert (one.minutes, one.travel_minutes, one.kind) == (30, 0, "time_off")
    assert one.says(job.key) == "overlaps time off of Dee Fox by 30 min"
    assert found(visit("J-2", "2026-12-01T11:00"), off, travel=15) == ()


def test_two_stretches_of_time_off_are_no_overlap():
    assert (
        found(
            days("a", "2026-12-01", "2026-12-03", "time_off"),
            days("b", "2026-12-01", "2026-12-02", "time_off"),
        )
        == ()
    )


@pytest.mark.behaviour("CAL-11")
def test_whole_days_are_those_of_the_company():
    off = days("leave", "2026-12-01", "2026-12-02", "time_off")
    late_evening = visit("J-1", "2026-12-01T23:30", 30)
    next_morning = visit("J-2", "2026-12-02T00:00", 30)
    assert [one.a.ref for one in found(off, late_evening, next_morning)] == ["leave"]
    assert found(off, late_evening)[0].minutes == 30


@pytest.mark.behaviour("CAL-11")
def test_a_job_of_several_days_overlaps_on_each_of_them():
    long = days("J-9", "2026-12-01", "2026-12-04")
    jobs = [visit(f"J-{day}", f"2026-12-0{day}T09:00") for day in (1, 2, 3, 4)]
    assert [one.b.ref for one in found(long, *jobs)] == ["J-1", "J-2", "J-3"]


@pytest.mark.behaviour("CAL-11")
def test_the_hour_that_occurs_twice_is_two_hours():
    """1 November 2026: 01:30 is first at -04:00, then again at -05:00."""
    first = visit("A", "2026-11-01T01:30", 30)
    again = visit("B", "2026-11-01T01:30", 30, fold=1)
    assert found(first, again) == ()
    long = visit("C", "2026-11-01T00:30", 120)  # ends at the second 01:30
    assert numbers(first, long) == [("C", "A", 30, 0)]
    assert found(again, long) == ()


@pytest.mark.behaviour("CAL-11")
def test_the_day_of_the_change_is_25_hours_long():
    off = days("leave", "2026-11-01", "2026-11-02", "time_off")
    whole = visit("J-1", "2026-11-01T00:00", 25 * 60)
    assert found(off, whole)[0].minutes == 25 * 60


@pytest.mark.behaviour("CAL-11")
def test_a_series_overlaps_where_its_visits_are():
    weekly = Booking(
        technician=DEE,
        key="weekly",
        ref="J-5",
        when=Timed(wall("2026-11-24T09:00"), ZONE, 3600, rule=Rule(rrule=("FREQ=WEEKLY;COUNT=6",))),
        exceptions=Occurrences(
            {
                "2026-12-08T09:00:00": Occurrence(cancelled=True),
                "2026-12-15T09:00:00": Occurrence(
                    fields={"when": Timed(wall("2026-12-15T14:00"), ZONE, 3600)}
                ),
            }
        ),
    )
    jobs = [visit(f"J-{day}", f"2026-12-{day}T09:30") for day in ("01", "08", "15", "22")]
    jobs.append(visit("J-15b", "2026-12-15T14:30"))
    assert [one.b.ref for one in found(weekly, *jobs)] == ["J-01", "J-15b", "J-22"]


def test_a_series_that_overlaps_itself_is_no_overlap():
    when = Timed(wall("2026-12-01T09:00"), ZONE, 7200, rule=Rule(rrule=("FREQ=HOURLY;COUNT=3",)))
    assert found(Booking(technician=DEE, key="x", ref="x", when=when)) == ()


def test_what_is_cut_is_said():
    when = Timed(wall("2026-12-01T09:00"), ZONE, 60, rule=Rule(rrule=("FREQ=HOURLY",)))
    booking = Booking(technician=DEE, key="x", ref="x", when=when)
    seen = spans([booking], start=START, end=END, zone=ZONE, limit=5)
    assert seen.cut == (booking,)


def test_a_window_leaves_out_what_lies_outside():
    a, b = visit("A", "2026-12-01T09:00"), visit("B", "2026-12-01T09:00")
    assert found(a, b, start=datetime(2026, 12, 2, tzinfo=UTC)) == ()


def test_many_overlaps_of_one_booking_are_summed_up():
    jobs = [visit(f"J-{n}", "2026-12-01T09:00") for n in range(6)]
    text = sentences(found(*jobs))[jobs[0].key]
    assert text.count("overlaps") == 3
    assert text.endswith("; and 2 more")


GRID = datetime(2026, 12, 1, tzinfo=UTC)


@st.composite
def grid_spans(draw):
    items = []
    for number in range(draw(st.integers(0, 12))):
        begin = draw(st.integers(0, 200))
        length = draw(st.integers(0, 60))
        whole = draw(st.booleans())
        when = (
            AllDay(date(2026, 12, 1), date(2026, 12, 2))
            if whole
            else Timed(wall("2026-12-01T00:00"), "UTC")
        )
        booking = Booking(
            technician=draw(st.sampled_from(["Ana", "Ben"])),
            key=str(draw(st.integers(0, number))),
            ref=str(number),
            when=when,
            kind=draw(st.sampled_from(["visit", "visit", "time_off"])),
        )
        begins = GRID + timedelta(minutes=begin)
        items.append(Span(booking, begins, begins + timedelta(minutes=length)))
    return items


def missing_minutes(a: Span, b: Span, travel: int) -> int:
    """Count minute by minute: how far b would have to move back to be clear of a."""
    first, second = sorted((a, b), key=lambda one: (one.begins, one.ends, one.booking.ref))
    offset = int((second.begins - first.begins).total_seconds() // 60)
    one = set(range(int((first.ends - first.begins).total_seconds() // 60)))
    two = {offset + m for m in range(int((second.ends - second.begins).total_seconds() // 60))}
    driven = travel if first.travels and second.travels else 0
    if (two and one & two) or (second.ends == second.begins and offset < len(one)):
        return len(one & two) + driven
    gap = offset - len(one)
    return max(0, driven - gap)


@given(grid_spans(), st.integers(0, 30))
def test_the_sweep_finds_what_comparing_every_pair_finds(items, travel):
    expected = sorted(
        missing
        for a, b in combinations(items, 2)
        if a.booking.technician == b.booking.technician
        and a.booking.key != b.booking.key
        and not a.booking.kind == b.booking.kind == "time_off"
        and (missing := missing_minutes(a, b, travel)) > 0
    )
    got = overlaps(items, travel=timedelta(minutes=travel))
    assert sorted(one.minutes for one in got) == expected
    assert all(one.travel_minutes <= min(travel, one.minutes) for one in got)


def test_work_grows_with_the_bookings_not_with_their_square(monkeypatch):
    """10,000 visits in a row: each is compared with its neighbour at most."""
    compared = []
    compare = overlap._compare
    monkeypatch.setattr(overlap, "_compare", lambda *a: compared.append(1) or compare(*a))
    when = Timed(wall("2026-12-01T00:00"), "UTC")
    items = [
        Span(
            Booking(technician=DEE, key=str(n), ref=str(n), when=when),
            GRID + timedelta(hours=n),
            GRID + timedelta(hours=n, minutes=60),
        )
        for n in range(10_000)
    ]
    assert len(overlaps(items, travel=timedelta(minutes=10))) == 9_999
    assert len(compared) < 20_000
