"""A sample company, the same each time: Acme HVAC, its office, technicians, vans and calendars."""

from datetime import date, datetime, time, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from truckroll_sim.google_calendar.desk import Desk, Writer
from truckroll_sim.google_calendar.times import Doc
from truckroll_sim.google_calendar.world import Book, World

_GIVEN = ("Ana", "Ben", "Chu", "Dee", "Eli", "Fay", "Gus", "Hal", "Ida", "Jo")
_FAMILY = ("Ruiz", "Cole", "Park", "Fox", "Stone", "Nash", "Vega", "Wolf", "Yates", "Zorn")
_DENTIST_EACH, _WEEKLY_EACH, _SLOTS_A_DAY = 5, 7, 4


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A technician to make."""

    email: str
    given: str
    family: str


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sample company may be asked to be.

    `appointments` events stand in the technicians' calendars already, from `first_day` (default:
    today by the box's clock) over `days` days: each fifth private, each seventh weekly. `share` is
    the office's role on the technicians' calendars, "none" for no access. `crews` are secondary
    calendars of the office. `people` are the technicians, instead of `technicians` made-up ones.
    """

    technicians: int = 8
    people: list[Person] = []
    crews: int = 0
    vans: int = 2
    appointments: int = 0
    days: int = 10
    first_day: date | None = None
    share: str = "writer"
    zone: str = "America/Los_Angeles"
    domain: str = "acme-hvac.example"


def office(world: World) -> str:
    """Return the address of the office, which is an administrator."""
    return f"office@{world.domain}"


def found(world: World) -> None:
    """Make the company with its office, if it is not there."""
    if office(world) in world.people:
        return
    world.add_person(office(world), "Olive", "Office", isAdmin=True, orgUnitPath="/Office")


def sample(world: World, desk: Desk, given: dict[str, Any]) -> Doc:
    """Make a sample company and return what it has.

    Raises ValueError on an unknown parameter, or if there are technicians already.
    """
    wanted = msgspec.convert(given, Parameters)
    if len(world.people) > 1:
        raise ValueError("this box has a company already; reset it first")
    if wanted.domain != world.domain:
        world.people.clear()
        world.books.clear()
        world.domain = wanted.domain
        found(world)
    emails = [_technician(world, one, wanted) for one in wanted.people or _made_up(wanted)]
    crews = [_crew(world, number, wanted) for number in range(wanted.crews)]
    vans = [_van(world, number, wanted) for number in range(wanted.vans)]
    dispatchers = f"technicians@{world.domain}"
    world.groups[dispatchers] = {
        "id": "group1",
        "email": dispatchers,
        "name": "Technicians",
        "members": [{"id": email, "email": email, "role": "MEMBER"} for email in emails],
    }
    for number in range(wanted.appointments if emails else 0):
        _appointment(world, desk, world.books[emails[number % len(emails)]], number, wanted)
    return {
        "office": office(world),
        "technicians": emails,
        "crews": crews,
        "vans": vans,
        "group": dispatchers,
        "appointments": wanted.appointments,
    }


def _made_up(wanted: Parameters) -> list[Person]:
    names = [(given, family) for family, given in product(_FAMILY, _GIVEN)]
    # Along the diagonal first, so that a small company has no two people of one family name.
    order = sorted(range(len(names)), key=lambda at: ((at % 10 - at // 10) % 10, at))
    people = []
    for number in range(wanted.technicians):
        given, family = names[order[number % len(names)]]
        more = str(number // len(names) + 1) if number >= len(names) else ""
        email = f"{given}.{family}{more}@{wanted.domain}".lower()
        people.append(Person(email, given, family + more))
    return people


def _technician(world: World, one: Person, wanted: Parameters) -> str:
    number = len(world.people)
    world.add_person(
        one.email,
        one.given,
        one.family,
        timeZone=wanted.zone,
        orgUnitPath="/Field/North" if number % 2 else "/Field/South",
        externalIds=[{"value": f"T-{number}", "type": "organization"}],
        phones=[{"value": f"+1 818 555 {number:04d}", "type": "mobile"}],
    )
    if wanted.share != "none":
        rule = {"role": wanted.share, "scope": {"type": "user", "value": office(world)}}
        world.books[one.email].rules.put(f"user:{office(world)}", rule)
        world.people[office(world)].entries.put(one.email, {"selected": True})
    return one.email


def _crew(world: World, number: int, wanted: Parameters) -> str:
    book_id = f"c_{world.kit.ids.hex('calendar', 24)}@group.calendar.google.com"
    fields = {"summary": f"Crew {number + 1}", "timeZone": wanted.zone}
    return world.add_book(book_id, fields, office(world)).id


def _van(world: World, number: int, wanted: Parameters) -> str:
    email = f"c_{world.kit.ids.hex('resource', 20)}@resource.calendar.google.com"
    name = f"Van {number + 1}"
    world.add_book(email, {"summary": name, "timeZone": wanted.zone}, office(world), resource=True)
    world.resources[f"van-{number + 1}"] = {
        "kind": "admin#directory#resources#calendars#CalendarResource",
        "resourceId": f"van-{number + 1}",
        "resourceName": name,
        "generatedResourceName": f"DEN-1-{name}",
        "resourceType": "Service van",
        "resourceCategory": "OTHER",
        "resourceEmail": email,
        "buildingId": "DEN",
        "capacity": 2,
    }
    return email


def _appointment(world: World, desk: Desk, book: Book, number: int, wanted: Parameters) -> None:
    zone = ZoneInfo(wanted.zone)
    first = wanted.first_day or world.kit.clock.now().astimezone(zone).date()
    slot = number // max(len(world.people) - 1, 1)
    day = first + timedelta(days=slot // _SLOTS_A_DAY % max(wanted.days, 1))
    begin = datetime.combine(day, time(8 + 2 * (slot % _SLOTS_A_DAY)), zone)
    body: Doc = {
        "summary": f"Visit {number + 1}",
        "location": f"{100 + number} W Broadway, Glendale, CA 91210",
        "start": {"dateTime": begin.isoformat(), "timeZone": wanted.zone},
        "end": {"dateTime": (begin + timedelta(hours=1)).isoformat(), "timeZone": wanted.zone},
    }
    if number % _DENTIST_EACH == _DENTIST_EACH - 1:
        body |= {"summary": "Dentist", "visibility": "private", "location": None}
    elif number % _WEEKLY_EACH == _WEEKLY_EACH - 1:
        body |= {"summary": "Stand-up", "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=6"]}
    desk.insert(book, body, Writer(book.data_owner, "owner"))
