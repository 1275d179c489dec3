import pytest

from sim.google_world import refused, timed

pytestmark = pytest.mark.shared

VISIT = timed("2026-11-04T09:00:00", "2026-11-04T10:30:00", summary="AC tune-up")


def names(page):
    return [one["primaryEmail"] for one in page["users"]]


def test_the_roster_is_listed_page_by_page_and_searched(google):
    users = google.directory().users()
    request, pages = users.list(customer="my_customer", maxResults=3, orderBy="email"), []
    while request is not None:
        pages.append(request.execute())
        request = users.list_next(request, pages[-1])
    assert [len(page["users"]) for page in pages] == [3, 1]
    everybody = [email for page in pages for email in names(page)]
    assert everybody == [google.ana, google.ben, google.chu, google.office]
    field = users.list(domain="acme-hvac.example", query="orgUnitPath='/Field' isSuspended=false")
    assert names(field.execute()) == [google.ana, google.ben, google.chu]
    assert names(users.list(customer="my_customer", query="givenName:be*").execute()) == [
        google.ben
    ]
    backwards = users.list(customer="my_customer", orderBy="givenName", sortOrder="DESCENDING")
    assert names(backwards.execute())[0] == google.office
    assert refused(users.list()) == (400, "badRequest")
    assert refused(users.list(customer="my_customer", query="shoeSize=9"))[0] == 400


def test_a_person_is_found_by_address_alias_and_id(google):
    users = google.directory().users()
    google.sim("PATCH", f"records/users/{google.ana}", {"aliases": ["ana@acme-hvac.example"]})
    ana = users.get(userKey=google.ana).execute()
    assert ana["name"]["fullName"] == "Ana Ruiz"
    for key in (ana["id"], "ana@acme-hvac.example"):
        assert users.get(userKey=key).execute() == ana
    assert refused(users.get(userKey="nobody")) == (404, "notFound")


def test_people_join_change_and_leave(google):
    users = google.directory().users()
    new = {
        "primaryEmail": "eve@acme-hvac.example",
        "name": {"givenName": "Eve", "familyName": "Moss"},
    }
    made = users.insert(body=new).execute()
    assert refused(users.insert(body=new)) == (409, "duplicate")
    assert refused(users.insert(body={"primaryEmail": "x@acme-hvac.example"}))[0] == 400
    where = {"userKey": made["id"]}
    # PUT merges here, unlike with events.
    changed = users.update(**where, body={"orgUnitPath": "/Field/East"}).execute()
    assert (changed["name"]["givenName"], changed["etag"] != made["etag"]) == ("Eve", True)
    eve = google.client("eve@acme-hvac.example")
    event = eve.events().insert(calendarId="primary", body=VISIT).execute()
    users.patch(**where, body={"primaryEmail": "eve.cole@acme-hvac.example"}).execute()
    eve = google.client("eve.cole@acme-hvac.example")
    assert eve.events().list(calendarId="primary").execute()["items"][0]["id"] == event["id"]
    users.delete(**where).execute()
    assert refused(users.get(**where)) == (404, "notFound")
    deleted = users.list(customer="my_customer", showDeleted="true").execute()
    assert names(deleted) == ["eve.cole@acme-hvac.example"]


def test_only_an_administrator_may_read_it(google):
    assert refused(google.directory(google.ana).users().list(customer="my_customer")) == (
        403,
        "forbidden",
    )


def test_vans_and_groups(google):
    directory = google.directory()
    calendars = directory.resources().calendars()
    vans = calendars.list(customer="my_customer").execute()["items"]
    assert [one["resourceName"] for one in vans] == ["Van 1", "Van 2"]
    van = calendars.get(customer="my_customer", calendarResourceId="van-1").execute()
    assert van["resourceEmail"] == google.company["vans"][0]
    groups = directory.groups().list(customer="my_customer").execute()["groups"]
    assert groups[0]["directMembersCount"] == "3"
    members = directory.members().list(groupKey=groups[0]["email"]).execute()["members"]
    assert [one["email"] for one in members] == [google.ana, google.ben, google.chu]


def test_the_same_system_has_two_names(google):
    google.client().events().insert(calendarId=google.ana, body={**VISIT, "id": "visit1"}).execute()
    signed = google.call("GET", "/_sim/google-workspace/credentials")
    headers = {"Authorization": f"Bearer {signed['access_token']}"}
    path = f"/google-workspace/calendar/v3/calendars/{google.ana}/events/visit1"
    assert google.call("GET", path, headers=headers)["summary"] == "AC tune-up"
