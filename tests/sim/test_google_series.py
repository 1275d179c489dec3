from datetime import datetime

import pytest

from sim.google_world import ZONE, read, refused, timed

pytestmark = pytest.mark.shared


@pytest.fixture
def events(google):
    return google.client().events()


def weekly(events, calendar, count=4, begin="2026-10-26T09:00:00", end="2026-10-26T10:00:00"):
    rule = [f"RRULE:FREQ=WEEKLY;COUNT={count}"]
    body = timed(begin, end, recurrence=rule, summary="Maintenance")
    return events.insert(calendarId=calendar, body=body).execute()


def starts(items):
    return [one["start"]["dateTime"] for one in items]


def instances(events, calendar, series, **query):
    found = events.instances(calendarId=calendar, eventId=series["id"], **query).execute()
    return found["items"]


def test_a_weekly_visit_keeps_its_wall_time_when_the_clocks_go_back(google, events):
    series = weekly(events, google.ana)
    found = instances(events, google.ana, series)
    assert starts(found) == [
        "2026-10-26T09:00:00-07:00",
        "2026-11-02T09:00:00-08:00",
        "2026-11-09T09:00:00-08:00",
        "2026-11-16T09:00:00-08:00",
    ]
    assert [one["id"] for one in found[:2]] == [
        f"{series['id']}_20261026T160000Z",
        f"{series['id']}_20261102T170000Z",
    ]
    assert {one["recurringEventId"] for one in found} == {series["id"]}
    assert found[1]["originalStartTime"] == {
        "dateTime": "2026-11-02T09:00:00-08:00",
        "timeZone": ZONE,
    }
    assert all("recurrence" not in one for one in found)


def test_and_when_they_go_forward_also_through_the_hour_that_is_not_there(google, events):
    series = weekly(events, google.ana, 3, "2027-03-07T02:30:00", "2027-03-07T03:30:00")
    found = instances(events, google.ana, series)
    # 02:30 does not exist on 14 March 2027: as with RFC 5545, the offset before holds.
    instants = [datetime.fromisoformat(one).timestamp() for one in starts(found)]
    assert starts(found)[0::2] == ["2027-03-07T02:30:00-08:00", "2027-03-21T02:30:00-07:00"]
    assert starts(found)[1] == "2027-03-14T03:30:00-07:00"
    lengths = {
        datetime.fromisoformat(one["end"]["dateTime"]).timestamp() - at
        for one, at in zip(found, instants, strict=True)
    }
    assert lengths == {3600}


def test_a_moved_occurrence_is_an_exception_and_a_deleted_one_a_tombstone(google, events):
    series = weekly(events, google.ana)
    _, token = read(events, google.ana)
    first, second, third, fourth = instances(events, google.ana, series)
    moved = {
        **timed("2026-11-03T14:00:00", "2026-11-03T15:00:00"),
        "summary": "Only this one",
    }
    changed = events.patch(calendarId=google.ana, eventId=second["id"], body=moved).execute()
    assert changed["originalStartTime"] == second["originalStartTime"]
    events.delete(calendarId=google.ana, eventId=third["id"]).execute()
    left = instances(events, google.ana, series)
    assert [one["summary"] for one in left] == ["Maintenance", "Only this one", "Maintenance"]
    with_deleted = instances(events, google.ana, series, showDeleted=True)
    assert [one["status"] for one in with_deleted].count("cancelled") == 1
    # Incrementally: the exception and the tombstone, not the series, which did not change.
    items, _ = read(events, google.ana, syncToken=token)
    assert [one["id"] for one in items] == [second["id"], third["id"]]
    assert items[1] == {
        "kind": "calendar#event",
        "etag": items[1]["etag"],
        "id": third["id"],
        "status": "cancelled",
        "recurringEventId": series["id"],
        "originalStartTime": third["originalStartTime"],
    }
    # A full read has both, the cancelled one as long as its series lives.
    full, _ = read(events, google.ana)
    assert [one["id"] for one in full] == [series["id"], second["id"], third["id"]]
    single = events.list(calendarId=google.ana, singleEvents=True, orderBy="startTime").execute()
    assert [one["id"] for one in single["items"]] == [first["id"], second["id"], fourth["id"]]
    events.delete(calendarId=google.ana, eventId=series["id"]).execute()
    assert read(events, google.ana)[0] == []


def test_an_exception_keeps_what_it_changed_and_follows_in_the_rest(google, events):
    series = weekly(events, google.ana)
    second = instances(events, google.ana, series)[1]
    where = {"calendarId": google.ana}
    events.patch(**where, eventId=second["id"], body={"summary": "Mine"}).execute()
    events.patch(**where, eventId=series["id"], body={"summary": "x", "location": "here"}).execute()
    told = events.get(**where, eventId=second["id"]).execute()
    assert (told["summary"], told["location"]) == ("Mine", "here")
    assert refused(events.get(**where, eventId=f"{series['id']}_20261103T170000Z")) == (
        404,
        "notFound",
    )


def test_this_and_all_following(google, events):
    series = weekly(events, google.ana, 6)
    _, token = read(events, google.ana)
    before = starts(instances(events, google.ana, series))
    fifth = instances(events, google.ana, series)[4]
    moved = timed("2026-11-24T09:30:00", "2026-11-24T10:30:00")
    events.patch(calendarId=google.ana, eventId=fifth["id"], body=moved).execute()
    # As clients do it: the old rule ends before the cut, and a new series takes over.
    cut = {"recurrence": ["RRULE:FREQ=WEEKLY;UNTIL=20261109T165959Z"]}
    old = events.patch(calendarId=google.ana, eventId=series["id"], body=cut).execute()
    new = weekly(events, google.ana, 4, "2026-11-09T13:00:00", "2026-11-09T14:00:00")
    assert starts(instances(events, google.ana, old)) == before[:2]
    assert len(instances(events, google.ana, new)) == 4
    items, _ = read(events, google.ana, syncToken=token)
    told = {one["id"]: one["status"] for one in items}
    assert told == {old["id"]: "confirmed", new["id"]: "confirmed", fifth["id"]: "cancelled"}
    single = events.list(calendarId=google.ana, singleEvents=True).execute()["items"]
    assert len(single) == 6


def test_single_events_tell_of_occurrences_that_went_with_the_rule(google, events):
    series = weekly(events, google.ana, 4)
    items, token = read(events, google.ana, singleEvents=True)
    assert len(items) == 4
    cut = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"]}
    events.patch(calendarId=google.ana, eventId=series["id"], body=cut).execute()
    items, _ = read(events, google.ana, singleEvents=True, syncToken=token)
    assert sorted(one["status"] for one in items) == ["cancelled"] * 2 + ["confirmed"] * 2


def test_a_condition_holds_for_an_occurrence_by_rule_alone(google, events):
    series = weekly(events, google.ana)
    second = instances(events, google.ana, series)[1]
    events.patch(calendarId=google.ana, eventId=series["id"], body={"summary": "x"}).execute()
    request = events.patch(calendarId=google.ana, eventId=second["id"], body={"summary": "y"})
    assert refused(request, {"If-Match": second["etag"]}) == (412, "conditionNotMet")


def test_rules_with_exdate_rdate_all_day_and_no_end(google, events):
    body = {
        "start": {"date": "2026-11-02"},
        "end": {"date": "2026-11-03"},
        "recurrence": [
            "RRULE:FREQ=DAILY;UNTIL=20261105T000000Z",
            "EXDATE;VALUE=DATE:20261103",
            "RDATE;VALUE=DATE:20261110",
        ],
    }
    series = events.insert(calendarId=google.ana, body=body).execute()
    found = instances(events, google.ana, series)
    assert [one["start"]["date"] for one in found] == [
        "2026-11-02",
        "2026-11-04",
        "2026-11-05",
        "2026-11-10",
    ]
    assert found[0]["id"] == f"{series['id']}_20261102"
    endless = timed(
        "2026-11-02T09:00:00",
        "2026-11-02T10:00:00",
        recurrence=["EXDATE;TZID=America/Los_Angeles:20261103T090000", "RRULE:FREQ=DAILY"],
    )
    series = events.insert(calendarId=google.ben, body=endless).execute()
    window = {"timeMin": "2026-11-02T00:00:00Z", "timeMax": "2026-11-06T00:00:00Z"}
    assert len(instances(events, google.ben, series, **window)) == 3
    far = {"timeMin": "2027-11-02T00:00:00Z"}
    assert [one["id"] for one in read(events, google.ben, **far)[0]] == [series["id"]]


@pytest.mark.parametrize("start", [{"dateTime": "2026-11-02T09:00:00-08:00"}])
def test_a_series_says_its_zone(google, events, start):
    end = {"dateTime": "2026-11-02T10:00:00-08:00"}
    body = {"start": start, "end": end, "recurrence": ["RRULE:FREQ=DAILY;COUNT=2"]}
    assert refused(events.insert(calendarId=google.ana, body=body)) == (400, "required")


def test_a_rule_every_second_is_walked_only_so_far(google, events):
    rule = ["RRULE:FREQ=SECONDLY;COUNT=1000000000"]
    body = timed("2026-11-02T09:00:00", "2026-11-02T09:00:01", recurrence=rule)
    series = events.insert(calendarId=google.ana, body=body).execute()
    found = events.instances(calendarId=google.ana, eventId=series["id"], maxResults=2).execute()
    assert len(found["items"]) == 2
    assert "nextPageToken" in found
