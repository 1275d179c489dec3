"""Feeds as they come: whole, broken, cut, without what the RFC demands; from the web or a file."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.ical_feed.world import FeedServer, calendar, feed_server, session_at
from contract.bench import Held, Read
from contract.sentences import assert_sentence
from truckroll.connectors.ical_feed import ICAL_FEED
from truckroll.connectors.ical_feed.connector import web_address
from truckroll.connectors.ical_feed.wire import is_past, last_end, read_feed
from truckroll.kit.contract import Missing, Scope, Seen, Session, Unreadable
from truckroll.kit.errors import GiveUp, RetryLater
from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.time import Rule, Timed

FEED = ICAL_FEED.resource("appointment")
SCOPE = Scope("feed", "Team", "appointment", writable=False)
NAME = 'The feed "team"'


def event(uid="u1", title="Visit", **lines):
    """Return a VEVENT; a line of None is left out."""
    shown = {
        "UID": uid,
        "DTSTAMP": "20261101T080000Z",
        "DTSTART": "20991201T090000Z",
        "DTEND": "20991201T103000Z",
        "SUMMARY": title,
        **lines,
    }
    body = "".join(f"{name}:{value}\n" for name, value in shown.items() if value is not None)
    return f"BEGIN:VEVENT\n{body}END:VEVENT\n"


def read(*events, zone="America/New_York", head=""):
    return read_feed(calendar(*events, head=head), zone, NAME).items


async def listing(session, cursor=None):
    read = Read([page async for page in FEED.listing(session, SCOPE, cursor)])
    for item in read.items:
        session.known.take(item)
    return read


@pytest.mark.behaviour("CAL-10")
@pytest.mark.behaviour("CAL-11")
def test_a_series_is_one_record_with_its_changed_visits():
    rule = {"RRULE": "FREQ=WEEKLY;COUNT=4", "EXDATE": "20991208T090000Z"}
    moved = {"RECURRENCE-ID": "20991215T090000Z", "DTSTART": "20991215T140000Z"}
    items = read(event(**rule), event(**moved, DTEND="20991215T150000Z"))
    assert set(items) == {"u1"}
    fields = items["u1"].fields
    assert fields["when"].rule == Rule(("FREQ=WEEKLY;COUNT=4",))
    assert fields["occurrences"] == Occurrences(
        {
            "2099-12-08T09:00:00": Occurrence(cancelled=True),
            "2099-12-15T09:00:00": Occurrence(
                fields={"when": Timed(datetime(2099, 12, 15, 14), "UTC", 3600)}
            ),
        }
    )
    assert items["u1"].series == "u1"


@pytest.mark.parametrize("missing", ["DTSTAMP", "DTEND"])
def test_an_event_without_what_the_rfc_demands_is_read(missing):
    item = read(event(**{missing: None}))["u1"]
    assert isinstance(item, Seen)
    assert item.fields["when"].seconds == (0 if missing == "DTEND" else 5400)


def test_a_feed_without_version_is_read():
    text = calendar(event()).replace(b"VERSION:2.0\r\nPRODID:-//Example//Feed//EN\r\n", b"")
    assert set(read_feed(text, "", NAME).items) == {"u1"}


def test_events_without_uid_get_ids_that_stay_and_a_note():
    first = read(event(uid=None, title="A"), event(uid=None, title="B"))
    again = read(event(uid=None, title="B", DTSTAMP="20261102T080000Z"), event(uid=None, title="A"))
    assert set(first) == set(again)
    assert len(first) == 2
    assert all("known by its start and title" in item.problems[-1] for item in first.values())
    twins = read(event(uid=None), event(uid=None))
    assert len(twins) == 2


def test_of_two_events_with_one_uid_both_are_named_and_the_newest_counts():
    items = read(event(title="Old"), event(title="New", SEQUENCE="2"), event(uid="u2"))
    assert set(items) == {"u1", "u2"}
    assert items["u1"].fields["title"] == "New"
    (problem,) = items["u1"].problems
    assert 'The UID u1 stands on "Old" (line 4) and on "New" (line 11)' in problem


@pytest.mark.fault("F51")
def test_floating_times_take_the_feed_s_zone_then_the_account_s_never_utc():
    floating = event(DTSTART="20991201T090000", DTEND="20991201T100000")
    assert read(floating)["u1"].fields["when"].zone == "America/New_York"
    with_own = read(floating, head="X-WR-TIMEZONE:Europe/Berlin\n")
    assert with_own["u1"].fields["when"].zone == "Europe/Berlin"
    item = read(floating, zone="")["u1"]
    assert isinstance(item, Unreadable)
    assert_sentence(item.reason)


@pytest.mark.fault("AT-05")
@pytest.mark.parametrize("tzid", ["America/New_York", '"Eastern Standard Time"'])
def test_a_zone_without_its_definition_is_known_by_its_name(tzid):
    times = {f"DTSTART;TZID={tzid}": "20271107T013000", f"DTEND;TZID={tzid}": "20271107T023000"}
    item = read(event(DTSTART=None, DTEND=None, **times))["u1"]
    assert item.fields["when"].zone == "America/New_York"
    assert f"{item.fields['when'].begins:%H:%MZ}" == "05:30Z"


@pytest.mark.fault("AT-09")
def test_an_event_that_cannot_be_read_is_refused_alone():
    items = read(event(uid="bad", RRULE="FREQ=SOMETIMES"), event(uid="good"))
    assert isinstance(items["good"], Seen)
    assert isinstance(items["bad"], Unreadable)
    assert_sentence(items["bad"].reason)


def test_private_events_say_so_with_their_content():
    item = read(event(CLASS="PRIVATE"))["u1"]
    assert item.fields["private"] is True
    assert item.fields["title"] == "Visit"


def test_only_content_makes_a_new_version():
    same = read(event(DTSTAMP="20261105T080000Z"))["u1"].version
    assert same == read(event())["u1"].version
    assert same != read(event(title="Other"))["u1"].version


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        ("REFRESH-INTERVAL;VALUE=DURATION:PT15M\n", timedelta(minutes=15)),
        ("X-PUBLISHED-TTL:P1DT12H\n", timedelta(days=1, hours=12)),
        ("", None),
        ("X-PUBLISHED-TTL:soon\n", None),
    ],
)
def test_how_often_a_feed_wants_to_be_read_is_known(head, wanted):
    assert read_feed(calendar(event(), head=head), "", NAME).refresh == wanted


@pytest.mark.fault("F23")
@pytest.mark.fault("AT-01")
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
        (b"", "empty"),
        (b'{"error": 1}', "something else"),
        (calendar(event())[:-20], "does not end with END:VCALENDAR"),
        (calendar(event("a"), event("b"))[:200], "was cut off"),
    ],
)
async def test_no_whole_calendar_is_no_empty_feed(body, says):
    async with feed_server() as server, session_at(server.url) as session:
        server.events["e1"] = event()
        first = await listing(session)
        server.body = body
        for cursor in (first.cursor, None):
            with pytest.raises(RetryLater, match=says) as caught:
                await listing(session, cursor)
            assert_sentence(caught.value.says)
        server.body = None
        again = await listing(session, first.cursor)
        assert again.items == []


@pytest.mark.behaviour("CAL-10")
async def test_a_feed_is_asked_with_its_own_validators():
    async with feed_server() as server, session_at(server.url) as session:
        server.events["e1"] = event()
        first = await listing(session)
        assert first.complete
        assert json.loads(first.cursor)["etag"]
        before = session.http.calls
        again = await listing(session, first.cursor)
        assert session.http.calls == before + 1
        assert (again.items, again.complete, again.cursor) == ([], False, first.cursor)
        assert server.unchanged == 1


async def test_the_same_text_without_validators_is_no_change(monkeypatch):
    async def bare(self, request):
        return await plain(self, request.clone(headers={}))

    plain = FeedServer.answer
    monkeypatch.setattr(FeedServer, "answer", bare)
    async with feed_server() as server, session_at(server.url) as session:
        server.events["e1"] = event()
        first = await listing(session)
        again = await listing(session, first.cursor)
        assert (again.items, again.complete) == ([], False)


@pytest.mark.fault("AT-15")
@pytest.mark.fault("F45")
async def test_what_is_gone_is_proven_by_one_second_look_and_the_past_is_left_alone():
    async with feed_server() as server, session_at(server.url) as session:
        for name in ("a", "b", "c"):
            server.events[name] = event(name)
        server.events["past"] = event("past", DTSTART="20200101T090000Z", DTEND="20200101T100000Z")
        server.events["series"] = event("series", DTSTART="20200101T090000Z", RRULE="FREQ=DAILY")
        await listing(session)
        server.events.clear()
        read = await listing(session)
        assert (read.items, read.unchanged, read.complete) == ([], set(), True)
        assert read.pages[-1].since <= datetime.now(UTC)
        before = session.http.calls
        answers = {
            name: await FEED.read(session, SCOPE, name)
            for name in ("a", "b", "c", "past", "series")
        }
        assert session.http.calls == before + 1
        assert isinstance(answers.pop("past"), Unreadable)
        assert answers == {name: Missing(name) for name in answers}
        server.events["a"] = event("a")
        await listing(session)
        assert isinstance(await FEED.read(session, SCOPE, "a"), Seen)


def test_a_series_is_over_when_its_last_visit_is():
    def ends(rule):
        return last_end(Timed(datetime(2020, 1, 1, 9), "UTC", 3600, rule=Rule((rule,))))

    assert ends("FREQ=DAILY") is None
    assert ends("FREQ=DAILY;COUNT=3") == datetime(2020, 1, 3, 10, tzinfo=UTC)
    assert ends("FREQ=DAILY;UNTIL=20200105T090000Z") == datetime(2020, 1, 5, 10, tzinfo=UTC)
    assert ends("FREQ=DAILY;COUNT=999999999") is None
    assert not is_past("abc@", datetime.now(UTC))
    assert not is_past(None, datetime.now(UTC))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": ""}, "needs either a web address"),
        ({"path": "/x.ics"}, "needs either a web address"),
        ({"url": "file:///etc/passwd"}, "named by its path instead"),
        ({"url": "team.ics"}, "no web address"),
        ({"zone": "Mars/Base"}, "write it as America/New_York"),
    ],
)
async def test_a_wrong_account_is_told_what_to_change(settings, says):
    async with feed_server() as server, session_at(server.url) as session:
        asked = {**session.settings, **settings}
        wrong = Session("team", "ical-feed", asked, session.http, known=Held())
        with pytest.raises(GiveUp, match=says) as caught:
            await ICAL_FEED.scopes(wrong)
        assert_sentence(caught.value.says)


@pytest.mark.fault("F64")
async def test_a_feed_inside_the_house_needs_a_person_s_word():
    async with feed_server() as server:
        with pytest.raises(GiveUp, match="private network"):
            async with session_at(server.url, private="no") as session:
                await listing(session)


def test_webcal_is_read_by_https():
    assert web_address({"url": "webcal://example.com/a.ics"}) == "https://example.com/a.ics"
    assert web_address({"url": " https://example.com/a.ics "}) == "https://example.com/a.ics"


async def test_a_file_on_the_disk_is_a_feed_too(tmp_path):
    path = tmp_path / "team.ics"
    settings = {"path": str(path)}
    async with session_at("http://127.0.0.1:9/") as other:
        session = Session("team", "ical-feed", settings, other.http, "UTC", Held())
        with pytest.raises(RetryLater, match=r"team\.ics is not there"):
            await listing(session)
        path.write_bytes(calendar(event(), head="X-WR-CALNAME:Crew\n"))
        (scope,) = await ICAL_FEED.scopes(session)
        assert (scope.title, scope.writable) == ("Crew", False)
        first = await listing(session)
        assert set(first.seen) == {"u1"}
        assert (await listing(session, first.cursor)).items == []
        assert session.http.calls == 0


@pytest.mark.fault("F67")
def test_text_of_a_feed_stays_text():
    item = read(event(title="=HYPERLINK(1)", URL="javascript:alert(1)"))["u1"]
    assert item.fields["title"] == "=HYPERLINK(1)"


@pytest.mark.shared
def test_every_real_calendar_is_a_feed_or_refused_with_a_reason():
    folder = Path(os.environ.get("TRUCKROLL_SHARED", "../shared")) / "data" / "ics"
    if not folder.is_dir():
        pytest.skip("the shared test material is not here")
    seen = 0
    for path in sorted(folder.glob("*.ics")):
        try:
            feed = read_feed(path.read_bytes(), "America/New_York", path.name)
        except RetryLater as refused:
            assert_sentence(refused.says)
            continue
        seen += sum(isinstance(item, Seen) for item in feed.items.values())
        for item in feed.items.values():
            assert isinstance(item, Seen) or item.reason.endswith(".")
    assert seen > 500
