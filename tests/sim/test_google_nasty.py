"""No body and no parameter, however odd, makes the simulated Google fail instead of refusing."""

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.google_calendar.access import Quota
from truckroll_sim.kit.calls import Call
from truckroll_sim.kit.clock import Clock
from truckroll_sim.kit.system import Kit

EVENT = {
    "summary": "x",
    "start": {"dateTime": "2026-11-04T09:00:00-08:00", "timeZone": "America/Los_Angeles"},
    "end": {"dateTime": "2026-11-04T10:00:00-08:00", "timeZone": "America/Los_Angeles"},
}
ODD = [
    5,
    -1,
    1.5,
    True,
    None,
    "",
    "x",
    "\U0001f600",
    [],
    [5],
    [None],
    [{}],
    ["x"],
    {},
    {"a": 5},
    {"a": {"b": []}},
]
PROPERTIES = [
    "id", "iCalUID", "status", "summary", "description", "location", "colorId", "start", "end",
    "recurrence", "attendees", "transparency", "visibility", "reminders", "extendedProperties",
    "guestsCanModify", "source", "eventType", "sequence", "organizer", "attachments",
]  # fmt: skip
DEEPER = [
    {"start": {"dateTime": 5}},
    {"start": {"dateTime": "2026-11-04T09:00:00-08:00", "timeZone": 5}},
    {"start": {"dateTime": "0001-01-01T00:00:00+14:00"}},
    {"end": {"dateTime": "9999-12-31T23:59:59-12:00"}},
    {"start": {"date": 5}, "end": {"date": "x"}},
    {"start": {"date": "9999-12-31"}, "end": {"date": "9999-12-31"}},
    {"attendees": [{"email": 5}]},
    {"attendees": [{"email": "a@b.example", "responseStatus": []}]},
    {"reminders": {"overrides": [5]}},
    {"reminders": {"overrides": "x"}},
    {"reminders": {"overrides": [{"method": "popup", "minutes": 1e9}]}},
    {"extendedProperties": {"private": {"a": None}}},
    {"extendedProperties": {"private": "x"}},
    {"recurrence": ["RRULE:FREQ=DAILY;COUNT=0"]},
    {"recurrence": ["RRULE:FREQ=DAILY;INTERVAL=0"]},
    {"recurrence": ["RRULE:FREQ=DAILY;UNTIL=99999999"]},
    {"recurrence": ["RRULE:"]},
    {"recurrence": ["EXDATE;TZID=Nowhere/Atlantis:20261104T090000"]},
    {"recurrence": ["RDATE;VALUE=PERIOD:20261104T090000Z/PT1H"]},
    {"recurrence": ["RRULE:FREQ=DAILY;COUNT=2\r\nRRULE:FREQ=DAILY"]},
    {"source": {"url": []}},
]
OTHERS = [
    ("POST", "/calendars/primary/acl", ["role", "scope"]),
    ("POST", "/calendars", ["summary", "timeZone", "description", "workingHours"]),
    ("PATCH", "/calendars/primary", ["summary", "timeZone"]),
    ("POST", "/users/me/calendarList", ["id", "selected", "hidden"]),
    ("POST", "/calendars/primary/events/watch", ["id", "type", "address", "params", "expiration", "token"]),
    ("POST", "/channels/stop", ["id", "resourceId"]),
    ("POST", "/freeBusy", ["timeMin", "timeMax", "timeZone", "items", "groupExpansionMax", "calendarExpansionMax"]),
]  # fmt: skip


class Google:
    def __init__(self):
        self.system = GoogleCalendar(Kit.of(Clock()))
        self.system.seed({"technicians": 1})
        self.system.kit.push.send = lambda _: None  # no test speaks to strangers
        self.system.gate.quota = Quota(10**9, 10**9)
        token = self.system.acts["sign-in"]({})["access_token"]
        self.headers = CIMultiDictProxy(CIMultiDict(Authorization=f"Bearer {token}"))

    async def __call__(self, method, path, body=None, **query):
        raw = b"" if body is None else msgspec.json.encode(body)
        call = Call(
            method=method,
            path=path if path.startswith("/admin") else "/calendar/v3" + path,
            query=tuple(query.items()),
            headers=self.headers,
            body=raw,
            base="http://127.0.0.1:1/google-calendar",
        )
        answer = await self.system.answer_unlogged(call)
        assert answer.status < 500
        if answer.status >= 400:
            told = msgspec.json.decode(answer.body)["error"]["errors"][0]
            assert told["reason"] != "parseError" or raw[:1] != b"{"
        # Whatever was taken can be shown again.
        assert (await self.system.answer_unlogged(_listing(self, call))).status == 200
        return answer


def _listing(google, call):
    path = "/calendar/v3/calendars/primary/events"
    query = (("singleEvents", "true"), ("showDeleted", "true"))
    return Call(method="GET", path=path, query=query, headers=google.headers, base=call.base)


@pytest.fixture
def google():
    return Google()


@pytest.mark.parametrize("name", PROPERTIES)
async def test_odd_values_of_an_event(google, name):
    events = "/calendars/primary/events"
    for number, odd in enumerate(ODD):
        kept = f"event{number}"
        await google("POST", events, {**EVENT, name: odd})
        await google("POST", events + "/import", {"iCalUID": f"u{number}", **EVENT, name: odd})
        await google("POST", events, {**EVENT, "id": kept})
        await google("PATCH", f"{events}/{kept}", {name: odd})
        await google("PUT", f"{events}/{kept}", {**EVENT, name: odd})


@pytest.mark.parametrize("odd", DEEPER)
async def test_odd_values_deep_inside(google, odd):
    events = "/calendars/primary/events"
    await google("POST", events, {**EVENT, **odd})
    await google("POST", events, {**EVENT, "id": "event1"})
    await google("PATCH", f"{events}/event1", odd)
    await google("PUT", f"{events}/event1", {**EVENT, **odd})


@pytest.mark.parametrize(("method", "path", "names"), OTHERS)
async def test_odd_values_elsewhere(google, method, path, names):
    usual = {
        "summary": "x", "id": "c1", "type": "web_hook", "address": "https://x.example/h",
        "role": "reader", "scope": {"type": "user", "value": "a@b.example"},
        "timeMin": "2026-11-01T00:00:00Z", "timeMax": "2026-11-02T00:00:00Z",
    }  # fmt: skip
    for name in names:
        for number, odd in enumerate(ODD):
            await google(method, path, {**usual, "id": f"c{name}{number}", name: odd})


@pytest.mark.parametrize(
    "name",
    [
        "maxResults", "pageToken", "syncToken", "timeMin", "timeMax", "updatedMin", "singleEvents",
        "showDeleted", "orderBy", "privateExtendedProperty", "timeZone", "maxAttendees",
        "eventTypes", "q", "iCalUID", "originalStart", "sendUpdates", "destination",
    ],
)  # fmt: skip
async def test_odd_parameters(google, name):
    events = "/calendars/primary/events"
    series = {**EVENT, "id": "series1", "recurrence": ["RRULE:FREQ=DAILY;COUNT=2"]}
    await google("POST", events, series)
    words = ["", "x", "-1", "0", "1", "99999999999999999999", "true", "W10", "e30", "bnVsbA", "%",
             "2026-11-04", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "a=b", "=", "é"]  # fmt: skip
    for word in words:
        for path in (
            events,
            f"{events}/series1/instances",
            "/users/me/calendarList",
            "/users/me/settings",
        ):
            await google("GET", path, **{name: word})
        await google("GET", f"{events}/series1", **{name: word})
        await google("POST", f"{events}/series1/move", **{name: word})
        await google("GET", "/admin/directory/v1/users", **{"customer": "my_customer", name: word})


@pytest.mark.parametrize(
    "name",
    [
        "_",
        "_20261104",
        "series1_",
        "series1_20261104",
        "series1_x",
        "series1_20261104T170000Z_",
        "é",
    ],
)
async def test_odd_ids(google, name):
    events = "/calendars/primary/events"
    series = {**EVENT, "id": "series1", "recurrence": ["RRULE:FREQ=DAILY;COUNT=2"]}
    await google("POST", events, series)
    for method in ("GET", "DELETE", "PATCH", "PUT"):
        answer = await google(method, f"{events}/{name}", EVENT)
        assert answer.status == 404
