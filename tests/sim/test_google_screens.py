import urllib.error

import pytest

from sim.google_world import read, timed

pytestmark = pytest.mark.shared

VISIT = timed("2026-11-04T09:00:00", "2026-11-04T10:30:00", summary="AC tune-up")


def test_what_a_person_does_at_the_screen_is_seen_by_the_api(google):
    events = google.client().events()
    _, token = read(events, google.ana)
    made = google.sim("POST", f"records/events?calendar={google.ana}", VISIT)
    assert (made["calendarId"], made["creator"]["email"]) == (google.ana, google.ana)
    moved = timed("2026-11-05T09:00:00", "2026-11-05T10:30:00")
    google.sim("PATCH", f"records/events/{made['id']}", moved)
    [seen], token = read(events, google.ana, syncToken=token)
    assert seen["start"]["dateTime"] == "2026-11-05T09:00:00-08:00"
    google.sim("DELETE", f"records/events/{made['id']}")
    assert [one["status"] for one in read(events, google.ana, syncToken=token)[0]] == ["cancelled"]
    assert google.sim("GET", f"records/events/{made['id']}")["status"] == "cancelled"
    listed = google.sim("GET", f"records/events?calendar={google.ana}")["items"]
    assert [one["id"] for one in listed] == [made["id"]]


def test_a_slip_at_the_screen_is_told(google):
    for path, body, status in (
        (f"records/events?calendar={google.ana}", {"summary": "x"}, 400),
        ("records/events?calendar=nowhere", VISIT, 404),
        ("records/users", {}, 400),
        ("seed", {"technicians": 1}, 400),
        ("seed", {"technicans": 1}, 400),
        ("acts/sign-in", {"account": "nobody"}, 404),
        ("faults", {"kind": "gremlins"}, 400),
    ):
        with pytest.raises(urllib.error.HTTPError) as told:
            google.sim("POST", path, body)
        with told.value:
            assert told.value.code == status, path
    for method in ("GET", "DELETE"):
        with pytest.raises(urllib.error.HTTPError) as told:
            google.sim(method, "records/events/nothing")
        with told.value:
            assert told.value.code == 404


def test_sharing_lists_and_calendars_at_the_screen(google):
    made = google.sim("POST", f"records/calendars?person={google.ana}", {"summary": "Ana's"})
    office = google.client()
    rule = {"role": "reader", "scope": {"type": "user", "value": google.office}}
    google.sim("POST", f"records/acl?calendar={made['id']}", rule)
    google.sim("POST", "records/calendar-list", {"id": made["id"]})
    entry = office.calendarList().get(calendarId=made["id"]).execute()
    assert (entry["summary"], entry["accessRole"]) == ("Ana's", "reader")
    google.sim("PATCH", f"records/calendars/{made['id']}", {"summary": "Ana’s own"})
    google.sim("PATCH", f"records/calendar-list/{made['id']}", {"hidden": True})
    entry = office.calendarList().get(calendarId=made["id"]).execute()
    assert (entry["summary"], entry["hidden"]) == ("Ana’s own", True)
    name = f"user:{google.office}"
    google.sim("PATCH", f"records/acl/{name}?calendar={made['id']}", {"role": "owner"})
    assert office.acl().get(calendarId=made["id"], ruleId=name).execute()["role"] == "owner"
    google.sim("DELETE", f"records/acl/{name}?calendar={made['id']}")
    google.sim("DELETE", f"records/calendar-list/{made['id']}")
    google.sim("DELETE", f"records/calendars/{made['id']}")
    listed = [one["id"] for one in google.sim("GET", "records/calendars")["items"]]
    assert made["id"] not in listed


def test_a_company_of_forty_is_the_same_each_time(google):
    def company():
        google.sim("POST", "reset")
        made = google.sim("POST", "seed", {"technicians": 40, "appointments": 200, "crews": 2})
        return made, google.sim("GET", "records/events")["items"]

    made, events = company()
    assert len(set(made["technicians"])) == 40
    assert (len(events), len(made["crews"])) == (200, 2)
    assert {one["summary"] for one in events} >= {"Dentist", "Stand-up", "Visit 1"}
    assert company() == (made, events)


def test_a_company_can_be_of_given_people(google):
    google.sim("POST", "reset")
    people = [{"email": "mike.d@shop.example", "given": "Mike", "family": "Dunn"}]
    made = google.sim("POST", "seed", {"people": people, "domain": "shop.example", "share": "none"})
    assert (made["office"], made["technicians"]) == ("office@shop.example", ["mike.d@shop.example"])
    entries = google.client().calendarList().list().execute()["items"]
    assert [one["id"] for one in entries] == ["office@shop.example"]
