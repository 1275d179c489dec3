import pytest

from sim.google_world import ZONE, refused, timed

pytestmark = pytest.mark.shared

VISIT = timed("2026-11-04T09:00:00", "2026-11-04T10:30:00", summary="AC tune-up")


@pytest.fixture
def events(google):
    return google.client().events()


def test_an_event_is_as_it_was_written_with_the_offset_of_its_zone(google, events):
    made = events.insert(calendarId=google.ana, body={**VISIT, "id": "trk7h2q0v9e5m1"}).execute()
    assert made["start"] == {"dateTime": "2026-11-04T09:00:00-08:00", "timeZone": ZONE}
    assert made["iCalUID"] == "trk7h2q0v9e5m1@google.com"
    assert (made["creator"], made["organizer"]) == (
        {"email": google.office},
        {"email": google.ana, "self": True},
    )
    assert events.get(calendarId=google.ana, eventId=made["id"]).execute() == made
    told = events.get(calendarId=google.ana, eventId=made["id"], timeZone="Europe/Berlin").execute()
    assert told["start"] == {"dateTime": "2026-11-04T18:00:00+01:00", "timeZone": ZONE}


def test_an_own_id_is_taken_once_and_stays_taken_after_deletion(google, events):
    body = {**VISIT, "id": "trk7h2q0v9e5m1"}
    events.insert(calendarId=google.ana, body=body).execute()
    assert refused(events.insert(calendarId=google.ana, body=body)) == (409, "duplicate")
    events.delete(calendarId=google.ana, eventId=body["id"]).execute()
    assert refused(events.insert(calendarId=google.ana, body=body)) == (409, "duplicate")
    # … but only on that calendar.
    events.insert(calendarId=google.ben, body=body).execute()
    for bad in ("abc", "TRK7H2Q0", "trk-7h2q0", "xyzzy"):
        assert refused(events.insert(calendarId=google.ana, body={**VISIT, "id": bad}))[0] == 400


def test_a_deleted_event_is_gone_but_still_told_and_can_come_back(google, events):
    made = events.insert(calendarId=google.ana, body=VISIT).execute()
    where = {"calendarId": google.ana, "eventId": made["id"]}
    events.delete(**where).execute()
    assert refused(events.delete(**where)) == (410, "deleted")
    assert events.get(**where).execute()["status"] == "cancelled"
    assert events.list(calendarId=google.ana).execute()["items"] == []
    revived = events.patch(**where, body={"status": "confirmed"}).execute()
    assert (revived["status"], revived["summary"]) == ("confirmed", "AC tune-up")
    assert refused(events.delete(calendarId=google.ana, eventId="nosuchevent")) == (404, "notFound")


def test_a_patch_merges_and_an_update_replaces(google, events):
    body = {
        **VISIT,
        "description": "Job 48213",
        "location": "100 W Broadway",
        "extendedProperties": {"private": {"a": "1", "b": "2"}},
    }
    made = events.insert(calendarId=google.ana, body=body).execute()
    where = {"calendarId": google.ana, "eventId": made["id"]}
    change = {"location": None, "extendedProperties": {"private": {"a": "3", "b": None}}}
    patched = events.patch(**where, body=change).execute()
    assert patched["description"] == "Job 48213"
    assert "location" not in patched
    assert patched["extendedProperties"] == {"private": {"a": "3"}}
    updated = events.update(**where, body=VISIT).execute()
    assert updated["summary"] == "AC tune-up"
    assert not {"description", "extendedProperties"} & set(updated)
    assert (updated["id"], updated["created"]) == (made["id"], made["created"])
    assert refused(events.update(**where, body={"summary": "x"})) == (400, "required")


def test_a_stale_condition_is_refused_and_a_fresh_one_met(google, events):
    made = events.insert(calendarId=google.ana, body=VISIT).execute()
    where = {"calendarId": google.ana, "eventId": made["id"]}
    later = events.patch(**where, body={"summary": "x"}).execute()
    assert later["etag"] != made["etag"]
    stale = {"If-Match": made["etag"]}
    for request in (
        events.patch(**where, body={"summary": "y"}),
        events.update(**where, body=VISIT),
        events.delete(**where),
    ):
        assert refused(request, stale) == (412, "conditionNotMet")
    request = events.delete(**where)
    request.headers["If-Match"] = later["etag"]
    request.execute()


def test_changing_reminders_leaves_updated_alone(google, events):
    made = events.insert(calendarId=google.ana, body=VISIT).execute()
    google.advance(minutes=5)
    where = {"calendarId": google.ana, "eventId": made["id"]}
    reminders = {"useDefault": False, "overrides": [{"method": "popup", "minutes": 30}]}
    quiet = events.patch(**where, body={"reminders": reminders}).execute()
    assert (quiet["reminders"], quiet["updated"]) == (reminders, made["updated"])
    assert quiet["etag"] != made["etag"]
    loud = events.patch(**where, body={"summary": "x"}).execute()
    assert loud["updated"] > made["updated"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"start": None}, "required"),
        ({"end": {"date": "2026-11-05"}}, "invalid"),
        ({"start": {"date": "2026-11-04", "dateTime": "2026-11-04T09:00:00Z"}}, "invalid"),
        ({"start": {"dateTime": "2026-11-04T09:00:00"}}, "required"),
        ({"start": {"dateTime": "2026-11-04T09:00:00", "timeZone": "Mars/Olympus"}}, "invalid"),
        ({"end": {"dateTime": "2026-11-04T08:00:00-08:00"}}, "timeRangeEmpty"),
        ({"status": "done"}, "invalid"),
        ({"colorId": "12"}, "invalid"),
        ({"attendees": [{"displayName": "Bob"}]}, "required"),
        ({"recurrence": ["DTSTART:20261104T090000Z"]}, "invalid"),
        ({"recurrence": ["RRULE:FREQ=NEVER"]}, "invalid"),
        (
            {
                "reminders": {
                    "useDefault": False,
                    "overrides": [{"method": "popup", "minutes": 1}] * 6,
                }
            },
            "invalid",
        ),
        ({"extendedProperties": {"private": {"k" * 45: "v"}}}, "invalid"),
        ({"eventType": "fromGmail"}, "eventTypeRestriction"),
        ({"id": "abcde", "iCalUID": "abc@example.com"}, "invalid"),
    ],
)
def test_bad_values_are_refused(google, events, change, reason):
    assert refused(events.insert(calendarId=google.ana, body={**VISIT, **change})) == (400, reason)


def test_all_day_has_dates_and_no_zone_and_is_switched_with_null(google, events):
    body = {"start": {"date": "2026-11-04"}, "end": {"date": "2026-11-06"}}
    made = events.insert(calendarId=google.ana, body=body).execute()
    assert (made["start"], made["end"]) == ({"date": "2026-11-04"}, {"date": "2026-11-06"})
    where = {"calendarId": google.ana, "eventId": made["id"]}
    times = {side: VISIT[side] for side in ("start", "end")}
    assert refused(events.patch(**where, body=times)) == (400, "invalid")
    nulled = {side: {**VISIT[side], "date": None} for side in ("start", "end")}
    assert events.patch(**where, body=nulled).execute()["start"]["dateTime"].endswith("-08:00")


def test_a_window_bounds_the_end_below_and_the_start_above(google, events):
    made = events.insert(calendarId=google.ana, body=VISIT).execute()

    def within(low, high):
        window = {"timeMin": f"2026-11-04T{low}-08:00", "timeMax": f"2026-11-04T{high}-08:00"}
        return events.list(calendarId=google.ana, **window).execute()["items"]

    assert within("10:29:59", "23:00:00") == [made]
    assert within("10:30:00", "23:00:00") == []
    assert within("08:00:00", "09:00:00") == []
    assert within("08:00:00", "09:00:01") == [made]
    window = {"timeMin": "2026-11-04T10:00:00Z", "timeMax": "2026-11-04T09:00:00Z"}
    assert refused(events.list(calendarId=google.ana, **window)) == (400, "timeRangeEmpty")


def test_events_are_found_by_own_key_and_by_ical_uid(google, events):
    marked = {**VISIT, "extendedProperties": {"private": {"truckrollVisit": "V-1", "x": "1"}}}
    made = events.insert(calendarId=google.ana, body=marked).execute()
    events.insert(calendarId=google.ana, body=VISIT).execute()

    def ids(**query):
        found = events.list(calendarId=google.ana, **query).execute()
        assert "nextSyncToken" not in found
        return [one["id"] for one in found["items"]]

    assert ids(privateExtendedProperty=["truckrollVisit=V-1", "x=1"]) == [made["id"]]
    assert ids(privateExtendedProperty=["truckrollVisit=V-1", "x=2"]) == []
    assert ids(iCalUID=made["iCalUID"]) == [made["id"]]
    assert len(ids(q="tune-UP")) == 2


def test_pages_hold_all_and_only_the_last_has_a_sync_token(google, events):
    for number in range(7):
        events.insert(calendarId=google.ana, body={**VISIT, "summary": str(number)}).execute()
    request, pages = events.list(calendarId=google.ana, maxResults=3), []
    while request is not None:
        pages.append(request.execute())
        request = events.list_next(request, pages[-1])
    assert [[one["summary"] for one in page["items"]] for page in pages] == [
        ["0", "1", "2"],
        ["3", "4", "5"],
        ["6"],
    ]
    assert ["nextSyncToken" in page for page in pages] == [False, False, True]
    assert refused(events.list(calendarId=google.ana, pageToken="x"))[0] == 400


def test_orders(google, events):
    for day, name in ((6, "c"), (4, "a"), (5, "b")):
        google.advance(minutes=1)
        times = timed(f"2026-11-0{day}T09:00:00", f"2026-11-0{day}T10:00:00")
        events.insert(calendarId=google.ana, body={**times, "summary": name}).execute()

    def order(**query):
        return [
            one["summary"] for one in events.list(calendarId=google.ana, **query).execute()["items"]
        ]

    assert order(orderBy="startTime", singleEvents=True) == ["a", "b", "c"]
    assert order(orderBy="updated") == ["c", "a", "b"]
    assert refused(events.list(calendarId=google.ana, orderBy="startTime"))[0] == 400


def test_a_moved_event_is_the_other_calendars(google, events):
    made = events.insert(calendarId=google.ana, body=VISIT).execute()
    moved = events.move(calendarId=google.ana, eventId=made["id"], destination=google.ben).execute()
    assert moved["organizer"] == {"email": google.ben, "self": True}
    assert events.get(calendarId=google.ana, eventId=made["id"]).execute()["status"] == "cancelled"
    assert [one["id"] for one in events.list(calendarId=google.ben).execute()["items"]] == [
        made["id"]
    ]


def test_an_imported_event_invites_nobody(google, events):
    body = {
        **VISIT,
        "iCalUID": "outside-1@other.example",
        "organizer": {"email": "boss@other.example"},
        "attendees": [{"email": google.ben}],
    }
    made = events.import_(calendarId=google.ana, body=body).execute()
    assert (made["iCalUID"], made["organizer"]["email"]) == (body["iCalUID"], "boss@other.example")
    assert events.list(calendarId=google.ben).execute()["items"] == []
    assert google.outbox() == []
    again = events.import_(calendarId=google.ana, body={**body, "summary": "x"}).execute()
    assert (again["id"], again["summary"]) == (made["id"], "x")
    assert refused(events.import_(calendarId=google.ana, body=VISIT)) == (400, "required")
