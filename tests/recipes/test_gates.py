from datetime import UTC, date, datetime

import pytest

from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.time import AllDay, Rule, Timed
from truckroll.recipes import gates
from truckroll.recipes.mirror import GateContext, Problem

ZONE = "America/New_York"
wall = datetime.fromisoformat


def ctx(now="2026-12-10T15:00+00:00", zone=ZONE, **more):
    return GateContext(now=wall(now), zone=zone, people=lambda _: Problem("x", "x"), **more)


def at(text, minutes=60, **more):
    return {"when": Timed(wall(text), ZONE, minutes * 60, **more)}


def reason(problem):
    return problem.reason if problem else None


@pytest.mark.parametrize(
    ("gate", "fields", "expected"),
    [
        (gates.has_time, at("2026-12-10T09:00"), None),
        (gates.has_time, {"when": AllDay(date(2026, 12, 1), date(2026, 12, 2))}, None),
        (gates.has_time, {"when": None}, "no_time"),
        (gates.has_time, {}, "no_time"),
        (gates.assigned, {"people": ("Ana",)}, None),
        (gates.assigned, {"people": ()}, "unassigned"),
        (gates.assigned, {}, "incomplete"),
        (gates.assigned, {"people": None}, "incomplete"),
        (gates.not_cancelled, {"status": "cancelled"}, "cancelled"),
        (gates.not_cancelled, {"status": "done"}, None),
        (gates.status_known, {"status": "done"}, None),
        (gates.status_known, {"status": "Weird"}, "status_unmapped"),
        (gates.status_known, {}, "status_unmapped"),
        (gates.not_private, {"private": True}, "private"),
        (gates.not_private, {"private": False}, None),
        (gates.not_private, {}, None),
    ],
)
def test_a_gate_lets_through_or_names_its_reason(gate, fields, expected):
    problem = gate(fields, ctx())
    assert reason(problem) == expected
    if problem:
        assert problem.detail
        assert problem.release


def test_types_are_compared_in_any_case():
    types = ("Repair", "Maintenance")
    assert gates.type_enabled({"job_type": " repair "}, ctx(), types=types) is None
    problem = gates.type_enabled({"job_type": "Sales"}, ctx(), types=types)
    assert problem == Problem(
        "type_not_enabled",
        'the kind of work "Sales" is not switched on',
        "these are: Repair, Maintenance",
    )
    assert reason(gates.type_enabled({}, ctx(), types=types)) == "type_not_enabled"
    assert gates.type_enabled({}, ctx()) is None


def test_an_overlap_is_refused_with_both_names_technician_and_minutes():
    says = "overlaps J-1070 for Dee Fox by 25 min incl. 15 min travel"
    problem = gates.overlap_free({}, ctx(overlaps={"k": says}, link_key="k"))
    assert problem is not None
    assert (problem.reason, problem.detail) == ("overlap", says)
    assert gates.overlap_free({}, ctx(overlaps={"k": says}, link_key="other")) is None


@pytest.mark.parametrize(
    ("start", "inside"),
    [
        ("2026-12-08T22:30", False),  # ends 23:30, two days ago
        ("2026-12-08T23:00", False),  # ends as the window begins
        ("2026-12-08T23:30", True),  # runs into yesterday
        ("2026-12-09T00:00", True),
        ("2026-12-10T23:59", True),
        ("2026-12-11T00:00", False),
    ],
)
def test_a_window_of_yesterday_and_today_takes_both_days_whole(start, inside):
    problem = gates.inside_window(at(start), ctx(), past_days=1, future_days=0)
    assert (problem is None) is inside
    assert reason(problem) == (None if inside else "outside_window")


def test_days_are_the_companys_not_utc():
    """03:00 UTC on the 10th is still the 9th in New York."""
    early = ctx(now="2026-12-10T03:00+00:00")
    assert gates.inside_window(at("2026-12-08T12:00"), early, past_days=1, future_days=0) is None
    assert gates.inside_window(at("2026-12-10T12:00"), early, past_days=1, future_days=0)


@pytest.mark.behaviour("CAL-11")
def test_the_window_begins_at_midnight_on_the_wall_over_the_change_of_the_clocks():
    """1 November 2026 has 25 hours: midnight of the day before the change is 04:00 UTC."""
    after = ctx(now="2026-11-03T12:00+00:00")
    ends_at = {"when": Timed(wall("2026-10-31T23:00"), ZONE, 3600)}
    assert reason(gates.inside_window(ends_at, after, past_days=2)) == "outside_window"
    later = {"when": Timed(wall("2026-10-31T23:00"), ZONE, 3601)}
    assert gates.inside_window(later, after, past_days=2) is None


def test_a_visit_too_far_ahead_says_when_it_comes_in():
    problem = gates.inside_window(at("2026-12-20T09:00"), ctx(), future_days=7)
    assert problem == Problem(
        "outside_window",
        "it is more than 7 days ahead",
        "it goes by itself on Sun 13 Dec",
        datetime(2026, 12, 13, 5, tzinfo=UTC),
    )
    on_that_day = ctx(now="2026-12-13T05:00+00:00")
    assert gates.inside_window(at("2026-12-20T09:00"), on_that_day, future_days=7) is None


def test_without_numbers_the_window_is_open():
    assert gates.inside_window(at("1999-01-01T09:00"), ctx()) is None
    assert gates.inside_window({}, ctx(), past_days=1) is None


def test_whole_days_end_at_the_companys_midnight():
    day = {"when": AllDay(date(2026, 12, 8), date(2026, 12, 9))}
    assert gates.inside_window(day, ctx(), past_days=2) is None
    assert gates.inside_window(day, ctx(), past_days=1)


@pytest.mark.behaviour("CAL-11")
@pytest.mark.parametrize(
    ("rrule", "inside"),
    [
        ("FREQ=WEEKLY", True),
        ("FREQ=WEEKLY;COUNT=3", False),
        ("FREQ=WEEKLY;UNTIL=20261101T140000Z", False),
        ("FREQ=YEARLY", True),
    ],
)
def test_a_series_is_inside_while_any_of_its_visits_is(rrule, inside):
    fields = at("2026-01-05T09:00", rule=Rule(rrule=(rrule,)))
    assert (gates.inside_window(fields, ctx(), past_days=30) is None) is inside


def test_a_cancelled_last_visit_keeps_no_series_inside():
    fields = at("2026-12-01T09:00", rule=Rule(rrule=("FREQ=WEEKLY;COUNT=2",)))
    assert gates.inside_window(fields, ctx(), past_days=3) is None
    gone = {"occurrences": Occurrences({"2026-12-08T09:00:00": Occurrence(cancelled=True)})}
    assert gates.inside_window({**fields, **gone}, ctx(), past_days=3)
