"""How often a scope is read: as its connector says, and never more than its account allows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from truckroll.app.freshness import usual_promise
from truckroll.app.polling import PUSHED, interval
from truckroll.app.systems import connector
from truckroll.kit.http import Limit, Pace, Transport

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def paced(speaks, *limits):
    """Let a system allow so much."""
    return replace(speaks, transport=lambda _: Transport("", pace=Pace(limits=limits)))


@pytest.mark.parametrize(
    ("system", "poll"),
    [
        ("file", 10 * SECOND),
        ("servicetitan", 30 * SECOND),
        ("google-calendar", MINUTE),
        ("google-workspace", MINUTE),
        ("caldav", 2 * MINUTE),
        ("ical-feed", 15 * MINUTE),
    ],
)
def test_each_system_is_read_as_often_as_its_limits_allow(system, poll):
    speaks = paced(connector(system))
    assert interval(speaks, {}, 1, pushed=False) == poll
    assert interval(speaks, {}, 1, pushed=True) == max(poll, PUSHED)


def test_looking_for_changes_takes_a_quarter_of_an_accounts_rate_at_most():
    google = paced(
        connector("google-calendar"), Limit(600, 60, of="user"), Limit(10_000, 60, of="app")
    )
    for calendars in (1, 100, 150, 600, 5000):
        every = interval(google, {}, calendars, pushed=False).total_seconds()
        assert calendars / every <= 600 / 60 / 4 + 0.01
    assert interval(google, {}, 150, pushed=False) == MINUTE
    assert interval(google, {}, 600, pushed=False) == 4 * MINUTE
    people = paced(
        connector("google-workspace"), Limit(600, 60, of="user"), Limit(10_000, 60, of="app")
    )
    assert interval(people, {}, 600, pushed=False) == MINUTE, "each person has a rate of their own"


@pytest.mark.parametrize("system", ["file", "servicetitan", "google-calendar", "ical-feed"])
def test_what_is_read_as_often_as_is_usual_is_never_late(system):
    speaks = paced(connector(system))
    for pushed in (False, True) if speaks.push and speaks.push.subscribe else (False,):
        assert interval(speaks, {}, 1, pushed=pushed) < usual_promise(speaks)
