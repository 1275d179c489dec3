"""Where overlaps of visits are looked for: around each of them, as long as it lasts."""

from datetime import UTC, date, datetime, timedelta

from truckroll.app.overlaps import HORIZON, stretches
from truckroll.model.time import AllDay, Rule, Timed

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def visit(day, hour, *, seconds=3600, rule=None):
    start = datetime(2026, 12, day, hour)
    return {"when": Timed(start, "UTC", seconds=seconds, rule=rule)}


def at(day, hour):
    return datetime(2026, 12, day, hour, tzinfo=UTC)


def around(*shown, travel=timedelta(0), zone="UTC"):
    return stretches(shown, NOW, zone, travel=travel)


def test_visits_that_lie_apart_are_looked_around_each_for_itself():
    assert around(visit(20, 9), visit(3, 9)) == [(at(3, 9), at(3, 10)), (at(20, 9), at(20, 10))]


def test_travel_lies_before_and_after_and_joins_what_touches():
    found = around(visit(3, 9), visit(3, 12), travel=HOUR)
    assert found == [(at(3, 8), at(3, 14))]


def test_whole_days_are_looked_around_to_the_end_of_the_last_in_the_companys_zone():
    """A visit on the last of five days was not seen when the five days themselves changed."""
    days = {"when": AllDay(date(2026, 12, 7), date(2026, 12, 12))}
    assert around(days, zone="America/New_York") == [(at(7, 5), at(12, 5))]


def test_what_is_over_or_has_no_time_is_not_looked_around():
    assert around(visit(1, 9), {"title": "x"}, {"when": None}) == []


def test_what_began_long_ago_is_looked_around_from_yesterday_and_a_series_to_the_horizon():
    long = {"when": Timed(datetime(2026, 11, 1), "UTC", seconds=60 * 86_400)}
    weekly = visit(3, 9, rule=Rule(rrule=("FREQ=WEEKLY",)))
    assert around(long) == [(NOW - timedelta(days=1), datetime(2026, 12, 31, tzinfo=UTC))]
    assert around(weekly) == [(at(3, 9), NOW + HORIZON)]
