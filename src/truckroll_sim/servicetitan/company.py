"""A sample company that heats and cools: its people, customers, jobs and visits.

The same parameters at the same clock make the same company, id for id.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from truckroll_sim.servicetitan import booking, crm
from truckroll_sim.servicetitan.bodies import (
    Address,
    Contact,
    FirstAppointment,
    NewAppointment,
    NewCustomer,
    NewJob,
    NewPlace,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truckroll_sim.servicetitan.rows import Row
    from truckroll_sim.servicetitan.tenant import Tenant

FIRST = [
    "Ana",
    "Ben",
    "Carla",
    "Dee",
    "Emil",
    "Fay",
    "Gus",
    "Hana",
    "Igor",
    "Jo",
    "Kim",
    "Lars",
    "Mia",
    "Noor",
    "Otto",
    "Pia",
    "Quin",
    "Ravi",
    "Sue",
    "Tom",
]
LAST = [
    "Ruiz",
    "Cole",
    "Diaz",
    "Fox",
    "Gray",
    "Hart",
    "Ito",
    "Jones",
    "Klein",
    "Lund",
    "Meyer",
    "North",
    "Ortiz",
    "Park",
    "Reed",
    "Stone",
]
STREETS = ["Elm", "Oak", "Maple", "Cedar", "Birch", "Lake", "Hill", "River", "Mill", "Church"]
WORK = (
    ("Boiler service", 2, "Yearly boiler service"),
    ("AC not cooling", 2, "Unit runs, air is warm"),
    ("No heat", 1, "Furnace does not fire"),
    ("Duct cleaning", 2, "Clean supply and return ducts"),
    ("Thermostat", 1, "Replace the thermostat"),
)
STARTS = (time(8), time(10), time(12), time(14), time(16))


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of the sample company.

    `crew_share` of the visits have a second technician, `return_share` are the second visit of
    a job, `unassigned_share` have nobody. The visits lie on `days` days from `first_day` (default:
    today) in `zone`, at most five a day for each technician.
    """

    technicians: int = 8
    appointments: int = 120
    customers: int = 40
    days: int = 14
    crew_share: float = 0.15
    return_share: float = 0.05
    unassigned_share: float = 0.0
    first_day: date | None = None
    zone: str = "America/Chicago"
    seed: int = 1


@dataclass(frozen=True)
class Basics:
    """The ids that everything else refers to."""

    units: list[int]
    types: list[int]
    campaign: int


def seed(tenant: Tenant, parameters: dict[str, Any]) -> dict[str, Any]:
    """Make the company and tell its ids. Raises ValueError where the parameters do not fit."""
    try:
        sample = msgspec.convert(parameters, Sample)
    except msgspec.ValidationError as slip:
        raise ValueError(f"the sample company cannot be made: {slip}") from slip
    room = sample.technicians * sample.days * len(STARTS)
    needed = int(sample.appointments * (1 + sample.crew_share) + 0.999)
    if needed > room:
        raise ValueError(f"{needed} visits need more than the {room} there is room for: more days")
    chance = random.Random(sample.seed)
    basics = _basics(tenant)
    people = [_technician(tenant, n, basics) for n in range(sample.technicians)]
    places = [_customer(tenant, chance, n) for n in range(sample.customers)]
    _visits(tenant, chance, sample, basics, people, places)
    names = ("jobs", "appointments", "assignments", "customers", "locations")
    return {
        "tenant": tenant.number,
        "technicians": [row["id"] for row in people],
        "business_units": basics.units,
        "job_types": basics.types,
        "campaign": basics.campaign,
        "cancel_reasons": [row["id"] for row in tenant["cancel_reasons"].seen()],
        "hold_reasons": [row["id"] for row in tenant["hold_reasons"].seen()],
        "call_reasons": [row["id"] for row in tenant["call_reasons"].seen()],
        "counts": {name: len(tenant[name]) for name in names},
    }


def _basics(tenant: Tenant) -> Basics:
    units = [_unit(tenant, name) for name in ("HVAC Service", "HVAC Install")]
    types = [
        tenant.add(
            "job_types",
            name=name,
            businessUnitIds=units,
            skills=[],
            tagTypeIds=[],
            priority="Normal",
            duration=hours * 3600,
            soldThreshold=None,
            summary=summary,
            noCharge=False,
            enforceRecurringServiceEventSelection=False,
            invoiceSignaturesRequired=False,
            _external={},
            **{"class": "Service"},
        )["id"]
        for name, hours, summary in WORK
    ]
    category = tenant.add("categories", name="Online", type="Regular")["id"]
    campaign = tenant.add(
        "campaigns", name="Website", _category=category, _unit=units[0], _dnis=None
    )["id"]
    for table, names in (
        ("cancel_reasons", ("Customer canceled", "Duplicate", "Weather")),
        ("hold_reasons", ("Waiting for parts", "Customer not home")),
    ):
        for name in names:
            tenant.add(table, name=name)
    for name, is_lead in (("Price shopping", True), ("Wrong number", False)):
        tenant.add("call_reasons", name=name, isLead=is_lead)
    _tag(tenant, "VIP")
    _employee(tenant, "Olga Office", units[0])
    return Basics(units, types, campaign)


def _unit(tenant: Tenant, name: str) -> int:
    empty = [
        "invoiceHeader",
        "invoiceMessage",
        "defaultTaxRate",
        "authorizationParagraph",
        "acknowledgementParagraph",
        "address",
        "materialSku",
        "quickbooksClass",
        "accountCode",
        "franchiseId",
        "conceptCode",
        "corporateContractNumber",
        "tenant",
        "phoneNumber",
    ]
    more = {"officialName": f"Acme {name}", "email": "office@acme.example", "currency": "USD"}
    return int(
        tenant.add("business_units", name=name, _external={}, **more, **dict.fromkeys(empty))["id"]
    )


def _tag(tenant: Tenant, name: str) -> None:
    tenant.add(
        "tag_types",
        name=name,
        color="#2277CC",
        code=name[:3].upper(),
        importance=None,
        isConversionOpportunity=False,
        allowToUseOnTimesheetActivity=False,
    )


def _person(tenant: Tenant, name: str, unit: int) -> dict[str, Any]:
    login = name.lower().replace(" ", ".")
    return {
        "userId": tenant.new_id(),
        "name": name,
        "roleIds": [],
        "businessUnitId": unit,
        "email": f"{login}@acme.example",
        "phoneNumber": None,
        "loginName": login,
        "customFields": [],
        "aadUserId": None,
        "permissions": [],
        "accountLocked": False,
    }


def _employee(tenant: Tenant, name: str, unit: int) -> None:
    tenant.add("employees", **_person(tenant, name, unit), role="Dispatch")


def _technician(tenant: Tenant, number: int, basics: Basics) -> Row:
    first, last = FIRST[number % len(FIRST)], LAST[(number * 7 + number // len(FIRST)) % len(LAST)]
    unit = basics.units[number % len(basics.units)]
    return tenant.add(
        "technicians",
        **_person(tenant, f"{first} {last}", unit),
        mainZoneId=None,
        zoneIds=[],
        home=None,
        dailyGoal=0,
        isManagedTech=True,
        burdenRate=0,
        team="Service",
        jobFilter=None,
    )


def _customer(tenant: Tenant, chance: random.Random, number: int) -> Row:
    name = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
    street = f"{chance.randint(1, 99)} {chance.choice(STREETS)} St"
    address = Address(
        street=street, unit="", city="Springfield", state="IL", zip="62701", country="USA"
    )
    phone = Contact(type="MobilePhone", value=f"217555{100 + number % 100:04d}")
    email = Contact(type="Email", value=f"customer{number + 1}@home.example")
    place = NewPlace(name=name, address=address, contacts=[phone])
    body = NewCustomer(name=name, address=address, locations=[place], contacts=[phone, email])
    return crm.add_customer(tenant, body)[1][0]


def _slots(sample: Sample, people: list[Row], begin: date) -> Iterator[tuple[datetime, int]]:
    zone = ZoneInfo(sample.zone)
    for day in range(sample.days):
        for start in STARTS:
            at = utc(datetime.combine(begin + timedelta(days=day), start, zone))
            yield from ((at, technician["id"]) for technician in people)


def _visits(
    tenant: Tenant,
    chance: random.Random,
    sample: Sample,
    basics: Basics,
    people: list[Row],
    places: list[Row],
) -> None:
    today = tenant.now().astimezone(ZoneInfo(sample.zone)).date()
    slots = list(_slots(sample, people, sample.first_day or today))
    chance.shuffle(slots)
    free: dict[datetime, list[int]] = {}
    for at, technician in slots:
        free.setdefault(at, []).append(technician)
    jobs: list[int] = []
    made = 0
    for at, lead in slots:
        if made == sample.appointments:
            return
        if lead not in free[at]:
            continue
        free[at].remove(lead)
        crew = [lead]
        if chance.random() < sample.crew_share and free[at]:
            crew.append(free[at].pop())
        if chance.random() < sample.unassigned_share:
            crew = []
        again = bool(jobs) and chance.random() < sample.return_share
        job = jobs.pop() if again else None
        number = _visit(tenant, chance, basics, at, crew, chance.choice(places), job)
        made += 1
        if not again:
            jobs.append(number)
    if made < sample.appointments:
        raise ValueError("the crews leave no room for all visits: more days or technicians")


def _visit(
    tenant: Tenant,
    chance: random.Random,
    basics: Basics,
    at: datetime,
    crew: list[int],
    place: Row,
    job: int | None,
) -> int:
    kind = chance.randrange(len(WORK))
    _, hours, summary = WORK[kind]
    times: dict[str, Any] = {
        "start": at,
        "end": at + timedelta(hours=hours),
        "arrival_window_start": at,
        "arrival_window_end": at + timedelta(hours=1),
        "technician_ids": crew,
    }
    if job is not None:
        return int(booking.add_appointment(tenant, NewAppointment(job_id=job, **times))["jobId"])
    body = NewJob(
        customer_id=place["customerId"],
        location_id=place["id"],
        business_unit_id=basics.units[0],
        job_type_id=basics.types[kind],
        priority=chance.choice(("Normal", "Normal", "High", "Low")),
        campaign_id=basics.campaign,
        appointments=[FirstAppointment(**times)],
        summary=f"<p>{summary}</p>",
    )
    return int(booking.book_job(tenant, body)["id"])
