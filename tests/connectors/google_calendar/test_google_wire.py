"""Events as records and back, without a system: times, series, texts, and what is private."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import samples
from contract.sentences import assert_sentence
from truckroll.connectors.google_calendar import wire
from truckroll.connectors.google_calendar.event import Whole, kept, show
from truckroll.kit.contract import Scope, Seen, Session, Unreadable
from truckroll.kit.errors import HoldRecord
from truckroll.model.records import Address, Occurrence, Occurrences, same
from truckroll.model.time import AllDay, Rule, Timed

ANA = Scope(id="ana@acme.example", title="Ana Ruiz", kind="appointment")
LA = "America/Los_Angeles"
START = {"dateTime": "2026-11-30T09:00:00-08:00", "timeZone": LA}
END = {"dateTime": "2026-11-30T10:30:00-08:00", "timeZone": LA}
VISIT = Timed(start=samples.at("2026-11-30T09:00"), zone=LA, seconds=5400)
WEEKLY = msgspec.structs.replace(VISIT, rule=Rule(rrule=("FREQ=WEEKLY;COUNT=6",)))


def shown(**event):
    base = {"id": "e1", "etag": '"1"', "summary": "Visit", "start": START, "end": END}
    base |= {"organizer": {"email": ANA.id, "self": True}}
    return show(msgspec.Raw(msgspec.json.encode({**base, **event})))


def item(*events, zone=""):
    main, *visits = (shown(**event) for event in events)
    session = Session(account="google", system="google-calendar", settings={}, http=None, zone=zone)
    return wire.item(session, ANA, Whole(main, tuple(visits)))


def fields(*events, zone=""):
    seen = item(*events, zone=zone)
    assert isinstance(seen, Seen), seen
    return seen.fields


def back(values):
    """Return what is read of an event that was made with these fields."""
    body = wire.made(values, "7f", "it")
    return fields(msgspec.json.decode(msgspec.json.encode(body)))


def test_an_event_is_read_in_the_models_terms():
    seen = item(
        {
            "description": "Gate 1234",
            "location": "12 Elm St",
            "status": "tentative",
            "transparency": "transparent",
            "source": {"url": "https://hub.example/v/1"},
            "attendees": [
                {"email": "office@acme.example", "organizer": True},
                {"email": "ana@acme.example", "self": True},
                {"email": "van@resource.calendar.google.com", "resource": True},
                {"email": "bea@customers.example"},
            ],
            "iCalUID": "e1@google.com",
            "extendedProperties": {"private": {"truckrollLink": "7f"}},
        }
    )
    assert seen.fields == {
        "title": "Visit",
        "when": VISIT,
        "occurrences": None,
        "status": "tentative",
        "location": Address(text="12 Elm St"),
        "notes": "Gate 1234",
        "busy": False,
        "private": False,
        "link": "https://hub.example/v/1",
        "guests": ("bea@customers.example",),
        "organizer": "ana@acme.example",
    }
    assert (seen.version, seen.mark, seen.series, seen.owned) == (
        '"1"',
        "7f",
        "e1@google.com",
        True,
    )


# Times.

EDGES = [
    # start, zone, what the API is told; both edges of the clocks' changes of 2026
    ("2026-03-08T01:30", LA, "2026-03-08T01:30:00-08:00", 0),
    ("2026-03-08T03:30", LA, "2026-03-08T03:30:00-07:00", 0),
    ("2026-11-01T01:30", LA, "2026-11-01T01:30:00-07:00", 0),
    ("2026-11-01T01:30", LA, "2026-11-01T01:30:00-08:00", 1),
    ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T03:00:00+02:00", 0),
    ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T02:30:00+01:00", 1),
    ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-05T01:45:00+10:30", 1),
]


@pytest.mark.parametrize(("start", "zone", "told", "fold"), EDGES)
def test_times_at_the_clocks_changes_keep_their_instant(start, zone, told, fold):
    when = Timed(start=samples.at(start), zone=zone, seconds=3600, fold=fold)
    body = wire.made({"title": "x", "when": when}, "7f", "it")
    assert body["start"] == {"dateTime": told, "timeZone": zone}
    assert back({"title": "x", "when": when})["when"] == when


def test_a_time_that_the_clocks_skip_is_told_as_the_instant_that_it_means():
    when = Timed(start=samples.at("2026-03-08T02:30"), zone=LA, seconds=3600)
    assert same(back({"title": "x", "when": when})["when"], when)


@given(samples.timed() | samples.whole_days())
def test_every_time_survives(when):
    assert same(back({"title": "x", "when": when})["when"], when)


def test_whole_days_have_an_exclusive_end_and_no_zone():
    days = AllDay(start=date(2026, 12, 24), end=date(2026, 12, 27))
    body = wire.made({"title": "x", "when": days}, "7f", "it")
    assert (body["start"], body["end"]) == ({"date": "2026-12-24"}, {"date": "2026-12-27"})
    assert back({"when": days})["when"] == days


def test_a_change_between_whole_days_and_times_takes_the_other_form_out():
    days = AllDay(start=date(2026, 12, 24), end=date(2026, 12, 25))
    there = shown().event
    body = wire.changed({"when": days}, {"when": days}, "it", there=there)
    assert body["start"] == {"date": "2026-12-24", "dateTime": None, "timeZone": None}
    timed = wire.changed({"when": VISIT}, {"when": VISIT}, "it", there=there)
    assert timed["start"] == {**START, "date": None}


@pytest.mark.parametrize(
    ("start", "zone", "wanted"),
    [
        ({"dateTime": "2026-11-30T09:00:00", "timeZone": LA}, "", (LA, "2026-11-30T09:00")),
        ({"dateTime": "2026-11-30T17:00:00Z"}, "", ("UTC", "2026-11-30T17:00")),
        ({"dateTime": "2026-11-30T17:00:00Z", "timeZone": "UTC"}, LA, ("UTC", "2026-11-30T17:00")),
        ({"dateTime": "2026-11-30T09:00:00-08:00"}, LA, (LA, "2026-11-30T09:00")),
        ({"dateTime": "2026-11-30T09:00:00-08:00"}, "", ("Etc/GMT+8", "2026-11-30T09:00")),
        ({"dateTime": "2026-11-30T22:30:00+05:30"}, "", ("UTC", "2026-11-30T17:00")),
        (
            {"dateTime": "2026-11-30T09:00:00-08:00", "timeZone": "Pacific Standard Time"},
            "",
            (LA, "2026-11-30T09:00"),
        ),
    ],
)
def test_the_zone_is_the_events_own_or_follows_from_its_offset(start, zone, wanted):
    when = fields({"start": start}, zone=zone)["when"]
    assert (when.zone, when.start) == (wanted[0], samples.at(wanted[1]))


@pytest.mark.fault("F51")
def test_an_unknown_zone_is_said_and_never_guessed():
    odd = {"dateTime": "2026-11-30T09:00:00-08:00", "timeZone": "Nowhere/Atlantis"}
    single = item({"start": odd})
    assert single.fields["when"].begins == VISIT.begins
    assert "Nowhere/Atlantis" in single.problems[0]
    series = item({"start": odd, "recurrence": ["RRULE:FREQ=DAILY"]})
    floating = item({"start": {"dateTime": "2026-11-30T09:00:00", "timeZone": "Nowhere/Atlantis"}})
    for bad in (series, floating):
        assert isinstance(bad, Unreadable)
        assert_sentence(bad.reason)
        assert "Nowhere/Atlantis" in bad.reason


@pytest.mark.parametrize(
    "event",
    [
        {"start": None},
        {"start": {"dateTime": "tomorrow", "timeZone": LA}},
        {"start": {"date": "2026-02-30"}},
        {"end": {"dateTime": "2026-11-30T08:00:00-08:00", "timeZone": LA}},
        {"recurrence": ["RRULE:FREQ=FORTNIGHTLY"]},
        {"recurrence": ["RRULE:FREQ=DAILY;BYSETPOS=1"]},
    ],
)
def test_what_cannot_be_understood_is_named(event):
    bad = item(event)
    assert isinstance(bad, Unreadable)
    assert_sentence(bad.reason)
    assert '"e1"' in bad.reason


# Series.


def visit(id_, original, **more):
    return {
        "id": f"e1_{id_}",
        "etag": f'"{id_}"',
        "recurringEventId": "e1",
        "originalStartTime": {"dateTime": original, "timeZone": LA},
        **more,
    }


SERIES = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=6"]}


def test_a_series_and_its_visits_are_one_record():
    seen = item(
        {**SERIES, "recurrence": [*SERIES["recurrence"], f"EXDATE;TZID={LA}:20261221T090000"]},
        visit("a", "2026-12-07T09:00:00-08:00", status="cancelled", start=None, end=None),
        visit(
            "b",
            "2026-12-14T09:00:00-08:00",
            start={"dateTime": "2026-12-14T14:00:00-08:00", "timeZone": LA},
            end={"dateTime": "2026-12-14T15:00:00-08:00", "timeZone": LA},
        ),
        visit(
            "c",
            "2026-12-28T17:00:00Z",
            summary="Last",
            start={"dateTime": "2026-12-28T09:00:00-08:00", "timeZone": LA},
            end={"dateTime": "2026-12-28T10:30:00-08:00", "timeZone": LA},
        ),
        visit(
            "d",
            "2027-01-04T09:00:00-08:00",
            start={"dateTime": "2027-01-04T09:00:00-08:00", "timeZone": LA},
            end={"dateTime": "2027-01-04T10:30:00-08:00", "timeZone": LA},
        ),
    )
    assert same(seen.fields["when"], WEEKLY)
    moved = Timed(start=samples.at("2026-12-14T14:00"), zone=LA, seconds=3600)
    assert seen.fields["occurrences"] == Occurrences(
        {
            "2026-12-07T09:00:00": Occurrence(cancelled=True),
            "2026-12-14T09:00:00": Occurrence(fields={"when": moved}),
            "2026-12-21T09:00:00": Occurrence(cancelled=True),
            "2026-12-28T09:00:00": Occurrence(fields={"title": "Last"}),
        }
    )


def test_the_version_of_a_series_moves_with_each_of_its_visits():
    one = visit("a", "2026-12-07T09:00:00-08:00", status="cancelled")
    versions = {
        item(SERIES).version,
        item(SERIES, one).version,
        item(SERIES, {**one, "etag": '"2"'}).version,
        item({**SERIES, "etag": '"2"'}, one).version,
    }
    assert len(versions) == 4
    assert item(SERIES, one).version == item(SERIES, one).version


@pytest.mark.fault("F49")
def test_a_series_over_the_clocks_changes_keeps_its_wall_time():
    when = msgspec.structs.replace(
        VISIT, start=samples.at("2026-10-26T09:00"), rule=Rule(rrule=("FREQ=WEEKLY;COUNT=3",))
    )
    out = Occurrences({"2026-11-02T09:00:00": Occurrence(cancelled=True)})
    body = wire.made({"title": "x", "when": when, "occurrences": out}, "7f", "it")
    assert body["start"] == {"dateTime": "2026-10-26T09:00:00-07:00", "timeZone": LA}
    assert body["recurrence"] == [
        "RRULE:FREQ=WEEKLY;COUNT=3",
        "EXDATE;TZID=America/Los_Angeles:20261102T090000",
    ]
    read = fields(body)
    assert (read["when"], read["occurrences"]) == (when, out)


def test_a_length_of_whole_days_is_no_length_in_hours():
    nominal = Timed(
        start=samples.at("2026-03-07T09:00"), zone=LA, days=1, rule=Rule(rrule=("FREQ=WEEKLY",))
    )
    elapsed = msgspec.structs.replace(nominal, days=0, seconds=86400)
    for when in (nominal, elapsed):
        assert back({"title": "x", "when": when})["when"] == when


def test_whole_days_repeat_with_dates():
    when = AllDay(
        start=date(2026, 12, 1),
        end=date(2026, 12, 2),
        rule=Rule(rrule=("FREQ=MONTHLY",), rdate=("2026-12-24",)),
    )
    out = Occurrences({"2027-01-01": Occurrence(cancelled=True)})
    body = wire.made({"when": when, "occurrences": out}, "7f", "it")
    assert body["recurrence"] == [
        "RRULE:FREQ=MONTHLY",
        "RDATE;VALUE=DATE:20261224",
        "EXDATE;VALUE=DATE:20270101",
    ]
    read = fields(body)
    assert (read["when"], read["occurrences"]) == (when, out)


def test_a_series_that_becomes_a_single_visit_loses_its_rule():
    there = shown(**SERIES).event
    assert wire.changed({"when": VISIT}, {"when": VISIT}, "it", there=there)["recurrence"] is None
    single = wire.changed({"when": VISIT}, {"when": VISIT}, "it", there=shown().event)
    assert "recurrence" not in single


# Texts and the rest.


@given(samples.NOTES | st.text(st.characters(exclude_categories=("Cs",)), max_size=40))
def test_notes_survive_whatever_they_look_like(text):
    stored = back({"when": VISIT, "notes": text})["notes"] or ""
    assert stored == text.replace("\xa0", " ")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<b>Gate</b> 1234<br>ring", "Gate 1234\nring"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo\n"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("5 < 6 & 7 > 6", "5 < 6 & 7 > 6"),
    ],
)
def test_html_in_a_description_is_read_as_people_see_it(html, text):
    assert fields({"description": html})["notes"] == text


def test_only_what_changed_is_sent():
    body = wire.changed(
        {"title": "New"}, {"title": "New", "when": VISIT}, "it", there=shown().event
    )
    assert body == {"summary": "New"}


def test_what_was_cleared_is_named():
    texts = dict.fromkeys(("title", "notes", "location", "link"), "")
    body = wire.changed(texts, {"when": VISIT}, "it", there=shown().event)
    assert body == dict.fromkeys(("summary", "description", "location", "source"))


def test_a_cancelled_visit_is_never_written_since_that_would_delete_it():
    for write in (
        lambda: wire.made({"when": VISIT, "status": "cancelled"}, "7f", "The visit"),
        lambda: wire.changed({"status": "cancelled"}, {"when": VISIT}, "The visit"),
    ):
        with pytest.raises(HoldRecord) as caught:
            write()
        assert_sentence(caught.value.says)


def test_a_record_without_time_is_held():
    with pytest.raises(HoldRecord) as caught:
        wire.made({"title": "x"}, "7f", '"x"')
    assert_sentence(caught.value.says)


# Whose it is.

SECRET = {
    "summary": "Doctor",
    "description": "secret illness",
    "location": "secret place",
    "visibility": "private",
    "attendees": [{"email": "secret@clinic.example"}],
    "htmlLink": "https://secret",
    "source": {"url": "https://secret"},
}


@pytest.mark.behaviour("CAL-7")
def test_of_a_private_event_only_the_time_is_taken():
    for visibility in ("private", "confidential"):
        seen = item({**SECRET, "visibility": visibility})
        assert seen.fields == {
            "when": VISIT,
            "occurrences": None,
            "status": "confirmed",
            "busy": True,
            "private": True,
        }
        assert b"ecret" not in seen.raw + str(seen).encode()
        assert b"Doctor" not in seen.raw + str(seen).encode()


@pytest.mark.behaviour("CAL-7")
def test_of_a_private_visit_of_a_series_only_the_time_is_taken():
    other = {"start": START, "end": {**END, "dateTime": "2026-11-30T11:30:00-08:00"}}
    private = visit("a", "2026-11-30T09:00:00-08:00", **{**SECRET, **other})
    seen = item({**SERIES, "summary": "Round"}, private)
    (one,) = seen.fields["occurrences"].by_start.values()
    assert set(one.fields) == {"when", "private"}
    assert b"ecret" not in seen.raw + str(seen).encode()


def test_a_private_event_of_the_hubs_own_is_read():
    mark = {"extendedProperties": {"private": {"truckrollLink": "7f"}}}
    seen = item({**SECRET, **mark})
    assert (seen.fields["title"], seen.fields["private"]) == ("Doctor", True)
    assert kept(seen.raw).main.event.summary == "Doctor"


@pytest.mark.parametrize(
    ("event", "owned"),
    [
        ({}, True),
        ({"organizer": None}, True),
        ({"organizer": {"email": "boss@acme.example"}}, False),
        ({"organizer": None, "visibility": "private"}, False),
        ({"locked": True}, False),
        ({"eventType": "outOfOffice"}, False),
        ({"eventType": "focusTime"}, False),
    ],
)
def test_only_what_the_calendars_owner_organises_is_edited(event, owned):
    assert item(event).owned is owned


def test_what_its_owner_declined_blocks_nothing():
    theirs = {"organizer": {"email": "boss@acme.example"}}
    declined = {"attendees": [{"email": ANA.id, "self": True, "responseStatus": "declined"}]}
    assert fields({**theirs, **declined})["busy"] is False
    assert fields(theirs)["busy"] is True
