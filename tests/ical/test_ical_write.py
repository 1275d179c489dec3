from datetime import UTC, date, datetime, timedelta

import icalendar
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ical.written import octets
from truckroll.kit.errors import HoldRecord
from truckroll.kit.ical.lines import read_tree
from truckroll.kit.ical.read import read_calendar
from truckroll.model.records import Address, Contact, Occurrence, Occurrences, same
from truckroll.model.recurrence import ordinal_keys
from truckroll.model.time import AllDay, Rule, Timed

NY = "America/New_York"
STAMP = datetime(2026, 11, 25, 9, tzinfo=UTC)
LATER = datetime(2026, 11, 26, 9, tzinfo=UTC)
SINGLE = Timed(start=datetime(2027, 3, 1, 9), zone=NY, seconds=5_400)
WEEKLY = Timed(
    start=datetime(2027, 3, 1, 9), zone=NY, seconds=3_600, rule=Rule(rrule=("FREQ=WEEKLY;COUNT=6",))
)


def back(data):
    (entry,) = read_calendar(data).entries
    assert not entry.refused
    return entry


def lines_of(data):
    return data.replace(b"\r\n ", b"").decode().split("\r\n")


# --- new events -------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=90)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)).map(
    lambda at: at.replace(microsecond=0)
)
zones = st.sampled_from(
    [NY, "Europe/Dublin", "Africa/Casablanca", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]
)
rules = st.sampled_from(
    ["FREQ=DAILY;COUNT=9", "FREQ=WEEKLY;COUNT=9;BYDAY=MO,FR", "FREQ=MONTHLY;COUNT=9"]
)


@st.composite
def whens(draw):
    rule = Rule(rrule=(draw(rules),)) if draw(st.booleans()) else None
    start = draw(moments)
    if draw(st.booleans()):
        end = start.date() + timedelta(days=draw(st.integers(1, 4)))
        return AllDay(start=start.date(), end=end, rule=rule)
    days = draw(st.integers(0, 2)) if rule else 0
    seconds = draw(st.integers(0, 90_000))
    return Timed(start=start, zone=draw(zones), seconds=seconds, days=days, rule=rule)


@st.composite
def records(draw):
    when = draw(whens())
    fields = {
        "title": draw(texts),
        "notes": draw(texts.map(lambda text: text + "\nline two")),
        "location": Address(text=draw(texts)),
        "contact": Contact(name=draw(texts)),
        "when": when,
        "status": draw(st.sampled_from(["tentative", "confirmed", "cancelled"])),
        "busy": draw(st.booleans()),
        "private": draw(st.booleans()),
        "category": draw(texts.map(str.strip)),
        "link": draw(st.sampled_from(["https://hub.example/v/1", ""])),
    }
    if when.rule is not None:
        keys = ordinal_keys(when, 9)
        chosen = draw(st.lists(st.sampled_from(keys), max_size=4, unique=True))
        fields["occurrences"] = Occurrences(
            by_start={key: draw(apart(fields, when)) for key in sorted(chosen)}
        )
    return fields


@st.composite
def apart(draw, fields, when):
    if draw(st.booleans()):
        return Occurrence(cancelled=True)
    changed = {"title": fields["title"] + draw(st.sampled_from(["!", " moved"]))}
    if draw(st.booleans()):
        at = draw(st.datetimes(datetime(2036, 1, 1), datetime(2036, 12, 1)))
        at = at.replace(microsecond=0)
        changed["when"] = (
            AllDay(start=at.date(), end=at.date() + timedelta(days=7))
            if isinstance(when, AllDay)
            else Timed(start=at, zone=when.zone, seconds=123)
        )
    return Occurrence(fields=changed)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records())
@pytest.mark.behaviour("CAL-11")
def test_what_is_written_is_read_again(fields):
    data = octets("u@x", fields, stamp=STAMP, mark="m-1")
    entry = back(data)
    for name, value in fields.items():
        found = entry.fields[name]
        nothing = value in ("", Address(), Contact())
        assert found is None if nothing else same(found, value), name
    assert entry.mark == "m-1"
    assert entry.problems == ()
    assert all(len(line) <= 75 for line in data.split(b"\r\n"))
    assert octets("u@x", fields, stamp=LATER, mark="m-1", previous=data) == data
    icalendar.Calendar.from_ical(data)


def test_an_event_is_complete_and_invites_nobody():
    data = octets("u@x", {"when": SINGLE, "title": "Boiler", "people": ("Ana",)}, stamp=STAMP)
    lines = lines_of(data)
    assert lines[:4] == [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Truckroll//Hub//EN", "CALSCALE:GREGORIAN",
    ]  # fmt: skip
    for line in (
        "UID:u@x",
        "DTSTAMP:20261125T090000Z",
        "SEQUENCE:0",
        "DTSTART;TZID=America/New_York:20270301T090000",
        "DTEND;TZID=America/New_York:20270301T103000",
        "TZID:America/New_York",
    ):
        assert lines.count(line) == 1, line
    assert not any(line.startswith(("ATTENDEE", "ORGANIZER", "METHOD")) for line in lines)


@pytest.mark.fault("F49")
def test_the_second_of_two_equal_wall_times_is_said_in_utc():
    when = Timed(start=datetime(2026, 11, 1, 1, 30), zone=NY, seconds=3_600, fold=1)
    data = octets("u@x", {"when": when}, stamp=STAMP)
    assert "DTSTART:20261101T063000Z" in lines_of(data)
    assert "X-TRUCKROLL-ZONE:America/New_York" in lines_of(data)
    assert back(data).fields["when"] == when
    moved = octets("u@x", {"when": SINGLE}, stamp=LATER, previous=data)
    assert b"X-TRUCKROLL-ZONE" not in moved
    assert back(moved).fields["when"] == SINGLE


def test_exceptions_stand_in_the_type_and_zone_of_the_start():
    away = Timed(start=datetime(2027, 3, 9, 15), zone="Europe/Berlin", seconds=60)
    occurrences = Occurrences(
        by_start={
            "2027-03-08T09:00:00": Occurrence(fields={"when": away}),
            "2027-03-15T09:00:00": Occurrence(cancelled=True),
        }
    )
    fields = {"when": WEEKLY, "title": "Boiler", "occurrences": occurrences}
    lines = lines_of(octets("u@x", fields, stamp=STAMP))
    assert "RECURRENCE-ID;TZID=America/New_York:20270308T090000" in lines
    assert "EXDATE;TZID=America/New_York:20270315T090000" in lines
    assert lines.count("SUMMARY:Boiler") == 2
    assert {"TZID:America/New_York", "TZID:Europe/Berlin"} <= set(lines)


@pytest.mark.fault("F67")
def test_no_value_can_end_its_line():
    fields = {"when": SINGLE, "title": "a\r\nATTENDEE:mailto:x", "link": "https://x\r\nATTACH:y"}
    data = octets("u\nATTACH:z", fields, stamp=STAMP, mark="m\nATTENDEE:q")
    assert not any(line.startswith(("ATTENDEE", "ATTACH")) for line in lines_of(data))
    assert back(data).fields["title"] == "a\nATTENDEE:mailto:x"


def test_long_lines_are_folded_between_characters():
    title = "Größe 🛠️ " * 40
    data = octets("u@x", {"when": SINGLE, "title": title}, stamp=STAMP)
    for line in data.split(b"\r\n"):
        assert len(line) <= 75
        line.decode()  # each line is UTF-8 by itself
    assert back(data).fields["title"] == title


@pytest.mark.fault("AT-07")
def test_without_a_time_nothing_is_written():
    with pytest.raises(HoldRecord, match="no time"):
        octets("u@x", {"title": "x"}, stamp=STAMP)


# --- in place ---------------------------------------------------------------------------------

THEIRS = b"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Phone//EN
X-WR-CALNAME:Work
BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
X-MINE:1
END:VTIMEZONE
BEGIN:VEVENT
UID:u@x
SUMMARY;LANGUAGE=en:Boiler
DTSTART;TZID=W. Europe Standard Time:20270301T090000
DURATION:PT1H
RRULE:FREQ=WEEKLY;COUNT=6
X-PHONE-COLOR:red
ATTENDEE;CN=Ana:mailto:ana@example.com
ATTACH:https://example.com/plan.pdf
CATEGORIES:Jobs,Private
LOCATION:Elm St
GEO:1.0;2.0
X-APPLE-STRUCTURED-LOCATION;X-TITLE=Elm:geo:1,2
SEQUENCE:3
DTSTAMP:20260101T000000Z
BEGIN:VALARM
ACTION:DISPLAY
TRIGGER:-PT15M
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:u@x
RECURRENCE-ID;TZID=W. Europe Standard Time:20270308T090000
DTSTART;TZID=W. Europe Standard Time:20270308T110000
DURATION:PT1H
SUMMARY:Boiler
LOCATION:Elm St
CATEGORIES:Jobs
X-NOTE:bring ladder
END:VEVENT
END:VCALENDAR
""".replace(b"\n", b"\r\n")
UNKNOWN = (
    "X-WR-CALNAME:Work", "X-MINE:1", "X-PHONE-COLOR:red", "X-NOTE:bring ladder",
    "ATTENDEE;CN=Ana:mailto:ana@example.com", "ATTACH:https://example.com/plan.pdf",
    "TRIGGER:-PT15M",
)  # fmt: skip


def put(fields, **more):
    data = octets("u@x", fields, stamp=LATER, previous=THEIRS, **more)
    for line in UNKNOWN:
        assert line in lines_of(data), line
    return data


def test_an_update_keeps_what_the_hub_does_not_know():
    data = put({"notes": "Bring ladder"})
    changed = set(lines_of(data)) - set(lines_of(THEIRS))
    assert changed == {
        "DESCRIPTION:Bring ladder", "DTSTAMP:20261126T090000Z", "LAST-MODIFIED:20261126T090000Z",
        "SEQUENCE:1",
    }  # fmt: skip
    assert back(data).sequence == 3


def test_nothing_to_change_changes_nothing():
    assert put({}) == THEIRS
    same_again = back(THEIRS).fields
    assert put(same_again) == THEIRS


def test_time_and_place_raise_the_sequence_and_take_their_twins_along():
    data = put({"location": Address(text="Oak St")})
    assert back(data).sequence == 4
    assert not any(line.startswith(("GEO", "X-APPLE-STRUCT")) for line in lines_of(data)[:32])
    assert put({"title": "x"}).count(b"SEQUENCE:3") == 1
    assert back(put({"title": "x"}, sequence=9)).sequence == 9


def test_a_title_reaches_the_visits_that_had_it():
    entry = back(put({"title": "Heat pump"}))
    own = entry.fields["occurrences"].by_start["2027-03-08T09:00:00"]
    assert entry.title == "Heat pump"
    assert "title" not in own.fields
    assert own.fields["when"].start == datetime(2027, 3, 8, 11)


def test_none_and_empty_take_a_property_out_and_other_labels_stay():
    data = put({"location": None, "category": "Visits"})
    assert "LOCATION:Elm St" not in lines_of(data)
    assert "CATEGORIES:Visits,Private" in lines_of(data)
    assert back(put({"category": ""})).fields["category"] == "Private"


def test_a_series_that_moves_takes_its_changed_visits_along():
    entry = back(THEIRS)
    when = Timed(
        start=datetime(2027, 3, 2, 10), zone="Europe/Berlin", seconds=3_600,
        rule=entry.fields["when"].rule,
    )  # fmt: skip
    moved = entry.fields["occurrences"].by_start["2027-03-08T09:00:00"]
    keyed = Occurrences(by_start={"2027-03-09T10:00:00": moved})
    data = put({"when": when, "occurrences": keyed})
    after = back(data)
    assert after.fields["when"] == when
    assert after.fields["occurrences"] == keyed
    assert "RECURRENCE-ID;TZID=Europe/Berlin:20270309T100000" in lines_of(data)
    assert "TZID:Europe/Berlin" in lines_of(data)


def test_a_cancelled_visit_and_one_that_is_as_usual_again():
    key = "2027-03-08T09:00:00"
    gone = octets(
        "u@x", {"occurrences": Occurrences(by_start={key: Occurrence(cancelled=True)})},
        stamp=LATER, previous=THEIRS,
    )  # fmt: skip
    assert back(gone).fields["occurrences"].by_start == {key: Occurrence(cancelled=True)}
    assert b"RECURRENCE-ID" not in gone
    usual = octets("u@x", {"occurrences": Occurrences()}, stamp=LATER, previous=gone)
    assert back(usual).fields["occurrences"] == Occurrences()
    assert b"EXDATE" not in usual


def test_a_series_that_becomes_one_visit():
    data = octets("u@x", {"when": SINGLE}, stamp=LATER, previous=THEIRS)
    entry = back(data)
    assert entry.fields["when"] == SINGLE
    assert b"RECURRENCE-ID" not in data
    assert "TRIGGER:-PT15M" in lines_of(data)


def test_a_whole_day_of_outlook_that_becomes_timed_says_so():
    outlook = octets("u@x", {"when": AllDay(date(2027, 3, 1), date(2027, 3, 2))}, stamp=STAMP)
    outlook = outlook.replace(b"END:VEVENT", b"X-MICROSOFT-CDO-ALLDAYEVENT:TRUE\r\nEND:VEVENT")
    midnight = Timed(start=datetime(2027, 3, 1), zone=NY, seconds=86_400)
    data = octets("u@x", {"when": midnight}, stamp=LATER, previous=outlook)
    assert back(data).fields["when"] == midnight


@pytest.mark.fault("F51")
def test_a_vtimezone_that_lies_is_replaced_when_the_time_is_written():
    data = octets("u@x", {"when": SINGLE}, stamp=STAMP)
    lie = data.replace(b"TZOFFSETTO:-0400", b"TZOFFSETTO:-0300")
    assert back(lie).problems
    moved = Timed(start=datetime(2027, 7, 1, 9), zone=NY, seconds=60)
    entry = back(octets("u@x", {"when": moved}, stamp=LATER, previous=lie))
    assert entry.problems == ()


@pytest.mark.parametrize(
    "previous",
    [
        b"<html>",
        THEIRS.replace(b"DTSTART", b"DTSTARX"),
        THEIRS.replace(b"u@x", b""),
        THEIRS.replace(b"BEGIN:VCALENDAR\r\n", b""),
    ],
)
def test_what_cannot_be_edited_is_held(previous):
    with pytest.raises(HoldRecord, match="cannot be changed in place"):
        octets("u@x", {"title": "x"}, stamp=LATER, previous=previous)


def test_one_visit_of_a_series_of_somebody_else_is_edited_as_it_is():
    start = THEIRS.index(b"BEGIN:VEVENT")
    end = THEIRS.index(b"END:VEVENT") + len(b"END:VEVENT\r\n")
    alone = THEIRS[:start] + THEIRS[end:]
    data = octets("u@x", {"title": "x"}, stamp=LATER, previous=alone)
    assert back(data).title == "x"
    assert len(read_tree(data).parts[0].parts("VEVENT")) == 1
    with pytest.raises(HoldRecord, match="cannot repeat"):
        octets("u@x", {"when": WEEKLY}, stamp=LATER, previous=alone)
