import pytest

from sim.google_world import refused, timed
from sim.hooks import listening

pytestmark = pytest.mark.shared

VISIT = timed("2026-11-04T09:00:00", "2026-11-04T10:30:00", summary="AC tune-up")


def channel(address, name="channel-1", **more):
    return {"id": name, "type": "web_hook", "address": address, "token": "secret", **more}


def test_a_channel_syncs_first_then_tells_of_changes_until_it_is_stopped(google):
    events = google.client().events()
    with listening() as (address, hooks):
        opened = events.watch(calendarId=google.ana, body=channel(address)).execute()
        [sync] = hooks.wait(1)
        assert (sync["X-Goog-Resource-State"], sync["X-Goog-Message-Number"]) == ("sync", "1")
        assert opened["expiration"] == "1794240000000"
        assert sync["X-Goog-Channel-Expiration"] == "Mon, 09 Nov 2026 16:00:00 GMT"
        events.insert(calendarId=google.ben, body=VISIT).execute()
        made = events.insert(calendarId=google.ana, body=VISIT).execute()
        events.delete(calendarId=google.ana, eventId=made["id"]).execute()
        told = hooks.wait(3)[1:]
        assert [one["X-Goog-Resource-State"] for one in told] == ["exists", "exists"]
        numbers = sorted(int(one["X-Goog-Message-Number"]) for one in told)
        assert 1 < numbers[0] < numbers[1]
        assert {one["X-Goog-Channel-Token"] for one in told} == {"secret"}
        assert {one["X-Goog-Resource-ID"] for one in told} == {opened["resourceId"]}
        assert {body for _, body in hooks.got} == {b""}
        stop = {"id": opened["id"], "resourceId": opened["resourceId"]}
        other = google.client(google.ben).channels().stop(body=stop)
        assert refused(other) == (404, "channelNotFound")
        client = google.client()
        client.channels().stop(body=stop).execute()
        assert refused(client.channels().stop(body=stop)) == (404, "channelNotFound")
        events.insert(calendarId=google.ana, body=VISIT).execute()
        assert len(google.sim("GET", "pushes")["pushes"]) == 3


def test_a_channel_ends_with_its_time(google):
    events = google.client().events()
    with listening() as (address, hooks):
        body = channel(address, params={"ttl": "60"})
        events.watch(calendarId=google.ana, body=body).execute()
        hooks.wait(1)
        google.advance(seconds=61)
        events.insert(calendarId=google.ana, body=VISIT).execute()
        assert len(google.sim("GET", "pushes")["pushes"]) == 1


def test_what_the_vendor_refuses(google):
    events = google.client().events()

    def answer(**more):
        body = {**channel("https://x.example/h"), **more}
        return refused(events.watch(calendarId=google.ana, body=body))

    assert answer(address="http://x.example/h") == (400, "push.webhookUrlNotHttps")
    assert answer(type="carrier_pigeon") == (400, "invalid")
    assert answer(id="x" * 65) == (400, "invalid")
    assert answer(expiration="1000") == (400, "invalid")
    with listening() as (address, _):
        events.watch(calendarId=google.ana, body=channel(address)).execute()
        again = events.watch(calendarId=google.ana, body=channel(address))
        assert refused(again) == (400, "channelIdNotUnique")


@pytest.mark.parametrize(("status", "tries"), [(503, 2), (404, 1)])
def test_only_some_answers_make_it_try_again(google, status, tries):
    google.sim("POST", "/_sim/clock", {"frozen": False})
    with listening() as (address, hooks):
        hooks.statuses = [status]
        google.client().events().watch(calendarId=google.ana, body=channel(address)).execute()
        hooks.wait(1)
        for _ in range(50):
            if google.sim("GET", "pushes")["pushes"]:
                break
        google.advance(seconds=2)
        assert len(hooks.wait(tries)) == tries


def test_channels_outlive_a_revoked_grant_and_lists_and_rules_have_them(google):
    client = google.client()
    with listening() as (address, hooks):
        client.calendarList().watch(body=channel(address, "list")).execute()
        client.acl().watch(calendarId=google.office, body=channel(address, "acl")).execute()
        hooks.wait(2)
        google.sim("POST", "acts/revoke", {"account": google.office})
        client = google.client()
        client.calendars().insert(body={"summary": "Crew"}).execute()
        rule = {"role": "reader", "scope": {"type": "user", "value": google.ana}}
        client.acl().insert(calendarId=google.office, body=rule).execute()
        told = [one["X-Goog-Channel-ID"] for one in hooks.wait(4)]
        assert sorted(told) == ["acl", "acl", "list", "list"]


def test_the_directory_tells_of_people(google):
    directory = google.directory()
    with listening() as (address, hooks):
        body = channel(address, "users")
        watch = directory.users().watch(customer="my_customer", event="update", body=body)
        opened = watch.execute()
        # Two hours, not the calendar's seven days.
        assert opened["expiration"] == "1793642400000"
        hooks.wait(1)
        new = {
            "primaryEmail": "new@acme-hvac.example",
            "name": {"givenName": "N", "familyName": "W"},
        }
        google.sim("POST", "records/users", new)
        google.sim("PATCH", f"records/users/{google.ana}", {"suspended": True})
        told = hooks.wait(2)[1]
        assert told["X-Goog-Resource-State"] == "update"
        assert google.ana.encode() in hooks.got[1][1]
