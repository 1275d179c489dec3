"""Series that are moved, cut, and ruled anew."""

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.recurrence import is_split, ordinal_keys, reanchor, split_rule, visit_at
from truckroll.model.time import AllDay, Rule, Timed

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


@pytest.mark.fault("AT-08")
@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY",
        "FREQ=WEEKLY;COUNT=10",
        "FREQ=WEEKLY;UNTIL=20270601T130000Z;BYDAY=MO,TH",
        "FREQ=DAILY;INTERVAL=3;COUNT=40",
        "FREQ=MONTHLY;BYDAY=1MO",
    ],
)
def test_this_and_all_following_loses_and_doubles_nothing(rule):
    whole = timed(datetime(2027, 1, 4, 9), rule)
    keys = ordinal_keys(whole, 60)
    for cut in (1, 4):
        head, tail = split_rule(whole, keys[cut])
        assert ordinal_keys(head) == keys[:cut]
        assert ordinal_keys(tail, 60 - cut)[: len(keys) - cut] == keys[cut:]
        assert is_split(whole, head, tail)
        later = Timed(start=tail.start.replace(hour=15), zone=NY, seconds=60, rule=tail.rule)
        assert is_split(whole, head, later)
        other = timed(tail.start, "FREQ=DAILY;INTERVAL=9")
        assert not is_split(whole, head, other)
        assert not is_split(whole, whole, tail)


@pytest.mark.fault("AT-08")
def test_a_cut_by_count_is_recognised_and_whole_days_too():
    whole = AllDay(start=date(2027, 1, 4), end=date(2027, 1, 5), rule=Rule(rrule=("FREQ=WEEKLY",)))
    head, tail = split_rule(whole, "2027-01-25")
    assert head.rule.rrule == ("FREQ=WEEKLY;UNTIL=20270124",)
    assert is_split(whole, head, tail)
    counted = AllDay(start=whole.start, end=whole.end, rule=Rule(rrule=("FREQ=WEEKLY;COUNT=3",)))
    assert is_split(whole, counted, tail)
    for wrong in ("2027-01-04", "2027-01-05"):
        with pytest.raises(ValueError, match="no later start"):
            split_rule(whole, wrong)


def test_a_visit_of_a_series_keeps_its_length():
    when = timed(datetime(2027, 1, 4, 9), "FREQ=WEEKLY", days=1, seconds=60)
    visit = visit_at(when, "2027-01-11T09:00:00")
    assert (visit.days, visit.seconds, visit.rule) == (1, 60, None)
    for earlier, later in pairwise(ordinal_keys(when, 5)):
        assert visit_at(when, later).begins - visit_at(when, earlier).begins == timedelta(days=7)
