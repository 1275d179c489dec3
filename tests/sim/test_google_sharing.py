import pytest

from sim.google_world import refused, timed

pytestmark = pytest.mark.shared

VISIT = timed("2026-11-04T09:00:00", "2026-11-04T10:30:00", summary="AC tune-up")
DENTIST = timed(
    "2026-11-04T12:00:00", "2026-11-04T13:00:00", summary="Dentist", visibility="private"
)


def share(google, calendar, role, account):
    """Let an account have a role on a calendar, and return its client."""
    owner = google.client(calendar)
    rule = {"role": role, "scope": {"type": "user", "value": account}}
    owner.acl().insert(calendarId=calendar, body=rule, sendNotifications=False).execute()
    return google.client(account)


def test_private_events_are_busy_only_for_readers(google):
    owner = google.client(google.ana).events()
    dentist = owner.insert(calendarId="primary", body=DENTIST).execute()
    owner.insert(calendarId="primary", body=VISIT).execute()
    reader = share(google, google.ana, "reader", google.ben).events()
    shown = reader.list(calendarId=google.ana, orderBy="startTime", singleEvents=True).execute()
    assert shown["accessRole"] == "reader"
    visit, private = shown["items"]
    assert visit["summary"] == "AC tune-up"
    assert (private["start"], private["visibility"]) == (dentist["start"], "private")
    assert not {"summary", "description", "location", "attendees", "creator"} & set(private)
    reader = share(google, google.ana, "freeBusyReader", google.ben).events()
    shown = reader.list(calendarId=google.ana).execute()["items"]
    assert not any("summary" in one for one in shown)
    writer = share(google, google.ana, "writerWithoutPrivateAccess", google.ben).events()
    where = {"calendarId": google.ana, "eventId": dentist["id"]}
    assert "summary" not in writer.get(**where).execute()
    assert refused(writer.patch(**where, body={"summary": "x"})) == (403, "forbidden")
    writer = share(google, google.ana, "writer", google.ben).events()
    assert writer.get(**where).execute()["summary"] == "Dentist"


def test_roles_are_needed(google):
    ben = google.client(google.ben)
    assert refused(ben.events().list(calendarId=google.ana)) == (404, "notFound")
    reader = share(google, google.ana, "reader", google.ben)
    assert refused(reader.events().insert(calendarId=google.ana, body=VISIT)) == (403, "forbidden")
    assert refused(reader.acl().list(calendarId=google.ana)) == (403, "forbidden")
    writer = share(google, google.ana, "writer", google.ben)
    rule = {"role": "owner", "scope": {"type": "user", "value": google.chu}}
    assert refused(writer.acl().insert(calendarId=google.ana, body=rule)) == (403, "forbidden")
    assert refused(writer.calendars().delete(calendarId=google.ana)) == (403, "forbidden")


def test_a_calendar_is_shared_with_all_the_organisation_and_put_into_a_list(google):
    office = google.client()
    crew = office.calendars().insert(body={"summary": "Crew North"}).execute()
    domain = {"role": "reader", "scope": {"type": "domain", "value": "acme-hvac.example"}}
    where = {"calendarId": crew["id"]}
    assert office.acl().insert(**where, body=domain).execute()["id"] == "domain:acme-hvac.example"
    again = office.acl().insert(**where, body={**domain, "role": "writer"}).execute()
    assert again["role"] == "writer"
    assert len(office.acl().list(**where).execute()["items"]) == 2
    ana = google.client(google.ana)
    assert ana.events().list(**where).execute()["accessRole"] == "writer"
    listed = [one["id"] for one in ana.calendarList().list().execute()["items"]]
    assert listed == [google.ana]
    entry = ana.calendarList().insert(body={"id": crew["id"], "selected": True}).execute()
    assert (entry["accessRole"], entry["summary"], entry["dataOwner"]) == (
        "writer",
        "Crew North",
        google.office,
    )
    lowered = (
        office.acl().patch(**where, ruleId=again["id"], body={"role": "freeBusyReader"}).execute()
    )
    assert ana.calendarList().get(**where).execute()["accessRole"] == "freeBusyReader"
    office.acl().delete(**where, ruleId=lowered["id"]).execute()
    assert refused(ana.events().list(**where)) == (404, "notFound")
    bad = {"role": "boss", "scope": domain["scope"]}
    assert refused(office.acl().insert(**where, body=bad))[0] == 400
    assert refused(ana.calendarList().insert(body={"id": crew["id"]})) == (404, "notFound")


def test_sharing_with_a_person_is_told_unless_silenced_and_a_removal_never(google):
    office = google.client()
    rule = {"role": "reader", "scope": {"type": "user", "value": google.ana}}
    made = office.acl().insert(calendarId=google.office, body=rule).execute()
    assert google.outbox() == [(google.ana, "shared as reader")]
    office.acl().insert(calendarId=google.office, body=rule, sendNotifications=False).execute()
    office.acl().delete(calendarId=google.office, ruleId=made["id"]).execute()
    assert google.outbox() == []


def test_free_and_busy(google):
    ana = google.client(google.ana).events()
    ana.insert(calendarId="primary", body=DENTIST).execute()
    times = timed("2026-11-04T12:30:00", "2026-11-04T14:00:00")
    ana.insert(calendarId="primary", body=times).execute()
    free = timed("2026-11-04T16:00:00", "2026-11-04T17:00:00", transparency="transparent")
    ana.insert(calendarId="primary", body=free).execute()
    rule = ["RRULE:FREQ=DAILY;COUNT=3"]
    weekly = timed("2026-11-03T08:00:00", "2026-11-03T08:30:00", recurrence=rule)
    ana.insert(calendarId="primary", body=weekly).execute()
    office = google.client()
    asked = {
        "timeMin": "2026-11-04T08:00:00Z",
        "timeMax": "2026-11-05T08:00:00Z",
        "timeZone": "America/Los_Angeles",
        "items": [
            {"id": google.ana},
            {"id": "nobody@acme-hvac.example"},
            {"id": google.company["group"]},
        ],
    }
    told = office.freebusy().query(body=asked).execute()
    assert told["calendars"][google.ana]["busy"] == [
        {"start": "2026-11-04T08:00:00-08:00", "end": "2026-11-04T08:30:00-08:00"},
        {"start": "2026-11-04T12:00:00-08:00", "end": "2026-11-04T14:00:00-08:00"},
    ]
    assert told["calendars"]["nobody@acme-hvac.example"]["errors"][0]["reason"] == "notFound"
    group = told["groups"][google.company["group"]]
    assert group["calendars"] == [google.ana, google.ben, google.chu]
    told = office.freebusy().query(body={**asked, "groupExpansionMax": 2}).execute()
    assert told["groups"][google.company["group"]]["errors"][0]["reason"] == "groupTooBig"
    many = [{"id": f"c{number}@acme-hvac.example"} for number in range(51)]
    assert refused(office.freebusy().query(body={**asked, "items": many}))[0] == 400
    assert refused(office.freebusy().query(body={"items": []}))[0] == 400


def invited(google, *guests, **more):
    return {**VISIT, "attendees": [{"email": one} for one in guests], **more}


def test_nobody_is_told_unless_asked(google):
    events = google.client().events()
    body = invited(google, google.ana, "customer@home.example")
    made = events.insert(calendarId="primary", body=body).execute()
    where = {"calendarId": "primary", "eventId": made["id"]}
    events.patch(**where, body={"summary": "x"}).execute()
    events.update(**where, body=body).execute()
    events.delete(**where).execute()
    assert google.outbox() == []
    events.insert(calendarId="primary", body=body, sendUpdates="externalOnly").execute()
    assert google.outbox() == [("customer@home.example", "invitation")]
    made = events.insert(calendarId="primary", body=body, sendNotifications=True).execute()
    assert google.outbox() == [(google.ana, "invitation"), ("customer@home.example", "invitation")]
    where = {"calendarId": "primary", "eventId": made["id"], "sendUpdates": "all"}
    events.patch(
        **where, body={"attendees": [{"email": google.ana}, {"email": google.ben}]}
    ).execute()
    assert google.outbox() == [
        (google.ben, "invitation"),
        (google.ana, "update"),
        ("customer@home.example", "cancellation"),
    ]
    events.delete(**where).execute()
    assert google.outbox() == [(google.ana, "cancellation"), (google.ben, "cancellation")]


def test_guests_have_copies_that_follow_and_answers_that_travel_back(google):
    office, ana = google.client().events(), google.client(google.ana).events()
    keys = {"extendedProperties": {"private": {"mine": "1"}, "shared": {"ours": "2"}}}
    made = office.insert(
        calendarId="primary", body=invited(google, google.ana, google.ben, **keys)
    ).execute()
    copy = ana.get(calendarId="primary", eventId=made["id"]).execute()
    assert copy["extendedProperties"] == {"shared": {"ours": "2"}}
    assert copy["organizer"] == {"email": google.office}
    assert copy["attendees"][0] == {
        "email": google.ana,
        "responseStatus": "needsAction",
        "self": True,
    }
    where = {"calendarId": "primary", "eventId": made["id"]}
    assert refused(ana.patch(**where, body={"summary": "x"})) == (403, "forbiddenForNonOrganizer")
    answer = [{"email": google.ana, "responseStatus": "accepted"}, {"email": google.ben}]
    ana.patch(**where, body={"attendees": answer, "reminders": {"useDefault": False}}).execute()
    told = office.get(**where).execute()["attendees"]
    assert [one["responseStatus"] for one in told] == ["accepted", "needsAction"]
    office.patch(**where, body={"location": "there"}).execute()
    copy = ana.get(**where).execute()
    assert (copy["location"], copy["reminders"]) == ("there", {"useDefault": False})
    google.client(google.ben).events().delete(**where).execute()
    told = office.get(**where).execute()["attendees"]
    assert [one["responseStatus"] for one in told] == ["accepted", "declined"]
    office.delete(**where).execute()
    assert ana.get(**where).execute()["status"] == "cancelled"


def test_a_van_accepts_what_it_is_free_for(google):
    events, van = google.client().events(), google.company["vans"][0]
    answers = []
    for _ in range(2):
        made = events.insert(calendarId="primary", body=invited(google, van)).execute()
        answers.append(made["attendees"][0]["responseStatus"])
    assert answers == ["accepted", "declined"]


def test_guests_shown_are_limited(google):
    events = google.client().events()
    body = invited(google, google.ana, google.ben, google.office)
    made = events.insert(calendarId="primary", body=body, maxAttendees=1).execute()
    assert made["attendeesOmitted"]
    assert [one["email"] for one in made["attendees"]] == [google.office]


def test_calendars_are_made_changed_cleared_and_deleted(google):
    office = google.client()
    crew = (
        office.calendars().insert(body={"summary": "Crew", "timeZone": "America/Denver"}).execute()
    )
    where = {"calendarId": crew["id"]}
    assert (
        office.calendars().patch(**where, body={"summary": "North"}).execute()["timeZone"]
        == "America/Denver"
    )
    assert (
        office.calendars().update(**where, body={"summary": "South"}).execute()["summary"]
        == "South"
    )
    assert office.calendarList().patch(**where, body={"hidden": True}).execute()["hidden"]
    assert len(office.calendarList().list().execute()["items"]) == 4
    assert len(office.calendarList().list(showHidden=True).execute()["items"]) == 5
    request = office.calendars().transferOwnership(
        **where, newDataOwner=google.ana, useAdminAccess=True
    )
    request.execute()
    assert google.client(google.ana).calendars().get(**where).execute()["dataOwner"] == google.ana
    office.calendars().delete(**where).execute()
    assert refused(office.calendars().get(**where)) == (404, "notFound")
    office.events().insert(calendarId="primary", body=VISIT).execute()
    office.calendars().clear(calendarId="primary").execute()
    assert office.events().list(calendarId="primary").execute()["items"] == []
    assert refused(office.calendars().insert(body={}))[0] == 400


def test_a_guest_of_one_occurrence_has_that_one_alone(google):
    office, ana = google.client().events(), google.client(google.ana).events()
    body = {**VISIT, "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"]}
    series = office.insert(calendarId="primary", body=body).execute()
    where = {"calendarId": "primary", "eventId": series["id"]}
    second = office.instances(**where).execute()["items"][1]
    change = {"attendees": [{"email": google.ana}]}
    office.patch(calendarId="primary", eventId=second["id"], body=change).execute()
    [copy] = ana.list(calendarId="primary").execute()["items"]
    assert (copy["id"], copy["start"], copy["summary"]) == (
        second["id"],
        second["start"],
        "AC tune-up",
    )
    office.delete(calendarId="primary", eventId=second["id"]).execute()
    assert live(ana.list(calendarId="primary").execute()) == []


def live(page):
    return [one for one in page["items"] if one["status"] != "cancelled"]


def test_a_guest_of_a_series_has_its_exceptions_too_and_can_decline_one(google):
    office, ana = google.client().events(), google.client(google.ana).events()
    body = invited(google, google.ana, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    series = office.insert(calendarId="primary", body=body).execute()
    where = {"calendarId": "primary", "eventId": series["id"]}
    first, second, third = office.instances(**where).execute()["items"]
    moved = timed("2026-11-12T09:00:00", "2026-11-12T10:30:00")
    office.patch(calendarId="primary", eventId=second["id"], body=moved).execute()
    ana.delete(calendarId="primary", eventId=third["id"]).execute()
    seen = ana.instances(**where).execute()["items"]
    assert [one["start"]["dateTime"][:10] for one in seen] == ["2026-11-04", "2026-11-12"]
    told = office.instances(**where).execute()["items"]
    assert [one["attendees"][0]["responseStatus"] for one in told] == [
        "needsAction",
        "needsAction",
        "declined",
    ]
    assert first["id"] == told[0]["id"]


def test_a_guest_who_may_modify_does_so_for_all(google):
    office, ana = google.client().events(), google.client(google.ana).events()
    keys = {"guestsCanModify": True, "extendedProperties": {"private": {"mine": "1"}}}
    made = office.insert(calendarId="primary", body=invited(google, google.ana, **keys)).execute()
    where = {"calendarId": "primary", "eventId": made["id"]}
    ana.patch(**where, body={"location": "there"}).execute()
    told = office.get(**where).execute()
    assert (told["location"], told["extendedProperties"]) == ("there", {"private": {"mine": "1"}})


def test_a_moved_event_that_its_old_calendar_is_a_guest_of(google):
    office, ben = google.client().events(), google.client(google.ben).events()
    body = invited(google, google.ana, google.ben)
    made = office.insert(calendarId=google.ana, body=body).execute()
    where = {"calendarId": google.ana, "eventId": made["id"]}
    office.move(**where, destination=google.ben).execute()
    assert office.get(**where).execute()["organizer"]["email"] == google.ben
    assert office.get(**where).execute()["status"] == "confirmed"
    ben.patch(calendarId="primary", eventId=made["id"], body={"location": "there"}).execute()
    assert office.get(**where).execute()["location"] == "there"


def test_events_that_the_vendor_makes_are_not_a_clients_to_change(google):
    path = f"records/events?calendar={google.ana}"
    made = google.sim("POST", path, {**VISIT, "eventType": "fromGmail"})
    events = google.client(google.ana).events()
    where = {"calendarId": "primary", "eventId": made["id"]}
    assert events.get(**where).execute()["eventType"] == "fromGmail"
    change = events.patch(**where, body={"summary": "x"})
    assert refused(change) == (400, "eventTypeRestriction")
    events.patch(**where, body={"colorId": "3"}).execute()
    only = events.list(calendarId="primary", eventTypes=["default"]).execute()
    assert only["items"] == []
