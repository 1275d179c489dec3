from datetime import UTC, datetime, timedelta

import pytest

from truckroll.dispatch.fitting import OpenJob, distance, fitting
from truckroll.model.records import Address

TEN = datetime(2026, 12, 1, 10, tzinfo=UTC)
NOON = TEN + timedelta(hours=2)
HERE = Address(line1="12 Elm St", latitude=40.0, longitude=-75.0)
NEAR = Address(line1="20 Elm St", latitude=40.01, longitude=-75.0)
FAR = Address(line1="9 Hill Rd", latitude=40.5, longitude=-75.0)


def job(ref, minutes=60, *, due=TEN + timedelta(days=1), **more):
    return OpenJob(key=ref, ref=ref, length=timedelta(minutes=minutes), due=due, **more)


def refs(*jobs, begins=TEN, ends=NOON, **more):
    return [one.job.ref for one in fitting(jobs, begins=begins, ends=ends, **more)]


def test_what_is_too_long_or_not_at_its_hour_does_not_fit():
    assert refs(job("long", 121), job("fits", 120)) == ["fits"]
    late = job("late", earliest=TEN + timedelta(minutes=30))
    (fit,) = fitting([late], begins=TEN, ends=NOON)
    assert fit.begins == TEN + timedelta(minutes=30)
    assert refs(job("late", 100, earliest=TEN + timedelta(minutes=30))) == []
    assert refs(job("early", latest=TEN - timedelta(minutes=1))) == []


def test_nobodys_jobs_go_first_then_the_nearest_then_what_is_due_first():
    found = refs(
        job("later", assigned=True, place=HERE),
        job("far", place=FAR),
        job("near", place=NEAR),
        job("unknown", due=TEN + timedelta(days=2)),
        job("sooner", due=TEN + timedelta(hours=3)),
        near=HERE,
        limit=9,
    )
    assert found == ["near", "far", "sooner", "unknown", "later"]


def test_a_kind_of_work_that_the_technician_is_known_for_goes_first_and_a_new_one_is_said():
    jobs = (job("boiler", skill="Boiler", place=HERE), job("leak", skill="Leak", place=FAR))
    assert refs(*jobs, near=HERE, knows={"Leak"}) == ["leak", "boiler"]
    assert refs(*jobs, near=HERE, knows=None) == ["boiler", "leak"]
    why = fitting(jobs, begins=TEN, ends=NOON, near=HERE, knows={"Leak"})[1].why
    assert why == (
        *("unassigned", "60 min", "12 Elm St", "the same place"),
        "a kind of work that is new to them (Boiler)",
    )


def test_a_visit_that_stands_for_later_is_brought_forward_only():
    assert refs(job("today", assigned=True, due=TEN)) == []
    assert refs(job("tomorrow", assigned=True)) == ["tomorrow"]


def test_distances_are_those_of_the_globe_and_unknown_without_coordinates():
    assert distance(HERE, NEAR) == pytest.approx(1.11, abs=0.01)
    assert distance(HERE, Address(text="Elm St")) == float("inf")
    assert distance(Address(text="1 Elm St"), Address(text="1 elm st")) == 0
    assert distance(Address(), Address()) == float("inf")
    assert distance(None, HERE) == float("inf")
