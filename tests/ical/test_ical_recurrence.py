# ruff: noqa: DTZ007 -- naive wall times are what this is about
import re
import sys
import time
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from truckroll.kit.ical.read import read_calendar
from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.recurrence import (
    canonical_rrule,
    occurrences,
    ordinal_keys,
)
from truckroll.model.rrule import RuleError, parse_rrule
from truckroll.model.time import AllDay, Rule, Timed
from truckroll.model.walk import Budget, walk

NY = "America/New_York"


def timed(start, *rules, zone=NY, seconds=3600, rdate=(), **more):
    rule = Rule(rrule=rules, rdate=rdate) if rules or rdate else None
    return Timed(start=start, zone=zone, seconds=seconds, rule=rule, **more)


def starts(when, start, end, exceptions=None):
    found = occurrences(when, exceptions, start, end)
    return [f"{one.when.begins:%Y%m%dT%H%M}" for one in found.items if not one.cancelled]


def moment(text):
    text = text.rstrip("Z")
    return datetime.strptime(text if "T" in text else text + "T000000", "%Y%m%dT%H%M%S")


# The RFC leaves open what these mean; each with the reason for which the walk differs.
LIBICAL_DIFFERS = {
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=TU,SA;INTERVAL=6;UNTIL=20170101T000000Z": "which year a week"
    " at the edge of two years counts in, once years are left out",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=TU,SA;INTERVAL=5;UNTIL=20170101T000000Z": "the same",
    "FREQ=DAILY;BYMINUTE=1,2,3,4;INTERVAL=2;COUNT=3": "whole days with times: canonical text drops them",
}


@pytest.mark.shared
@pytest.mark.behaviour("CAL-11")
def test_rules_of_libical_give_the_expected_starts(shared):
    told = (shared / "ics-recurrence" / "libical-icalrecur.txt").read_text()
    seen, differs = 0, set()
    for block in re.split(r"\n\s*\n", told):
        case = dict(
            line.split(":", 1) for line in block.splitlines() if re.match(r"[A-Z-]+:", line)
        )
        if "RRULE" not in case or "INSTANCES" not in case:
            continue
        seen += 1
        expected = [moment(text) for text in case["INSTANCES"].split(",") if text]
        got = pure_starts(case["RRULE"], moment(case["DTSTART"]), expected)
        if got != expected:
            differs.add(case["RRULE"])
    assert seen == 76
    assert differs == set(LIBICAL_DIFFERS)


def pure_starts(text, start, expected):
    """Starts as libical counts them: DTSTART only where the rule itself has it."""
    rule = parse_rrule(text)
    lone = start not in expected
    if lone and rule.count is not None:
        rule = parse_rrule(re.sub(r"COUNT=\d+", f"COUNT={rule.count + 1}", text.upper()))
    found = []
    for begin in islice(walk(rule, start, Budget(1_000_000)), len(expected) + 5):
        until = rule.until
        if until is not None and begin > moment(f"{until:%Y%m%dT%H%M%S}"):
            break
        if not (lone and begin == start):
            found.append(begin)
    return found if rule.count or rule.until else found[: len(expected)]


KDE_DIFFERS = {
    "KOrganizer_3.4--KOrganizer_Test01": "DTSTART is no visit of the rule: here it counts (RFC 5545)",
    "KOrganizer_3.4--KOrganizer_Test10": "the same",
    "KOrganizer_3.4--KOrganizer_Test13": "the same",
    "unsorted--rdate": "extra visits with times in a series of whole days are read as days",
}


@pytest.mark.shared
@pytest.mark.behaviour("CAL-11")
def test_series_of_kde_give_the_expected_visits(shared):
    differs = set()
    files = sorted((shared / "ics-recurrence").glob("kde--*.ics"))
    for file in files:
        (entry,) = read_calendar(file.read_bytes(), zone="UTC").entries
        assert not entry.refused
        expected = [
            line.split() for line in file.with_suffix(".expected").read_text().splitlines() if line
        ]
        found = occurrences(
            entry.fields["when"], entry.fields["occurrences"], date(1900, 1, 1), date(2600, 1, 1),
            limit=len(expected) + 5,
        )  # fmt: skip
        got = [local(one.when, expected[0][-1]) for one in found.items if not one.cancelled]
        told = [line[0] for line in expected if line[0] < "2600"]
        if found.truncated or len(expected) == 500:
            told, got = told[: len(got)], got[: len(told)]
        if got != told:
            differs.add(file.stem.removeprefix("kde--"))
    assert len(files) == 68
    assert differs == set(KDE_DIFFERS)


def local(when, zone):
    if isinstance(when, AllDay):
        return f"{when.start.isoformat()}T00:00:00"
    if "/" not in zone:
        return when.start.isoformat()
    return when.begins.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S")


RULES = st.builds(
    lambda freq, interval, months, month_days, weekdays, hours, minutes, count: ";".join(
        part
        for part in (
            f"FREQ={freq}",
            f"INTERVAL={interval}",
            f"BYMONTH={','.join(map(str, sorted(months)))}" if months else "",
            f"BYMONTHDAY={','.join(map(str, sorted(month_days)))}" if month_days else "",
            f"BYDAY={','.join(sorted(weekdays))}" if weekdays else "",
            f"BYHOUR={','.join(map(str, sorted(hours)))}" if hours else "",
            f"BYMINUTE={','.join(map(str, sorted(minutes)))}" if minutes else "",
            f"COUNT={count}",
        )
        if part
    ),
    st.sampled_from(["MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
    st.integers(1, 5),
    st.sets(st.integers(1, 12), max_size=3),
    st.sets(st.sampled_from([1, 2, 15, 28, 31, -1, -2]), max_size=2),
    st.sets(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), max_size=2),
    st.sets(st.integers(0, 23), max_size=2),
    st.sets(st.integers(0, 59), max_size=2),
    st.integers(2, 12),
)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(RULES, st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1)))
def test_the_walk_agrees_with_dateutil(text, start):
    start = start.replace(second=0, microsecond=0)
    fine = "MINUTELY" in text or "HOURLY" in text
    end = start + timedelta(days=40 if fine else 1_500)
    bounded = f"{text.rpartition(';')[0]};UNTIL={end:%Y%m%dT%H%M%S}"
    budget = Budget(400_000, stop=end)
    ours = list(
        islice(takewhile(lambda at: at <= end, walk(parse_rrule(bounded), start, budget)), 13)
    )
    try:
        theirs = list(islice(rrulestr(bounded, dtstart=start, cache=False), 13))
    except ValueError:  # dateutil refuses what never comes about
        theirs = []
    assert not budget.spent
    if start not in theirs:  # only dateutil leaves out a start that the rule does not have
        ours.remove(start)
    assert ours[:12] == theirs[: len(ours[:12])]
    assert len(theirs) - len(ours) <= 1


@given(RULES, st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1)), st.integers(0, 900))
@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_a_window_shows_what_the_whole_shows(text, start, days):
    endless = text.rpartition(";")[0]
    when = timed(start.replace(second=0, microsecond=0), endless, seconds=7200)
    low = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=days)
    high = low + timedelta(days=3)
    window = occurrences(when, None, low, high, limit=200)
    # With a count that is never reached nothing is skipped on the way.
    counted = timed(when.start, f"{endless};COUNT=999999", seconds=7200)
    whole = occurrences(counted, None, low, high, limit=200)
    if not whole.truncated and not window.truncated:
        assert window.items == whole.items


@pytest.mark.fault("F49")
def test_wall_time_is_kept_and_a_skipped_hour_moves_that_day_only():
    daily = timed(datetime(2027, 3, 13, 2, 30), "FREQ=DAILY;COUNT=3")
    assert starts(daily, date(2027, 1, 1), date(2028, 1, 1)) == [
        "20270313T0730",
        "20270314T0730",
        "20270315T0630",
    ]
    weekly = timed(datetime(2026, 10, 30, 9), "FREQ=WEEKLY;COUNT=3;BYDAY=MO,FR")
    assert starts(weekly, date(2026, 1, 1), date(2027, 1, 1)) == [
        "20261030T1300",
        "20261102T1400",
        "20261106T1400",
    ]


@pytest.mark.fault("F49")
def test_a_nominal_day_and_24_hours_differ_over_a_change_of_the_clocks():
    at = datetime(2026, 10, 31, 12)
    nominal, exact = timed(at, seconds=0, days=1), timed(at, seconds=86_400)
    assert nominal.ends - exact.ends == timedelta(hours=1)


@pytest.mark.fault("AT-06")
@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", NY, "Australia/Melbourne", "America/Phoenix", "Asia/Tokyo"]
)
def test_a_series_stays_at_its_hour_in_its_own_zone(zone):
    when = timed(datetime(2026, 9, 7, 9), "FREQ=WEEKLY;COUNT=60", zone=zone)
    found = occurrences(when, None, date(2026, 1, 1), date(2028, 1, 1)).items
    assert len(found) == 60
    assert {one.when.start.hour for one in found} == {9}
    hours = {one.when.begins.hour for one in found}
    assert len(hours) == (1 if zone in {"America/Phoenix", "Asia/Tokyo"} else 2)


EVERY_SECOND = ";".join(
    f"{part}={','.join(map(str, range(many)))}"
    for part, many in (("BYHOUR", 24), ("BYMINUTE", 60), ("BYSECOND", 60))
)
SILLY = [
    "FREQ=SECONDLY;COUNT=1000000000",
    "FREQ=SECONDLY",
    "FREQ=MINUTELY;BYSETPOS=-1;BYSECOND=1,2,3",
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30;INTERVAL=7",
    "FREQ=HOURLY;BYYEARDAY=366;BYMONTH=1",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
    "FREQ=WEEKLY;BYMONTH=1;BYDAY=MO;BYSETPOS=7",
    "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=YEARLY;BYWEEKNO=53;BYYEARDAY=100",
    "FREQ=YEARLY;INTERVAL=1000000",
    "FREQ=MONTHLY;INTERVAL=1000000",
    "FREQ=DAILY;INTERVAL=1000000",
    "FREQ=SECONDLY;INTERVAL=1000000;BYDAY=MO",
    f"FREQ=DAILY;{EVERY_SECOND}",
    f"FREQ=YEARLY;{EVERY_SECOND};BYSETPOS=-1;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12",
]


def executed(work):
    """Count the lines of the model's code that a piece of work runs."""
    count = 0

    def tracer(frame, event, _):
        nonlocal count
        if "/model/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.fault("F54")
@pytest.mark.parametrize("rule", SILLY)
def test_no_rule_takes_long(rule):
    when = timed(datetime(1970, 1, 1), rule, zone="UTC", seconds=1)

    def work():
        return occurrences(when, None, date(2026, 12, 1), date(2027, 1, 1))

    began = time.perf_counter()
    found = work()
    print(f"{time.perf_counter() - began:.3f} s, {len(found.items)} visits, {found.reason}")
    assert len(found.items) <= 5_000
    assert executed(work) < 1_500_000


@pytest.mark.fault("F54")
def test_what_was_cut_is_flagged():
    when = timed(datetime(1970, 1, 1), "FREQ=SECONDLY", zone="UTC", seconds=1)
    found = occurrences(when, None, date(2026, 12, 1), date(2026, 12, 2), limit=100)
    assert (len(found.items), found.truncated) == (100, True)
    assert found.items[0].when.begins == datetime(2026, 12, 1, tzinfo=UTC)
    never = timed(datetime(1770, 1, 1), "FREQ=DAILY;COUNT=2;BYMONTH=2;BYMONTHDAY=30", zone="UTC")
    found = occurrences(never, None, date(2026, 12, 1), date(2026, 12, 2))
    assert (found.items, found.truncated) == ((), True)
    assert found.reason.startswith("The rule was followed")


@pytest.mark.fault("F54")
def test_a_counted_rule_of_seconds_is_shown_far_from_its_start():
    when = timed(datetime(1970, 1, 1), "FREQ=SECONDLY;COUNT=1000000000", zone="UTC", seconds=0)
    # The last of a billion seconds: 2001-09-09 01:46:39.
    found = occurrences(when, None, date(2001, 9, 9), date(2002, 1, 1), limit=10_000)
    assert len(found.items) == 6_400
    assert found.items[-1].original == "2001-09-09T01:46:39"
    assert not found.truncated


def test_years_at_the_end_of_the_calendar_do_no_harm():
    last = AllDay(start=date(8999, 12, 31), end=date(9000, 1, 1), rule=Rule(rrule=("FREQ=YEARLY",)))
    assert len(occurrences(last, None, date(8999, 1, 1), date(9999, 12, 31)).items) == 992
    wide = occurrences(
        timed(datetime(2026, 1, 1), "FREQ=YEARLY;COUNT=2"), None,
        datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC),
    )  # fmt: skip
    assert len(wide.items) == 2


@pytest.mark.fault("F53")
def test_exceptions_take_the_place_of_their_visits():
    when = timed(datetime(2027, 3, 1, 9), "FREQ=DAILY;COUNT=5")
    away = Timed(start=datetime(2027, 3, 9, 15), zone=NY, seconds=7200)
    lone = Timed(start=datetime(2027, 5, 1, 9), zone=NY, seconds=60)
    apart = Occurrences(
        by_start={
            "2027-03-02T09:00:00": Occurrence(fields={"when": away}),
            "2027-03-03T09:00:00": Occurrence(cancelled=True),
            "2027-03-04T09:00:00": Occurrence(fields={"title": "other"}),
            "2027-04-30T09:00:00": Occurrence(fields={"when": lone}),
        }
    )
    found = occurrences(when, apart, date(2027, 1, 1), date(2028, 1, 1)).items
    assert [(one.original[5:10], one.cancelled, f"{one.when.start:%m%d %H}") for one in found] == [
        ("03-01", False, "0301 09"),
        ("03-03", True, "0303 09"),
        ("03-04", False, "0304 09"),
        ("03-05", False, "0305 09"),
        ("03-02", False, "0309 15"),
        ("04-30", False, "0501 09"),
    ]
    inside = occurrences(when, apart, date(2027, 3, 9), date(2027, 3, 10)).items
    assert [one.original for one in inside] == ["2027-03-02T09:00:00"]


@pytest.mark.fault("F53")
def test_ninety_three_exceptions():
    when = timed(datetime(2026, 1, 5, 9), "FREQ=DAILY;COUNT=200")
    keys = ordinal_keys(when)
    apart = Occurrences(by_start={key: Occurrence(cancelled=True) for key in keys[3:96]})
    found = occurrences(when, apart, date(2026, 1, 1), date(2027, 1, 1)).items
    assert [one.original for one in found if not one.cancelled] == [*keys[:3], *keys[96:]]
    assert sum(one.cancelled for one in found) == 93


def test_extra_visits_and_several_rules_are_one_set():
    when = timed(
        datetime(2027, 1, 4, 9),
        "FREQ=WEEKLY;COUNT=2",
        "FREQ=MONTHLY;COUNT=2",
        rdate=("2027-01-11T09:00:00", "2027-01-06T10:00:00"),
    )
    assert ordinal_keys(when) == (
        "2027-01-04T09:00:00",
        "2027-01-06T10:00:00",
        "2027-01-11T09:00:00",
        "2027-02-04T09:00:00",
    )


@pytest.mark.fault("F52")
def test_whole_days_have_no_zone():
    when = AllDay(start=date(2027, 3, 8), end=date(2027, 3, 11), rule=Rule(rrule=("FREQ=WEEKLY",)))
    found = occurrences(when, None, date(2027, 3, 10), date(2027, 3, 16)).items
    assert [(one.when.start, one.when.end) for one in found] == [
        (date(2027, 3, 8), date(2027, 3, 11)),
        (date(2027, 3, 15), date(2027, 3, 18)),
    ]


def test_a_window_takes_in_what_began_before_it():
    long = timed(datetime(2027, 1, 1, 22), "FREQ=WEEKLY", seconds=4 * 86_400)
    assert starts(long, date(2027, 1, 5), date(2027, 1, 6)) == ["20270102T0300"]
    assert starts(long, date(2027, 1, 7), date(2027, 1, 8)) == []
    with pytest.raises(ValueError, match="zone"):
        occurrences(long, None, datetime(2027, 1, 1), datetime(2027, 1, 2))


@pytest.mark.fault("F49")
def test_the_last_moment_counts_by_instant():
    when = timed(datetime(2027, 3, 8, 19), "FREQ=DAILY;UNTIL=20270310T235959Z")
    assert starts(when, date(2027, 1, 1), date(2028, 1, 1)) == ["20270309T0000", "20270310T0000"]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("byday=fr,MO;freq=weekly;interval=1;wkst=mo", "FREQ=WEEKLY;BYDAY=MO,FR"),
        ("FREQ=MONTHLY;BYDAY=+1MO;", "FREQ=MONTHLY;BYDAY=1MO"),
        ("FREQ=DAILY;UNTIL=20270310", "FREQ=DAILY;UNTIL=20270311T045959Z"),
        ("FREQ=DAILY;UNTIL=20270310T090000", "FREQ=DAILY;UNTIL=20270310T140000Z"),
        ("FREQ=DAILY;UNTIL=20270310T090000Z", "FREQ=DAILY;UNTIL=20270310T090000Z"),
        ("COUNT=3;FREQ=YEARLY;X-ODD=1;BYMONTH=3,1", "FREQ=YEARLY;COUNT=3;BYMONTH=1,3"),
        ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", "FREQ=WEEKLY;INTERVAL=2;WKST=SU"),
    ],
)
def test_rules_have_one_text(text, canonical):
    assert canonical_rrule(text, zone=NY) == canonical
    assert canonical_rrule(canonical, zone=NY) == canonical


def test_whole_days_end_on_a_date_and_know_no_hours():
    text = "FREQ=DAILY;UNTIL=20270310T090000Z;BYHOUR=3"
    assert canonical_rrule(text, whole_days=True) == "FREQ=DAILY;UNTIL=20270310"
    with pytest.raises(RuleError, match="whole days"):
        canonical_rrule("FREQ=HOURLY", whole_days=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no known frequency"),
        ("FREQ=FORTNIGHTLY", "no known frequency"),
        ("FREQ=DAILY;COUNT=0", "no usable COUNT"),
        ("FREQ=DAILY;INTERVAL=0", "no usable INTERVAL"),
        ("FREQ=DAILY;UNTIL=soon", "no known moment"),
        ("FREQ=DAILY;UNTIL=20270230", "no known moment"),
        ("FREQ=DAILY;BYMONTH=13", "does not exist"),
        ("FREQ=DAILY;BYMONTH=a", "no usable BYMONTH"),
        ("FREQ=WEEKLY;BYDAY=1MO", "counts weekdays"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "weeks of the year"),
        ("FREQ=DAILY;BYSETPOS=1", "out of nothing"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;ODD=1", "no rule has"),
        ("RSCALE=CHINESE;FREQ=DAILY", "another calendar"),
    ],
)
def test_rules_that_cannot_be_followed_say_why(text, why):
    with pytest.raises(RuleError, match=why):
        canonical_rrule(text, zone=NY)
