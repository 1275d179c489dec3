"""Rings of calendars that are kept in step, and random edits in them."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar
from icalendar import Event as IcalEvent

from support.company import brief
from support.fleet import RECIPE, ZONE, Fleet
from support.office import ALL_RIGHT, CIRCLE, Office, api_text, instant, office
from support.servers import Server
from truckroll.app import accounts, passes
from truckroll.kit.normal import html_to_text
from truckroll.recipes.compile import builtin


@dataclass
class Place:
    """A calendar of the ring as its user sees it."""

    account: str
    title: str

    def read(self) -> dict[str, dict[str, Any]]:
        """Return its events: title, begin, end, place and notes, by their ids there."""
        raise NotImplementedError

    def edit(self, key: str, **changes: Any) -> None:
        """Change title, begin and end, place or notes of an event."""
        raise NotImplementedError

    def add(self, title: str, begin: datetime) -> None:
        """Put an event of an hour."""
        raise NotImplementedError

    def remove(self, key: str) -> None:
        """Delete an event."""
        raise NotImplementedError


@dataclass
class AtGoogle(Place):
    """A calendar of the simulated Google."""

    system: Any
    book: str

    def read(self) -> dict[str, dict[str, Any]]:
        """See `Place`."""
        return {
            one["id"]: {
                "title": one.get("summary", ""),
                "begin": instant(one["start"]["dateTime"]),
                "end": instant(one["end"]["dateTime"]),
                "place": one.get("location", ""),
                "notes": html_to_text(one.get("description", "")),
            }
            for one in self.system.records["events"].list({"calendar": self.book})
            if one["status"] != "cancelled"
        }

    def edit(self, key: str, **changes: Any) -> None:
        """See `Place`."""
        self.system.records["events"].edit(key, self._body(**changes), {"calendar": self.book})

    def add(self, title: str, begin: datetime) -> None:
        """See `Place`."""
        body = self._body(title=title, begin=begin, end=begin + timedelta(hours=1))
        self.system.records["events"].add(body, {"calendar": self.book})

    def remove(self, key: str) -> None:
        """See `Place`."""
        self.system.records["events"].remove(key, {"calendar": self.book})

    def _body(self, **changes: Any) -> dict[str, Any]:
        names = {"title": "summary", "place": "location", "notes": "description"}
        body = {names[name]: value for name, value in changes.items() if name in names}
        for name, there in (("begin", "start"), ("end", "end")):
            if name in changes:
                body[there] = {"dateTime": api_text(changes[name]), "timeZone": ZONE}
        return body


@dataclass
class AtServer(Place):
    """A calendar of a real CalDAV server, used with another client's library."""

    server: Server

    def read(self) -> dict[str, dict[str, Any]]:
        """See `Place`."""
        found = {}
        for key, data in self.server.events(self.title).items():
            event = Calendar.from_ical(data).walk("VEVENT")[0]
            found[key] = {
                "title": str(event.get("SUMMARY", "")),
                "begin": event.decoded("DTSTART").astimezone(UTC),
                "end": self._end(event).astimezone(UTC),
                "place": str(event.get("LOCATION", "")),
                "notes": str(event.get("DESCRIPTION", "")),
            }
        return found

    def edit(self, key: str, **changes: Any) -> None:
        """See `Place`."""
        whole = Calendar.from_ical(self.server.get(self.title, key)[0])
        event = whole.walk("VEVENT")[0]
        names = {"title": "SUMMARY", "place": "LOCATION", "notes": "DESCRIPTION"}
        end = self._end(event)
        event.pop("DURATION", None)
        new = {"DTSTART": event.decoded("DTSTART"), "DTEND": end}
        new |= {names[name]: value for name, value in changes.items() if name in names}
        for name, there in (("begin", "DTSTART"), ("end", "DTEND")):
            if name in changes:
                new[there] = changes[name].astimezone(ZoneInfo(ZONE))
        for name, value in new.items():
            event.pop(name, None)
            event.add(name, value)
        self.server.put(self.title, key, whole.to_ical().decode())

    def add(self, title: str, begin: datetime) -> None:
        """See `Place`."""
        whole, event = Calendar(), IcalEvent()
        whole.add("VERSION", "2.0")
        whole.add("PRODID", "-//another client//EN")
        key = "".join(one for one in title if one.isalnum())
        event.add("UID", f"{key}@{self.account}")
        event.add("DTSTAMP", datetime(2026, 1, 1, tzinfo=UTC))
        event.add("DTSTART", begin.astimezone(UTC))
        event.add("DTEND", begin.astimezone(UTC) + timedelta(hours=1))
        event.add("SUMMARY", title)
        whole.add_component(event)
        self.server.put(self.title, f"{key}.ics", whole.to_ical().decode())

    def remove(self, key: str) -> None:
        """See `Place`."""
        self.server.delete(self.title, key)

    @staticmethod
    def _end(event: IcalEvent) -> datetime:
        if "DTEND" in event:
            return event.decoded("DTEND")
        return event.decoded("DTSTART") + event.decoded("DURATION")


@dataclass
class Ring:
    """ServiceTitan → a technician's Google calendar ⇄ one server ⇄ another ⇄ that calendar."""

    office: Office
    places: list[Place]
    number: int = 0
    edits: Counter = field(default_factory=Counter)
    did: list[str] = field(default_factory=list)
    put_off: list[str] = field(default_factory=list)

    async def turn(self) -> Counter:
        """Let each recipe pass once; return the writes by account."""
        written: Counter = Counter()
        hub = self.office.acme.hub
        for name in (RECIPE, *self.names()):
            view = await passes.apply(hub, name, confirmed=ALL_RIGHT)
            assert not view.stops, brief(view)
            if view.failed:
                # A server may let few writes at a time in; what was put off goes on later.
                self.office.hours.rest()
                self.put_off = [*view.failures, *view.problems]
                written["put off"] += 1
            written.update(step.account for step in view.steps)
        return written

    def names(self) -> list[str]:
        """The recipes that close the ring."""
        return [f"{CIRCLE}-{one.account}" for one in self.places]

    async def settle(self, most: int = 4) -> Counter:
        """Let recipes pass until a whole turn writes nothing; return the writes by account.

        A turn in which a server put a write off counts little.
        """
        written: Counter = Counter()
        turns = 0.0
        while turns < most:
            now = await self.turn()
            if not now:
                del written["put off"]
                return written
            written += now
            turns += 0.2 if now["put off"] else 1
        raise AssertionError(f"no silence: {written}; {self.did[-30:]}; {self.put_off}")

    def same(self) -> str:
        """In what the calendars differ from each other, "" if in nothing."""
        shown = [
            Counter(tuple(event.values()) for event in place.read().values())
            for place in self.places
        ]
        for place, one in zip(self.places, shown, strict=True):
            if one != shown[0]:
                return f"{place.account}: lacks {shown[0] - one}, has {one - shown[0]}"
        return ""

    async def edit(self) -> None:
        """Let somebody do something somewhere."""
        chance = self.office.chance
        at = chance.randrange(len(self.places) + 1)
        if at == len(self.places):
            self.office.move()
            self.edits["titan"] += 1
            self.did.append(self.office.did[-1])
            return
        self.edit_in(self.places[at])

    def edit_in(self, place: Place) -> None:
        """Let somebody change an event in a calendar, or make one."""
        chance, events = self.office.chance, place.read()
        self.number += 1
        self.edits[place.account] += 1
        key = chance.choice(sorted(events))
        event = events[key]
        act = chance.choices(("title", "when", "place", "notes", "add"), (3, 4, 2, 3, 1))[0]
        self.did.append(f"{act} of {event['title']!r} in {place.account} ({self.number})")
        if act == "add":
            begin = event["begin"] + timedelta(minutes=15 * self.number)
            place.add(f"Own {self.number}", begin)
        elif act == "when":
            by = timedelta(minutes=15 * chance.randint(1, 20))
            place.edit(key, begin=event["begin"] + by, end=event["end"] + by)
        elif act == "title":
            place.edit(key, title=f"{event['title'].split(' (')[0]} ({self.number})")
        elif act == "place":
            place.edit(key, place=f"{self.number} Elm St")
        elif isinstance(place, AtGoogle):
            place.edit(key, notes=f"<b>Line {self.number}</b><br>R&amp;D")
        else:
            place.edit(key, notes=f"Line {self.number}\nR&D <see>")


async def ring(acme: Fleet, seed: int, first: Server, second: Server, **choices: str) -> Ring:
    """Close the ring around a fleet of one technician; nothing is in step yet."""
    at_work = await office(acme, seed)
    (email,) = acme.emails.values()
    places: list[Place] = [AtGoogle("google", email, acme.google, email)]
    for name, server in (("second", first), ("third", second)):
        server.make_calendar("ring")
        signed = {"url": server.url, "user": server.user, "password": server.password}
        await accounts.add(acme.hub, name, "caldav", {**signed, "private": "yes"}, zone=ZONE)
        places.append(AtServer(name, "ring", server))
    for one, other in zip(places, [*places[1:], places[0]], strict=True):
        name = f"{CIRCLE}-{one.account}"
        text = builtin()[CIRCLE].replace(f'name = "{CIRCLE}"', f'name = "{name}"', 1)
        bound = {
            "from": f"{one.account}/{one.title}",
            "to": f"{other.account}/{other.title}",
            "zone": ZONE,
        }
        await acme.hub.store.install_recipe(name, text, bound, {"two_way": "on", **choices})
    return Ring(at_work, places)
