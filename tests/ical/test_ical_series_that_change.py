"""Series that are moved, cut, and ruled anew."""

from datetime import datetime, timedelta
from itertools import pairwise

from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.recurrence import ordinal_keys, reanchor, visit_at
from truckroll.model.time import Rule, Timed

NY = "America/New_York"


def timed(start, *rules, seconds=3600, **more):
    rule = Rule(rrule=rules) if rules else None
    return Timed(start=start, zone=NY, seconds=seconds, rule=rule, **more)


def test_exceptions_follow_a_series_that_moved():
    old = timed(datetime(2027, 1, 4, 9), "FREQ=WEEKLY;COUNT=5")
    new = timed(datetime(2027, 1, 6, 14), "FREQ=WEEKLY;COUNT=4")
    apart = Occurrences(
        by_start={
            "2027-01-11T09:00:00": Occurrence(cancelled=True),
            "2027-02-01T09:00:00": Occurrence(fields={"title": "last"}),
            "2027-01-12T09:00:00": Occurrence(cancelled=True),
        }
    )
    kept, orphans = reanchor(old, new, apart)
    assert kept.by_start == {"2027-01-13T14:00:00": Occurrence(cancelled=True)}
    assert set(orphans) == {"2027-02-01T09:00:00", "2027-01-12T09:00:00"}


def test_a_rule_that_changed_under_the_same_start_keeps_its_keys():
    old = timed(datetime(2027, 1, 4, 9), "FREQ=WEEKLY;COUNT=5")
    new = timed(datetime(2027, 1, 4, 9), "FREQ=WEEKLY;BYDAY=MO,WE;COUNT=5", seconds=60)
    apart = Occurrences(by_start={"2027-01-11T09:00:00": Occurrence(cancelled=True)})
    assert reanchor(old, new, apart) == (apart, {})


def test_a_visit_of_a_series_keeps_its_length():
    when = timed(datetime(2027, 1, 4, 9), "FREQ=WEEKLY", days=1, seconds=60)
    visit = visit_at(when, "2027-01-11T09:00:00")
    assert (visit.days, visit.seconds, visit.rule) == (1, 60, None)
    for earlier, later in pairwise(ordinal_keys(when, 5)):
        assert visit_at(when, later).begins - visit_at(when, earlier).begins == timedelta(days=7)
