import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import icalendar
import pytest

from ical.written import octets
from truckroll.kit.ical.lines import RefusedError, read_tree, write_tree
from truckroll.kit.ical.read import read_calendar
from truckroll.kit.ical.vtimezone import changes, make_vtimezone, offset_at, read_vtimezone
from truckroll.kit.ical.zones import Zones, iana_zone
from truckroll.model.records import same
from truckroll.model.time import Timed

SAMPLE = (
    "America/New_York", "Europe/Berlin", "Europe/Dublin", "Africa/Casablanca", "Asia/Kathmandu",
    "Australia/Lord_Howe", "America/St_Johns", "Asia/Gaza", "Africa/Cairo", "Pacific/Chatham",
    "Asia/Jerusalem", "America/Nuuk", "Pacific/Apia", "Asia/Tokyo",
)  # fmt: skip
EVERY = sorted(
    name
    for name in available_timezones()
    if "/" in name and not name.startswith(("SystemV/", "Etc/GMT"))
)
ZONES = [*SAMPLE, *(pytest.param(z, marks=pytest.mark.long) for z in EVERY if z not in SAMPLE)]
STAMP = datetime(2026, 11, 25, 9, tzinfo=UTC)


def described(zone, first, last):
    (part,) = read_tree(write_tree(make_vtimezone(zone, first, last))).parts
    return read_vtimezone(part)


@pytest.mark.fault("AT-05")
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("first", [2006, 2026])
def test_a_vtimezone_of_ours_says_what_the_tz_database_says(zone, first):
    ours, info = described(zone, first, None), ZoneInfo(zone)
    for year in range(first, first + 12):
        moments = [datetime(year, month, 3, tzinfo=UTC) for month in range(1, 13)]
        for change in changes(zone, year):
            moments += [change.at - timedelta(seconds=1), change.at]
        for at in moments:
            assert offset_at(ours, at, (first, first + 12)) == at.astimezone(info).utcoffset(), at


@pytest.mark.fault("AT-05")
@pytest.mark.parametrize("zone", SAMPLE)
def test_another_library_reads_our_vtimezone_alike(zone):
    text = write_tree(make_vtimezone(zone, 2026, 2028))
    assert re.search(rb"\r\n\Z", text)
    theirs = icalendar.Timezone.from_ical(text).to_tz(lookup_tzid=False)
    info = ZoneInfo(zone)
    for day in range(0, 1_000, 3):
        at = datetime(2026, 1, 1, 12) + timedelta(days=day)
        assert at.replace(tzinfo=theirs).utcoffset() == at.replace(tzinfo=info).utcoffset(), at


def edges(zone):
    """Wall times about each change of two years: gap, overlap, and an hour around."""
    for year in (2026, 2027):
        for change in changes(zone, year):
            yield from (change.wall + timedelta(minutes=n) for n in (-90, -30, -1, 0, 15, 45, 90))
    yield datetime(2026, 7, 1, 9)


@pytest.mark.fault("AT-05")
@pytest.mark.fault("F49")
@pytest.mark.behaviour("CAL-11")
@pytest.mark.parametrize("zone", ZONES)
def test_times_about_each_change_of_the_clocks_come_back(zone):
    for start in edges(zone):
        for fold in (0, 1):
            for seconds in (0, 600, 5_400):
                when = Timed(start=start, zone=zone, seconds=seconds, fold=fold)
                data = octets("u@x", {"when": when}, stamp=STAMP)
                (entry,) = read_calendar(data).entries
                back = entry.fields["when"]
                assert same(back, when), (start, fold)
                assert (back.zone, entry.problems) == (iana_zone(zone), ())
                assert b"TZID=" not in data or b"BEGIN:VTIMEZONE" in data


@pytest.mark.fault("F51")
@pytest.mark.parametrize(
    ("tzid", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("/mozilla.org/20070129_1/Europe/Berlin", "Europe/Berlin"),
        ("/freeassociation.sourceforge.net/America/Argentina/Ushuaia", "America/Argentina/Ushuaia"),
        ('"W. Europe Standard Time"', "Europe/Berlin"),
        ("Eastern Standard Time", "America/New_York"),
        ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome", "Europe/Amsterdam"),
        ("America-Chicago", "America/Chicago"),
        ("Europe_London", "Europe/London"),
        ("posix/Europe/Vaduz", "Europe/Vaduz"),
        ("GMT+0200", "Etc/GMT-2"),
        ("UTC-05:00", "Etc/GMT+5"),
        ("Coordinated Universal Time", "UTC"),
        ("foo", ""),
        ("GMT+0530", ""),
        ("Customized Time Zone", ""),
        ("", ""),
    ],
)
def test_names_of_zones(tzid, zone):
    assert iana_zone(tzid) == zone


@pytest.mark.fault("F51")
def test_an_unknown_zone_is_shown_and_never_utc(read):
    entry = read(["DTSTART;TZID=Nowhere/Land:20270701T080000", "SUMMARY:Boiler"])
    assert entry.fields == {}
    assert entry.refused == (
        '"Boiler" (line 4) was not read. Its time zone "Nowhere/Land" is not known.'
    )
    with pytest.raises(RefusedError, match="names no time zone"):
        Zones().floating((2027, 2027))


CUSTOM = (
    "BEGIN:VTIMEZONE", "TZID:Mine", "BEGIN:STANDARD", "DTSTART:16010101T030000",
    "TZOFFSETFROM:+0200", "TZOFFSETTO:+0100", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10",
    "END:STANDARD", "BEGIN:DAYLIGHT", "DTSTART:16010101T020000", "TZOFFSETFROM:+0100",
    "TZOFFSETTO:+0200", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "END:DAYLIGHT",
    "END:VTIMEZONE",
)  # fmt: skip


@pytest.mark.fault("F51")
def test_a_zone_that_only_the_file_knows_is_found_by_its_offsets(read):
    entry = read(["DTSTART;TZID=Mine:20270701T080000"], head=CUSTOM)
    assert entry.fields["when"].begins == datetime(2027, 7, 1, 6, tzinfo=UTC)
    assert entry.problems[0].endswith('The time zone "Mine" was read as Europe/Budapest.')
    hinted = [line.replace("Mine", "Rome and Berlin") for line in CUSTOM]
    entry = read(["DTSTART;TZID=Rome and Berlin:20270701T080000"], head=hinted)
    assert entry.fields["when"].zone == "Europe/Rome"
    odd = [line.replace("+0100", "+0117") for line in CUSTOM]
    entry = read(["DTSTART;TZID=Mine:20270701T080000"], head=odd)
    assert '"Mine"' in entry.refused
    assert "no known zone has the offsets" in entry.refused


@pytest.mark.fault("F51")
def test_a_vtimezone_that_lies_is_not_believed_and_it_is_said(read):
    lie = [line.replace("Mine", "America/New_York") for line in CUSTOM]
    entry = read(["DTSTART;TZID=America/New_York:20270701T080000"], head=lie)
    assert entry.fields["when"].begins == datetime(2027, 7, 1, 12, tzinfo=UTC)
    assert "the tz database says UTC-0500 for America/New_York" in entry.problems[0]


@pytest.mark.fault("F51")
def test_floating_times_take_the_calendars_zone_then_the_accounts(read):
    floating = ["DTSTART:20270701T080000"]
    assert read(floating, zone="Asia/Tokyo").fields["when"].zone == "Asia/Tokyo"
    stated = read(floating, zone="Asia/Tokyo", head=["X-WR-TIMEZONE:Europe/Paris"])
    assert stated.fields["when"].zone == "Europe/Paris"
    assert "names no time zone" in read(floating).refused
    blank = read(["DTSTART;TZID=:20270701T080000"], zone="Asia/Tokyo")
    assert blank.fields["when"].zone == "Asia/Tokyo"
