import pytest

from sim.google_world import read, refused, timed

pytestmark = pytest.mark.shared

VISIT = timed("2026-11-04T09:00:00", "2026-11-04T10:30:00", summary="AC tune-up")


@pytest.fixture
def events(google):
    return google.client().events()


def make(events, calendar, **more):
    return events.insert(calendarId=calendar, body={**VISIT, **more}).execute()


def test_a_sync_token_brings_each_change_once_in_its_present_state(google, events):
    first, second = make(events, google.ana), make(events, google.ana)
    items, token = read(events, google.ana)
    assert items == [first, second]
    assert read(events, google.ana, syncToken=token)[0] == []
    events.patch(calendarId=google.ana, eventId=first["id"], body={"summary": "x"}).execute()
    last = events.patch(calendarId=google.ana, eventId=first["id"], body={"summary": "y"}).execute()
    third = make(events, google.ana)
    events.delete(calendarId=google.ana, eventId=second["id"]).execute()
    items, token = read(events, google.ana, syncToken=token, maxResults=1)
    tombstone = {name: items[1][name] for name in ("kind", "etag", "id", "status")}
    assert items == [last, tombstone, third]
    assert (tombstone["id"], tombstone["status"]) == (second["id"], "cancelled")
    assert read(events, google.ana, syncToken=token)[0] == []


def test_what_changes_between_two_pages_is_in_the_next_sync(google, events):
    made = [make(events, google.ana) for _ in range(4)]
    request = events.list(calendarId=google.ana, maxResults=2)
    page = request.execute()
    events.patch(calendarId=google.ana, eventId=made[0]["id"], body={"summary": "x"}).execute()
    events.delete(calendarId=google.ana, eventId=made[3]["id"]).execute()
    page = events.list_next(request, page).execute()
    assert [one["id"] for one in page["items"]] == [made[2]["id"]]
    items, _ = read(events, google.ana, syncToken=page["nextSyncToken"])
    assert {one["id"] for one in items} == {made[0]["id"], made[3]["id"]}


def test_a_full_read_has_no_tombstones_unless_asked(google, events):
    made = make(events, google.ana)
    events.delete(calendarId=google.ana, eventId=made["id"]).execute()
    assert read(events, google.ana)[0] == []
    [told] = read(events, google.ana, showDeleted=True)[0]
    assert (told["id"], told["status"]) == (made["id"], "cancelled")


@pytest.mark.parametrize(
    "query",
    [
        {"iCalUID": "x@google.com"},
        {"orderBy": "updated"},
        {"privateExtendedProperty": ["a=b"]},
        {"sharedExtendedProperty": ["a=b"]},
        {"q": "x"},
        {"timeMin": "2026-11-04T00:00:00Z"},
        {"timeMax": "2026-11-04T00:00:00Z"},
        {"updatedMin": "2026-11-01T00:00:00Z"},
        {"showDeleted": False},
        {"singleEvents": True},
    ],
)
def test_a_sync_token_goes_with_no_other_filter(google, events, query):
    _, token = read(events, google.ana)
    assert refused(events.list(calendarId=google.ana, syncToken=token, **query))[0] == 400


def test_a_token_of_a_read_of_a_window_goes_on_without_it(google, events):
    make(events, google.ana)
    items, token = read(events, google.ana, timeMin="2026-12-01T00:00:00Z")
    assert items == []
    made = make(events, google.ana)
    assert [one["id"] for one in read(events, google.ana, syncToken=token)[0]] == [made["id"]]


def test_an_expired_token_is_gone(google, events):
    _, token = read(events, google.ana)
    assert refused(events.list(calendarId=google.ana, syncToken="xyz")) == (410, "fullSyncRequired")
    assert refused(events.list(calendarId=google.ben, syncToken=token)) == (410, "fullSyncRequired")
    google.sim("POST", "faults", {"kind": "cursor", "times": 1})
    assert refused(events.list(calendarId=google.ana, syncToken=token)) == (410, "fullSyncRequired")
    assert read(events, google.ana, syncToken=token)[0] == []
    google.advance(days=31)
    events = google.client().events()
    assert refused(events.list(calendarId=google.ana, syncToken=token)) == (410, "fullSyncRequired")


def test_too_old_a_modification_time_is_gone(google, events):
    made = make(events, google.ana)
    events.delete(calendarId=google.ana, eventId=made["id"]).execute()
    told = events.list(calendarId=google.ana, updatedMin="2026-11-01T00:00:00Z").execute()
    assert [one["status"] for one in told["items"]] == ["cancelled"]
    request = events.list(calendarId=google.ana, updatedMin="2026-09-01T00:00:00Z")
    assert refused(request) == (410, "updatedMinTooLongAgo")


def test_a_late_list_hides_a_write_and_its_token_does_not_lose_it(google, events):
    old = make(events, google.ana)
    google.advance(minutes=10)
    google.sim("POST", "faults", {"kind": "stale", "seconds": 60, "path": "*/events"})
    made = make(events, google.ana)
    items, token = read(events, google.ana)
    assert items == [old]
    # What is read by its id is never late.
    assert events.get(calendarId=google.ana, eventId=made["id"]).execute() == made
    google.advance(minutes=2)
    assert read(events, google.ana, syncToken=token)[0] == [made]


def test_lists_of_calendars_and_rules_sync_too(google):
    client = google.client()
    entries, token = client.calendarList().list().execute(), None
    assert [one["id"] for one in entries["items"]] == [
        google.office,
        google.ana,
        google.ben,
        google.chu,
    ]
    token = entries["nextSyncToken"]
    made = (
        client.calendars()
        .insert(body={"summary": "Crew North", "timeZone": "America/Denver"})
        .execute()
    )
    client.calendarList().delete(calendarId=google.chu).execute()
    changed = client.calendarList().list(syncToken=token).execute()["items"]
    assert [(one["id"], one.get("deleted", False)) for one in changed] == [
        (google.chu, True),
        (made["id"], False),
    ]
    request = client.calendarList().list(syncToken=token, minAccessRole="owner")
    assert refused(request)[0] == 400
    rules = client.acl().list(calendarId=made["id"]).execute()
    domain = {"role": "reader", "scope": {"type": "domain", "value": "acme-hvac.example"}}
    rule = client.acl().insert(calendarId=made["id"], body=domain).execute()
    assert rule["id"] == "domain:acme-hvac.example"
    client.acl().delete(calendarId=made["id"], ruleId=rule["id"]).execute()
    later = client.acl().list(calendarId=made["id"], syncToken=rules["nextSyncToken"]).execute()
    assert [(one["id"], one["role"]) for one in later["items"]] == [(rule["id"], "none")]
    assert refused(client.acl().list(calendarId=made["id"], syncToken="x"))[0] == 410
    settings = client.settings().list().execute()
    assert {"id": "timezone", "value": "America/Los_Angeles"}.items() <= settings["items"][
        -1
    ].items()
    assert client.settings().get(setting="timezone").execute()["value"] == "America/Los_Angeles"
