"""A client that follows sync tokens knows what a client knows that reads everything anew."""

import random
from datetime import UTC, datetime, timedelta

import icalendar
import msgspec
import pytest
import recurring_ical_events
from multidict import CIMultiDict, CIMultiDictProxy

from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.google_calendar.access import Quota
from truckroll_sim.kit.calls import Call
from truckroll_sim.kit.clock import Clock
from truckroll_sim.kit.system import Kit

ZONE = "America/New_York"
START = datetime(2026, 10, 20, 13, tzinfo=UTC)


class Desk:
    """A person at a calendar, without a server in between."""

    def __init__(self):
        self.clock = Clock(START)
        self.google = GoogleCalendar(Kit.of(self.clock))
        self.google.seed({"technicians": 2, "zone": ZONE})
        self.google.gate.quota = Quota(10**9, 10**9)
        token = self.google.acts["sign-in"]({})["access_token"]
        self.headers = CIMultiDictProxy(CIMultiDict(Authorization=f"Bearer {token}"))

    async def __call__(self, method, path, body=None, **query):
        call = Call(
            method=method,
            path="/calendar/v3/calendars/primary/events" + path,
            query=tuple((name, str(value)) for name, value in query.items()),
            headers=self.headers,
            body=msgspec.json.encode(body) if body else b"",
            base="http://127.0.0.1:1/google-calendar",
        )
        answer = await self.google.answer_unlogged(call)
        assert answer.status < 300, answer.body
        return msgspec.json.decode(answer.body) if answer.body else None

    async def read(self, **query):
        items, page = [], {}
        while not items or "nextPageToken" in page:
            more = {"pageToken": page["nextPageToken"]} if page else {}
            page = await self("GET", "", maxResults=3, **query, **more)
            items += page["items"]
            if "nextSyncToken" in page:
                return items, page["nextSyncToken"]
        return items, None


def body(chance):
    day = START + timedelta(days=chance.randrange(20), hours=chance.randrange(8))
    made = {
        "summary": f"Visit {chance.randrange(1000)}",
        "start": {"dateTime": day.isoformat(), "timeZone": ZONE},
        "end": {"dateTime": (day + timedelta(hours=1)).isoformat(), "timeZone": ZONE},
    }
    if chance.random() < 0.4:
        made["recurrence"] = [f"RRULE:FREQ={chance.choice(['DAILY', 'WEEKLY'])};COUNT=4"]
    return made


async def step(desk, chance, known):
    """Do one random thing to the calendar."""
    desk.clock.advance(60)
    live = [one for one in known if not known[one]]
    act = chance.choice(["insert", "patch", "rule", "occurrence", "skip", "delete", "revive"])
    if act == "insert" or not live:
        made = await desk("POST", "", body(chance))
        known[made["id"]] = False
        return
    name = chance.choice(live)
    if act == "patch":
        await desk("PATCH", f"/{name}", {"summary": f"New {chance.randrange(1000)}"})
    elif act == "rule":
        await desk("PUT", f"/{name}", body(chance))
    elif act == "delete":
        await desk("DELETE", f"/{name}")
        known[name] = True
    elif act == "revive":
        if gone := [one for one in known if known[one]]:
            await desk("PATCH", f"/{gone[0]}", {"status": "confirmed"})
            known[gone[0]] = False
    elif found := (await desk("GET", f"/{name}/instances"))["items"]:
        one = chance.choice(found)
        if act == "skip" and "recurringEventId" in one:
            await desk("DELETE", f"/{one['id']}")
        else:
            moved = (
                datetime.fromisoformat(one["start"]["dateTime"]) + timedelta(days=1)
            ).isoformat()
            end = (datetime.fromisoformat(one["end"]["dateTime"]) + timedelta(days=1)).isoformat()
            change = {"start": {"dateTime": moved}, "end": {"dateTime": end}, "location": "x"}
            await desk("PATCH", f"/{one['id']}", change)


def follow(mirror, items):
    for one in items:
        if one["status"] == "cancelled" and "recurringEventId" not in one:
            mirror.pop(one["id"], None)
            for name in [
                name for name in mirror if mirror[name].get("recurringEventId") == one["id"]
            ]:
                del mirror[name]
        else:
            mirror[one["id"]] = one


def live(items):
    return {one["id"]: one for one in items if one["status"] != "cancelled"}


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("seed", range(12))
async def test_following_tokens_is_the_same_as_reading_all(seed, single):
    desk, chance, known = Desk(), random.Random(seed), {}
    query = {"singleEvents": "true"} if single else {}
    mirror = {}
    items, token = await desk.read(**query)
    for _ in range(12):
        for _ in range(chance.randrange(1, 4)):
            await step(desk, chance, known)
        items, token = await desk.read(syncToken=token, **query)
        follow(mirror, items)
        full, _ = await desk.read(**query)
        assert live(mirror.values()) == live(full)


RULES = [
    ["RRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;COUNT=14"],
    ["RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=7"],
    ["RRULE:FREQ=DAILY;INTERVAL=3;UNTIL=20261120T000000Z"],
    ["RRULE:FREQ=MONTHLY;BYMONTHDAY=31;COUNT=5"],
    ["RRULE:FREQ=WEEKLY;COUNT=8", "EXDATE;TZID=America/New_York:20261103T090000"],
    ["RRULE:FREQ=WEEKLY;COUNT=8", "EXDATE:20261103T140000Z,20261110T140000Z"],
    ["RRULE:FREQ=YEARLY;COUNT=3", "RDATE;TZID=America/New_York:20261225T100000,20261226T100000"],
    ["RRULE:FREQ=WEEKLY;BYDAY=TU,TH;BYHOUR=9,15;COUNT=12"],
    ["RDATE;TZID=America/New_York:20261225T100000"],
]


@pytest.mark.parametrize("rule", RULES)
async def test_occurrences_are_those_of_an_independent_library(rule):
    desk = Desk()
    times = {
        "start": {"dateTime": "2026-10-20T09:00:00", "timeZone": ZONE},
        "end": {"dateTime": "2026-10-20T10:00:00", "timeZone": ZONE},
    }
    made = await desk("POST", "", {**times, "recurrence": rule})
    found = (await desk("GET", f"/{made['id']}/instances"))["items"]
    text = "\r\n".join(
        [
            "BEGIN:VCALENDAR",
            "BEGIN:VEVENT",
            "UID:1",
            "DTSTART;TZID=America/New_York:20261020T090000",
            "DTEND;TZID=America/New_York:20261020T100000",
            *rule,
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        ]
    )
    calendar = icalendar.Calendar.from_ical(text)
    window = (datetime(2026, 1, 1, tzinfo=UTC), START + timedelta(days=730))
    expected = recurring_ical_events.of(calendar).between(*window)
    instants = sorted(one["DTSTART"].dt.astimezone(UTC) for one in expected)
    told = [datetime.fromisoformat(one["start"]["dateTime"]).astimezone(UTC) for one in found]
    assert told == instants
