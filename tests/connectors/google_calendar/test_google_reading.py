"""Reading Google calendars: pages, sync tokens, series and their visits, and what is not ours."""

import json

import pytest

from contract import samples
from contract.sentences import assert_sentence
from support.proxy import Rewrite, Status
from truckroll.connectors.google_calendar import reads
from truckroll.kit.contract import Missing, Seen, Unreadable
from truckroll.kit.errors import GiveUp, RetryLater
from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.time import Timed

LA = "America/Los_Angeles"
WEEKLY = ["RRULE:FREQ=WEEKLY;COUNT=4"]


def lists(visit):
    """Return the queries of the event listings that came in."""
    events = [line for line in visit.server.calls("GET") if line.path.endswith("/events")]
    return [line.query for line in events]


async def read(visit, id_):
    return await visit.resource.read(visit.session, visit.scope, id_)


async def test_a_quiet_pass_is_one_call_a_calendar(at_google):
    at_google.server.add(summary="Visit", recurrence=WEEKLY)
    first = await at_google.list()
    before = len(at_google.server.calls())
    assert (await at_google.list(first.cursor)).items == []
    assert len(at_google.server.calls()) == before + 1


@pytest.mark.fault("F21")
async def test_pages_are_read_to_the_end_with_the_same_question(at_google, monkeypatch):
    monkeypatch.setattr(reads, "_MOST", 3)
    before = len(lists(at_google))
    ids = {at_google.server.add(summary=f"Visit {n}") for n in range(10)}
    first = await at_google.list()
    assert (len(first.pages), set(first.seen), first.complete) == (4, ids, True)
    assert [page.cursor is None for page in first.pages] == [True, True, True, False]
    for id_ in ids:
        at_google.server.edit(id_, summary="Changed")
    second = await at_google.list(first.cursor)
    assert (len(second.pages), set(second.seen), second.complete) == (4, ids, False)
    asked = [
        {pair for pair in query if pair[0] not in ("syncToken", "pageToken")}
        for query in lists(at_google)[before:]
    ]
    assert all(one == asked[0] for one in asked), "what goes with a token never changes"
    assert {name for name, _ in asked[0]} == {"maxResults", "eventTypes"}


@pytest.mark.fault("F21")
async def test_a_listing_without_a_token_moves_nothing(at_google):
    at_google.server.add(summary="Visit")
    cursor = (await at_google.list()).cursor
    at_google.server.add(summary="New")
    at_google.proxy.rule(Rewrite('"nextSyncToken":"[^"]*"', '"other":1'))
    read_again = await at_google.list(cursor)
    assert [one.fields["title"] for one in read_again.seen.values()] == ["New"]
    assert read_again.pages[-1].cursor is None


async def test_a_series_over_several_pages_is_one_record(at_google, monkeypatch):
    monkeypatch.setattr(reads, "_MOST", 2)
    google = at_google.server
    series = google.add(summary="Round", recurrence=WEEKLY)
    for n in range(3):
        google.add(summary=f"Single {n}")
    google.edit(f"{series}_20261207T170000Z", summary="Second round")
    google.delete(f"{series}_20261214T170000Z")
    listed = (await at_google.list()).seen
    assert len(listed) == 4
    assert listed[series].fields["occurrences"] == Occurrences(
        {
            "2026-12-07T09:00:00": Occurrence(fields={"title": "Second round"}),
            "2026-12-14T09:00:00": Occurrence(cancelled=True),
        }
    )


async def test_what_people_do_to_one_visit_comes_as_a_change_of_the_series(at_google):
    google = at_google.server
    series = google.add(summary="Round", recurrence=WEEKLY)
    seen = await at_google.list()
    acts = {
        "moved": lambda: google.edit(
            f"{series}_20261207T170000Z",
            start={"dateTime": "2026-12-08T14:00:00", "timeZone": LA},
            end={"dateTime": "2026-12-08T15:00:00", "timeZone": LA},
        ),
        "deleted": lambda: google.delete(f"{series}_20261214T170000Z"),
        "renamed": lambda: google.edit(series, summary="Rounds"),
    }
    for act in acts.values():
        act()
        before, seen = seen, await at_google.list(seen.cursor)
        assert set(seen.seen) == {series}
        assert seen.seen[series].version != before.seen[series].version
        assert not seen.missing
    moved = Timed(start=samples.at("2026-12-08T14:00"), zone=LA, seconds=3600)
    fields = seen.seen[series].fields
    assert fields["title"] == "Rounds"
    assert fields["occurrences"] == Occurrences(
        {
            "2026-12-07T09:00:00": Occurrence(fields={"when": moved}),
            "2026-12-14T09:00:00": Occurrence(cancelled=True),
        }
    )
    assert (await read(at_google, series)).fields == fields


async def test_a_deleted_series_is_gone_with_its_visits(at_google):
    google = at_google.server
    series = google.add(summary="Round", recurrence=WEEKLY)
    google.edit(f"{series}_20261207T170000Z", summary="Second")
    cursor = (await at_google.list()).cursor
    google.delete(series)
    gone = await at_google.list(cursor)
    assert series in gone.missing
    assert not gone.seen
    assert isinstance(await read(at_google, series), Missing)


async def test_a_series_that_ends_early_loses_the_visits_after(at_google):
    google = at_google.server
    series = google.add(summary="Round", recurrence=WEEKLY)
    google.edit(f"{series}_20261214T170000Z", summary="Third")
    cursor = (await at_google.list()).cursor
    google.edit(series, recurrence=["RRULE:FREQ=WEEKLY;COUNT=2"])
    seen = (await at_google.list(cursor)).seen[series]
    assert seen.fields["occurrences"] == Occurrences({})


async def test_one_visit_of_a_series_that_is_not_here_stands_alone(at_google):
    google = at_google.server
    id_ = google.add(summary="One visit", recurrence=WEEKLY)
    visit_id = f"{id_}_20261207T170000Z"
    google.edit(visit_id, summary="Only this")
    at_google.proxy.rule(Rewrite(f'"recurringEventId":"{id_}"', '"recurringEventId":"elsewhere"'))
    listed = await at_google.list()
    assert listed.seen[visit_id].fields["title"] == "Only this"
    assert listed.seen[visit_id].fields["when"].rule is None


async def test_a_calendar_that_is_not_shared_any_more_says_nothing_about_its_events(at_google):
    google = at_google.server
    id_ = google.add(summary="Visit")
    cursor = (await at_google.list()).cursor
    rules = google.system.records["acl"]
    rules.remove(f"user:{google.office}", {"calendar": google.ana})
    for act in (
        lambda: at_google.list(cursor),
        at_google.list,
        lambda: read(at_google, id_),
    ):
        with pytest.raises(GiveUp) as caught:
            await act()
        assert_sentence(caught.value.says)
        assert google.ana in caught.value.says


async def test_an_event_without_the_right_form_is_named_and_the_others_flow(at_google):
    google = at_google.server
    good, bad = google.add(summary="Good"), google.add(summary="Bad")
    at_google.proxy.rule(Rewrite('"summary":"Bad"', '"summary":7'))
    listed = await at_google.list()
    assert set(listed.seen) == {good}
    assert set(listed.unreadable) == {bad}
    assert_sentence(listed.unreadable[bad].reason)
    assert isinstance(await read(at_google, bad), Unreadable)


@pytest.mark.behaviour("CAL-7")
async def test_of_private_events_only_the_time_is_read(at_google):
    google = at_google.server
    private = google.add(
        summary="Doctor", description="secret", location="secret", visibility="private"
    )
    listed = (await at_google.list()).seen[private]
    assert {name for name, value in listed.fields.items() if value is not None} == {
        "when",
        "status",
        "busy",
        "private",
    }
    assert listed.fields["busy"] is True
    for said in (listed.raw, str(listed).encode()):
        assert b"secret" not in said
        assert b"Doctor" not in said


async def test_a_calendar_that_shows_only_busy_times_is_read_as_that(at_google):
    google = at_google.server
    google.add(summary="Doctor", calendar=google.others[0])
    rules = google.system.records["acl"]
    rules.edit(f"user:{google.office}", {"role": "freeBusyReader"}, {"calendar": google.others[0]})
    scopes = await at_google.connector.scopes(at_google.session)
    ben = next(one for one in scopes if one.id == google.others[0])
    assert not ben.writable
    pages = [page async for page in at_google.resource.listing(at_google.session, ben, None)]
    (seen,) = pages[-1].items
    assert "title" not in seen.fields
    assert seen.fields["busy"] is True


async def test_times_off_are_read_and_never_edited_and_places_are_not_read(at_google):
    google = at_google.server
    whole = {"start": {"date": "2026-12-24"}, "end": {"date": "2026-12-25"}}
    away = google.add(summary="Away", eventType="outOfOffice")
    google.add(eventType="workingLocation", workingLocationProperties={"type": "x"}, **whole)
    listed = (await at_google.list()).seen
    assert set(listed) == {away}
    assert not listed[away].owned


async def test_an_invitation_is_read_and_never_edited(at_google):
    google = at_google.server
    theirs = google.add(
        summary="Meeting", calendar=google.others[0], attendees=[{"email": google.ana}]
    )
    listed = (await at_google.list()).seen
    assert listed[theirs].fields["title"] == "Meeting"
    assert not listed[theirs].owned


async def test_the_hubs_mark_is_found(at_google):
    google = at_google.server
    properties = {"private": {"truckrollLink": "7f"}}
    mine = google.add(summary="Mine", extendedProperties=properties)
    google.add(summary="Other")
    found = await at_google.resource.find(at_google.session, at_google.scope, "7f")
    assert isinstance(found, Seen)
    assert (found.id, found.mark) == (mine, "7f")
    google.delete(mine)
    assert await at_google.resource.find(at_google.session, at_google.scope, "7f") is None


async def test_calendars_are_named_as_their_owner_sees_them(at_google):
    google = at_google.server
    scopes = {one.id: one for one in await at_google.connector.scopes(at_google.session)}
    assert scopes[google.office].owner == google.office
    assert scopes[google.ana].owner == google.ana
    entries = google.system.records["calendar-list"]
    entries.edit(google.ana, {"summaryOverride": "Ana's visits"}, {})
    named = {one.id: one.title for one in await at_google.connector.scopes(at_google.session)}
    assert named[google.ana] == "Ana's visits"


async def test_a_crews_calendar_belongs_to_whoever_made_it(at_google):
    google = at_google.server
    crew = google.system.records["calendars"].add({"summary": "Crew North"}, {})["id"]
    scopes = {one.id: one for one in await at_google.connector.scopes(at_google.session)}
    assert (scopes[crew].title, scopes[crew].owner) == ("Crew North", google.office)


async def test_an_account_without_calendars_says_so(at_google):
    empty = {"kind": "calendar#calendarList", "items": []}
    answer = Status(200, json.dumps(empty), "application/json")
    at_google.proxy.rule(answer, path="calendarList")
    with pytest.raises(GiveUp) as caught:
        await at_google.connector.scopes(at_google.session)
    assert_sentence(caught.value.says)


@pytest.mark.fault("F31")
@pytest.mark.parametrize("reason", ["userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded"])
async def test_too_much_at_once_is_waited_for_and_then_the_callers(at_google, reason):
    refused = {"error": {"errors": [{"reason": reason, "message": "Slow down."}], "code": 403}}
    answer = Status(403, json.dumps(refused), "application/json", {"Retry-After": "2"})
    at_google.proxy.rule(answer, nth=1)
    assert (await at_google.list()).complete
    at_google.proxy.clear()
    at_google.proxy.rule(Status(403, json.dumps(refused), "application/json"))
    with pytest.raises(RetryLater) as caught:
        await at_google.list()
    assert_sentence(caught.value.says)
