import sys
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from truckroll.kit.ical.inspect import inspect
from truckroll.kit.ical.lines import Limits
from truckroll.kit.ical.read import read_calendar
from truckroll.model.records import Address, Contact, Occurrence, Occurrences
from truckroll.model.time import AllDay, Rule, Timed

NY = "America/New_York"
AT = "DTSTART;TZID=America/New_York:20270301T090000"
SERIES = [AT, "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=5"]


def test_each_field_is_read(read):
    entry = read(
        [
            AT,
            "DTEND;TZID=America/New_York:20270301T103000",
            "SUMMARY:AC\\, tune\\; up",
            "DESCRIPTION:one\\ntwo",
            "LOCATION:100 W Broadway\\, Glendale",
            "STATUS:TENTATIVE",
            "TRANSP:TRANSPARENT",
            "CLASS:CONFIDENTIAL",
            "CATEGORIES:a\\,b,c",
            "URL:https://hub.example/1",
            "CONTACT:Ana",
            "SEQUENCE:4",
            "ORGANIZER:mailto:o@example.com",
            "LAST-MODIFIED:20270102T030405Z",
            "X-TRUCKROLL-LINK:m-1",
        ]
    )
    assert entry.fields == {
        "title": "AC, tune; up",
        "when": Timed(start=datetime(2027, 3, 1, 9), zone=NY, seconds=5_400),
        "notes": "one\ntwo",
        "location": Address(text="100 W Broadway, Glendale"),
        "status": "tentative",
        "busy": False,
        "private": True,
        "category": "a,b",
        "link": "https://hub.example/1",
        "contact": Contact(name="Ana"),
    }
    assert (entry.uid, entry.mark, entry.sequence) == ("u@x", "m-1", 4)
    assert entry.organizer == "mailto:o@example.com"
    assert entry.modified == datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (entry.problems, entry.refused) == ((), "")


def test_what_is_not_there_is_unknown_and_what_is_empty_was_cleared(read):
    bare = read([AT]).fields
    assert (bare["title"], bare["notes"], bare["location"]) == (None, None, None)
    assert "status" not in bare
    assert "occurrences" not in bare
    assert (bare["busy"], bare["private"]) == (True, False)
    empty = read([AT, "SUMMARY:", "DESCRIPTION:", "CATEGORIES:"]).fields
    assert (empty["title"], empty["notes"], empty["category"]) == ("", "", "")


@pytest.mark.fault("F52")
@pytest.mark.fault("AT-07")
@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (["DTSTART;VALUE=DATE:20270308", "DTEND;VALUE=DATE:20270311"], 8, 11),
        (["DTSTART;VALUE=DATE:20270308"], 8, 9),
        (["DTSTART:20270308"], 8, 9),
        (["DTSTART;VALUE=DATE:20270308", "DTEND;VALUE=DATE:20270308"], 8, 9),
        (["DTSTART;VALUE=DATE:20270308", "DURATION:P2D"], 8, 10),
        (["DTSTART;VALUE=DATE:20270308", "DURATION:PT24H"], 8, 9),
        (["DTSTART;VALUE=DATE:20270308T000000", "DTEND;VALUE=DATE:20270309T000000"], 8, 9),
        (
            [
                "DTSTART;TZID=Europe/Berlin:20270308T000000",
                "DTEND;TZID=Europe/Berlin:20270310T000000",
                "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE",
            ],
            8,
            10,
        ),
    ],
)
def test_whole_days_are_dates_with_an_exclusive_end(read, lines, start, end):
    for zone in ("", "Asia/Tokyo", "America/Los_Angeles"):
        when = read(lines, zone=zone).fields["when"]
        assert when == AllDay(start=date(2027, 3, start), end=date(2027, 3, end))


@pytest.mark.fault("F52")
def test_the_23_59_hack_stays_what_it_says(read):
    when = read(["DTSTART:20270308T000000", "DTEND:20270308T235959"], zone=NY).fields["when"]
    assert when == Timed(start=datetime(2027, 3, 8), zone=NY, seconds=86_399)


@pytest.mark.fault("AT-07")
@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["SUMMARY:x"], "no start time"),
        (["DTSTART:"], "no start time"),
        (["DTSTART:soon"], '"soon" is no date or time'),
        (["DTSTART:20270230"], "does not exist"),
        (["DTSTART:00010101"], "year 1"),
        (["DTSTART:99991231T235959Z"], "year 9999"),
        ([AT, "DTEND;TZID=America/New_York:20270301T080000"], "ends before it starts"),
        ([AT, "DURATION:-PT1H"], "ends before it starts"),
        ([AT, "DURATION:long"], "is no duration"),
        ([AT, "RRULE:FREQ=DAILY;COUNT=x"], "cannot be repeated"),
        ([AT, "RRULE:FREQ=DAILY", "EXRULE:FREQ=DAILY;INTERVAL=2"], "EXRULE"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(read, lines, why):
    entry = read(lines)
    assert why in entry.refused
    assert entry.fields == {}


@pytest.mark.fault("F49")
@pytest.mark.parametrize(
    ("lines", "days", "seconds"),
    [
        (["DURATION:P1D"], 1, 0),
        (["DURATION:PT24H"], 0, 86_400),
        (["DURATION:P1W"], 7, 0),
        (["DURATION:P1DT2H30M"], 1, 9_000),
        ([], 0, 0),
        (["DTEND:20270301T150000Z"], 0, 3_600),
        (["DTEND;VALUE=DATE:20270302"], 0, 54_000),
    ],
)
def test_lengths(read, lines, days, seconds):
    when = read([AT, *lines]).fields["when"]
    assert (when.days, when.seconds) == (days, seconds)


def test_an_event_inside_the_skipped_hour_keeps_its_length(read):
    zoned = ["DTSTART;TZID=America/New_York:20270314T023000"]
    when = read([*zoned, "DTEND;TZID=America/New_York:20270314T030000"]).fields["when"]
    assert when.seconds == 1_800


# --- series -----------------------------------------------------------------------------------


@pytest.mark.fault("F53")
def test_exceptions_come_in_any_form(read):
    entry = read(
        [
            *SERIES,
            "SUMMARY:Boiler",
            "EXDATE;TZID=America/New_York:20270302T090000",
            "EXDATE:20270303T140000Z",
            "EXDATE;VALUE=DATE:20270304",
        ],
        [
            "RECURRENCE-ID:20270305T140000Z",
            "DTSTART;TZID=America/New_York:20270309T150000",
            "DURATION:PT2H",
            "SUMMARY:Boiler",
        ],
    )
    away = Timed(start=datetime(2027, 3, 9, 15), zone=NY, seconds=7_200)
    assert entry.fields["occurrences"] == Occurrences(
        by_start={
            "2027-03-02T09:00:00": Occurrence(cancelled=True),
            "2027-03-03T09:00:00": Occurrence(cancelled=True),
            "2027-03-04T09:00:00": Occurrence(cancelled=True),
            "2027-03-05T09:00:00": Occurrence(fields={"when": away}),
        }
    )


@pytest.mark.fault("F53")
def test_a_date_excludes_all_visits_of_that_day(read):
    often = [AT, "RRULE:FREQ=DAILY;COUNT=6;BYHOUR=9,14", "EXDATE;VALUE=DATE:20270302"]
    assert set(read(often).fields["occurrences"].by_start) == {
        "2027-03-02T09:00:00",
        "2027-03-02T14:00:00",
    }


@pytest.mark.fault("F53")
def test_moved_then_cancelled_is_cancelled(read):
    moved = ["RECURRENCE-ID;VALUE=DATE:20270302", "DTSTART;TZID=America/New_York:20270309T150000"]
    key = "2027-03-02T09:00:00"
    by_status = read(SERIES, [*moved, "STATUS:CANCELLED"]).fields["occurrences"].by_start
    assert by_status == {key: Occurrence(cancelled=True)}
    excluded = read([*SERIES, "EXDATE:20270302T140000Z"], moved)
    assert excluded.fields["occurrences"].by_start == {key: Occurrence(cancelled=True)}
    assert "both changed and excluded" in excluded.problems[0]


def test_the_newest_of_several_counts(read):
    old = ["RECURRENCE-ID:20270302T140000Z", AT, "DURATION:PT1H", "SEQUENCE:1", "SUMMARY:old"]
    new = ["RECURRENCE-ID:20270302T140000Z", AT, "DURATION:PT1H", "SEQUENCE:2", "SUMMARY:new"]
    entry = read([*SERIES, "SEQUENCE:3"], new, old)
    assert entry.fields["occurrences"].by_start["2027-03-02T09:00:00"].fields["title"] == "new"
    masters = read([AT, "SEQUENCE:5", "SUMMARY:newer"], [AT, "SEQUENCE:4", "SUMMARY:older"])
    assert masters.title == "newer"
    assert "2 events" in masters.problems[0]


@pytest.mark.fault("F53")
def test_overrides_without_their_master(read):
    one = ["RECURRENCE-ID:20270302T140000Z", "DTSTART:20270302T150000Z", "DURATION:PT1H"]
    two = ["RECURRENCE-ID:20270309T140000Z", "DTSTART:20270309T140000Z", "SUMMARY:x"]
    single = read(one)
    assert single.detached
    assert single.fields["when"] == Timed(start=datetime(2027, 3, 2, 15), zone="UTC", seconds=3_600)
    both = read(two, one)
    assert both.detached
    assert both.fields["when"].rule == Rule(rdate=("2027-03-09T14:00:00",))


@pytest.mark.fault("F53")
def test_this_and_future_changes_each_later_visit_or_is_refused(read):
    later = [
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20270303T140000Z",
        "DTSTART;TZID=America/New_York:20270303T110000",
        "DURATION:PT1H",
    ]
    by_start = read(SERIES, later).fields["occurrences"].by_start
    assert {key: one.fields["when"].start for key, one in by_start.items()} == {
        f"2027-03-0{day}T09:00:00": datetime(2027, 3, day, 11) for day in (3, 4, 5)
    }
    endless = read([AT, "RRULE:FREQ=DAILY"], later)
    assert "split the series" in endless.refused


@pytest.mark.fault("AT-09")
def test_extra_visits_only_and_periods_keep_their_own_length(read):
    entry = read(
        [
            AT,
            "DURATION:PT1H",
            "RDATE;TZID=America/New_York:20270308T090000,20270315T090000",
            "RDATE;VALUE=PERIOD:20270322T130000Z/PT3H",
        ]
    )
    rule = entry.fields["when"].rule
    assert rule == Rule(rdate=("2027-03-08T09:00:00", "2027-03-15T09:00:00", "2027-03-22T09:00:00"))
    own = entry.fields["occurrences"].by_start["2027-03-22T09:00:00"].fields["when"]
    assert own.seconds == 3 * 3_600
    assert "length of their own" in entry.problems[0]


def test_an_exclusion_rule_with_an_end_is_a_list_of_cancelled_visits(read):
    entry = read([*SERIES, "EXRULE:FREQ=DAILY;INTERVAL=2"])
    assert set(entry.fields["occurrences"].by_start) == {
        f"2027-03-0{day}T09:00:00" for day in (1, 3, 5)
    }


@pytest.mark.fault("AT-09")
def test_one_bad_event_stops_nothing(text):
    good, bad = [AT, "UID:good"], ["UID:bad", "DTSTART:soon"]
    bad_entry, good_entry = read_calendar(text(bad, good)).entries
    assert bad_entry.refused
    assert good_entry.fields["when"].start == datetime(2027, 3, 1, 9)


# --- as phones and servers write --------------------------------------------------------------


def test_line_ends_folds_case_and_marks_of_byte_order(text):
    plain = text([AT, "SUMMARY:Überprüfung – Größe"])
    expected = read_calendar(plain).entries[0].fields
    folded = plain.replace("Ü".encode(), b"\xc3\r\n \x9c")
    lower = plain.replace(b"BEGIN:VEVENT", b"begin:vevent").replace(b"SUMMARY", b"summary")
    forms = [
        plain.replace(b"\r\n", b"\n"),
        plain.replace(b"\r\n", b"\r"),
        folded,
        folded.replace(b"\r\n ", b"\n\t"),
        b"\xef\xbb\xbf" + plain,
        plain.decode().encode("utf-16"),
        plain.replace(b"\r\n", b"\r\n\r\n"),
        lower,
    ]
    for data in forms:
        assert read_calendar(data).entries[0].fields == expected, data[:30]


def test_text_that_is_not_utf8_is_read_and_said(text):
    data = text([AT, "SUMMARY:Gr\u00f6\u00dfe"]).replace("öß".encode(), b"\xf6\xdf")
    calendar = read_calendar(data)
    assert calendar.entries[0].title == "Größe"
    assert "not UTF-8" in calendar.problems[0]


def test_broken_nesting_and_lines_that_are_none(text):
    data = text([AT, "this is no line", "BEGIN:VALARM", "ACTION:DISPLAY"], ["UID:two", AT])
    calendar = read_calendar(data)
    assert len(calendar.entries) == 2
    assert any("never closed" in problem for problem in calendar.problems)
    assert any("no content line" in problem for problem in calendar.problems)
    nothing = read_calendar(b"<html>Not found</html>")
    assert nothing.refused == "This is no iCalendar text: it has no VCALENDAR."


@pytest.mark.fault("F66")
@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(total_bytes=100), "larger than"),
        (Limits(line_bytes=50), "longer than"),
        (Limits(lines=5), "more than 5 lines"),
        (Limits(components=2), "more than 2 parts"),
        (Limits(depth=1), "more than 1 deep"),
    ],
)
def test_beyond_a_limit_nothing_is_read(text, limits, why):
    data = text([AT, "DESCRIPTION:" + "x" * 90], [AT])
    calendar = read_calendar(data, limits=limits)
    assert why in calendar.refused
    assert calendar.entries == ()


@pytest.mark.fault("F66")
def test_depth_is_bounded_and_long_lines_are_read(text):
    deep = b"BEGIN:VCALENDAR\n" + b"BEGIN:X\n" * 100_000
    assert "deep" in read_calendar(deep).refused
    long = text([AT, "DESCRIPTION:" + "é" * 150_000])
    assert len(read_calendar(long).entries[0].fields["notes"]) == 150_000


@pytest.mark.fault("F54")
def test_many_excluded_dates_of_a_busy_rule_are_bounded(text):
    dates = ",".join(f"2027{month:02}{day:02}" for month in range(1, 13) for day in range(1, 29))
    lines = [AT, "RRULE:FREQ=MINUTELY;COUNT=900000000", f"EXDATE;VALUE=DATE:{dates}"]
    seen = []

    def tracer(frame, event, _):
        if "truckroll" in frame.f_code.co_filename and event == "call":
            seen.append(1)

    data = text(lines)
    sys.setprofile(tracer)
    try:
        (entry,) = read_calendar(data).entries
    finally:
        sys.setprofile(None)
    assert len(seen) < 2_000_000
    assert entry.refused or entry.fields


PIECES = [
    "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VTIMEZONE", "UID:a",
    "TZID:X", "END:VTIMEZONE", "DTSTART:20270301T090000Z", "DTSTART;TZID=X:20270301T090000",
    "DTEND:20270301", "DURATION:P1W", "RRULE:FREQ=DAILY;UNTIL=20270401", "RDATE:20270301/P1D",
    "RECURRENCE-ID;RANGE=THISANDFUTURE:20270302", "EXDATE:20270303,x", "EXRULE:FREQ=YEARLY",
    'SUMMARY;X="a:b":c', "BEGIN:STANDARD", "TZOFFSETFROM:+0100", "TZOFFSETTO:-0100",
    "END:STANDARD", "CATEGORIES:,\\", "SEQUENCE:-1", " folded", "X-WR-TIMEZONE:Nowhere",
    "DTSTART;VALUE=DATE:20270301", "URL", ":", "STATUS:cancelled",
]  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=40).map("\n".join), st.text()))
@pytest.mark.fault("F51")
def test_nothing_that_strangers_send_raises(data):
    seen = inspect(data.encode("utf-8", "surrogatepass"), date(2027, 1, 1), date(2028, 1, 1))
    for entry in seen.entries:
        assert bool(entry.refused) != (entry.when is not None)


def test_inspection_shows_instants_and_local_times(text):
    data = text([*SERIES, "SUMMARY:Boiler", "EXDATE:20270303T140000Z"], ["DTSTART:soon", "UID:b"])
    seen = inspect(data, date(2027, 3, 1), date(2027, 3, 4))
    boiler = seen.entries[0]
    assert (seen.events, seen.refused_events, seen.visits, seen.cancelled) == (2, 1, 2, 1)
    first = boiler.visits[0]
    assert (first.starts, first.local_start) == ("2027-03-01T14:00:00+00:00", "2027-03-01T09:00:00")
    assert [visit.cancelled for visit in boiler.visits] == [False, False, True]
