"""Real and synthetic calendars from the shared material, each read or refused with a reason."""

import contextlib
import csv
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from ical.written import octets
from truckroll.kit.errors import HoldRecord
from truckroll.kit.ical.inspect import inspect
from truckroll.kit.ical.read import read_calendar
from truckroll.model.recurrence import occurrences
from truckroll.model.time import AllDay

pytestmark = pytest.mark.shared

STAMP = datetime(2026, 11, 25, 9, tzinfo=UTC)
# Files on which four parsers agree, and why this reader counts otherwise.
DIFFERS = {
    "ical4j--friday13-NOT.ics": "EXRULE without end in a series without end is refused",
    "icalnet--MonthlyBySetPos1.ics": "the event ends before it starts: refused",
    "khal--event_rrule_recuid_invalid_tzid.ics": 'TZID "foo" means nothing: refused, never UTC',
    "nodeical--badRRULE.ics": "one event has a rule that no rule is (RRULE:AnythingRandom)",
    "nodeical--germany_at_end_of_day_repeating.ics": 'no zone "Europe/Germany": refused',
    "icalendar--created_calendar_with_unicode_fields.ics": "the oracle failed; one has no start",
    "nodeical--attendee-with-url.ics": "the oracle failed; there is no start: refused",
}


@pytest.mark.behaviour("CAL-11")
@pytest.mark.fault("F51")
@pytest.mark.fault("AT-09")
def test_every_real_file_is_read_or_refused_with_a_reason(shared):
    with (shared / "ics" / "index.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 141
    differs = set()
    for row in rows:
        calendar = read_calendar((shared / "ics" / row["file"]).read_bytes(), zone="Europe/London")
        count = 0
        for entry in calendar.entries:
            if entry.refused:
                assert entry.refused.endswith(".")
                assert "was not read. I" in entry.refused
                assert not entry.fields
                continue
            found = occurrences(
                entry.fields["when"], entry.fields.get("occurrences"),
                date(1995, 1, 1), date(2031, 1, 1), limit=20_000,
            )  # fmt: skip
            assert not found.truncated
            count += sum(not one.cancelled for one in found.items)
        assert calendar.entries or calendar.refused or calendar.others or row["vevents"] == "0"
        if row["agree"] == "all-accept" and str(count) != row["occurrences-1995-2031"]:
            differs.add(row["file"])
    assert differs == set(DIFFERS)


def visits(shared, name):
    calendar = read_calendar((shared / "ics-synthetic" / name).read_bytes())
    return calendar, [
        one
        for entry in calendar.entries
        for one in occurrences(
            entry.fields["when"], entry.fields.get("occurrences"),
            date(2020, 1, 1), date(2033, 1, 1), limit=50,
        ).items
    ]  # fmt: skip


def starts(found):
    return [
        f"{one.when.start:%Y%m%d}"
        if isinstance(one.when, AllDay)
        else f"{one.when.begins.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        for one in found
        if not one.cancelled
    ]


EXPECTED = {
    "gap-start.ics": ["20270314T073000Z"],
    "overlap-start.ics": ["20261101T053000Z"],
    "gap-rrule.ics": ["20270313T073000Z", "20270314T073000Z", "20270315T063000Z"],
    "weekly-over-dst.ics": ["20261030T130000Z", "20261102T140000Z", "20261106T140000Z"],
    "half-hour-dst-lord-howe.ics": ["20270403T143000Z", "20270404T150000Z"],
    "kathmandu-45.ics": ["20261231T181500Z"],
    "windows-zone-quoted.ics": ["20270701T060000Z"],
    "windows-zone-customized.ics": ["20270701T120000Z"],
    "vtimezone-lies.ics": ["20270701T120000Z"],
    "leap-day-yearly.ics": ["20240229", "20280229", "20320229"],
    "until-local-vs-utc.ics": ["20270309T000000Z", "20270310T000000Z"],
    "override-moved-and-cancelled.ics": [
        "20270301T140000Z",
        "20270305T140000Z",
        "20270309T200000Z",
    ],
}


@pytest.mark.fault("F49")
@pytest.mark.fault("F51")
@pytest.mark.behaviour("CAL-11")
@pytest.mark.parametrize("name", EXPECTED)
def test_synthetic_files_give_the_expected_instants_also_after_a_round_trip(shared, name):
    with (shared / "ics-synthetic" / "expected.tsv").open() as file:
        told = {row["file"]: row["expected"] for row in csv.DictReader(file, delimiter="\t")}
    assert all(start in told[name] for start in EXPECTED[name])
    calendar, found = visits(shared, name)
    assert starts(found) == EXPECTED[name]
    (entry,) = calendar.entries
    stamp = entry.modified
    written = octets(entry.uid, entry.fields, stamp=stamp)
    (again,) = read_calendar(written).entries
    assert again.fields == entry.fields
    assert again.problems == ()


@pytest.mark.fault("F49")
def test_casablanca_by_the_tz_database_in_use(shared):
    _, found = visits(shared, "casablanca-negative-dst.ics")
    zone = ZoneInfo("Africa/Casablanca")
    assert [one.when.begins for one in found] == [
        one.when.start.replace(tzinfo=zone).astimezone(UTC) for one in found
    ]
    assert len({one.when.begins.hour for one in found}) == 2


@pytest.mark.fault("F49")
def test_lengths_over_a_change_of_the_clocks(shared):
    _, found = visits(shared, "duration-over-dst.ics")
    assert [f"{one.when.ends:%Y%m%dT%H%M%SZ}" for one in found] == [
        "20261101T070000Z",
        "20261101T080000Z",
    ]
    _, found = visits(shared, "duration-p1d-over-dst.ics")
    assert f"{found[0].when.ends:%Y%m%dT%H%M%SZ}" == "20261101T170000Z"


@pytest.mark.fault("F52")
def test_whole_days(shared):
    _, (one,) = visits(shared, "all-day-three-days.ics")
    assert one.when == AllDay(start=date(2027, 3, 8), end=date(2027, 3, 11))


def test_texts_come_whole(shared):
    folded, _ = visits(shared, "fold-inside-utf8.ics")
    assert (
        folded.entries[0].fields["notes"].startswith("Überprüfung der Klimaanlage – Gebäude Süd 🛠️")
    )
    assert "\N{REPLACEMENT CHARACTER}" not in folded.entries[0].fields["notes"]
    tabbed, _ = visits(shared, "fold-tab-and-lf.ics")
    assert tabbed.entries[0].title == "Boiler service and filter"


@pytest.mark.fault("F66")
def test_a_line_of_300_kb_is_one_event(shared):
    huge, _ = visits(shared, "huge-description.ics")
    assert len(huge.entries[0].fields["notes"]) >= 290_000


@pytest.mark.fault("F67")
def test_what_looks_dangerous_is_text(shared):
    calendar, _ = visits(shared, "csv-and-html-injection.ics")
    fields = calendar.entries[0].fields
    assert fields["title"] == '=HYPERLINK("http://169.254.169.254/","x")'
    assert fields["location"].text == "<img src=x onerror=alert(1)>"
    assert fields["link"] == "javascript:alert(1)"


@pytest.mark.fault("F54")
def test_a_billion_visits_are_shown_in_part(shared):
    data = (shared / "ics-synthetic" / "billion-instances.ics").read_bytes()
    seen = inspect(data, date(2026, 1, 1), date(2027, 1, 1))
    assert seen.visits == 1_000
    assert seen.entries[0].truncated


def test_every_real_file_that_can_be_edited_is_written_as_it_is_told(shared):
    edited = 0
    for file in sorted((shared / "ics").glob("*.ics")):
        data = file.read_bytes()
        for uid in sorted({entry.uid for entry in read_calendar(data).entries})[:3]:
            with contextlib.suppress(HoldRecord):
                again = octets(uid, {"title": "Boiler"}, stamp=STAMP, previous=data)
                told = [one for one in read_calendar(again).entries if one.uid == uid]
                assert [one.title for one in told] == ["Boiler"]
                edited += 1
    assert edited > 100
