"""What is somebody's own: a technician's visits, and the work orders of a customer or partner.

A member stands for a person of the people map, or for a contact by their mail address; an
administrator said so. Everything else is not there for them.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.installed import Installed, load_all
from truckroll.app.slots import LATELY, timed
from truckroll.app.trouble import TroubleError
from truckroll.dispatch.overlap import Booking, spans
from truckroll.model.records import Contact, Occurrences, as_text, person_text
from truckroll.model.time import AllDay, Timed, instant, wall

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from truckroll.app.hub import Hub
    from truckroll.dispatch.overlap import Span
    from truckroll.store.members import Member
    from truckroll.sync.types import RecordRow

AHEAD = timedelta(days=15)  # today, and the fourteen days after


class VisitView(msgspec.Struct, frozen=True, kw_only=True):
    """A visit of the technician's own. `begins` and `ends` are aware UTC, `when` is for people.

    `others` are the technicians who come along.
    """

    number: str
    title: str
    begins: datetime
    ends: datetime
    when: str
    status: str
    job_type: str
    location: str
    customer: str
    contact: str
    materials: str
    notes: str
    others: list[str]


class OrderVisit(msgspec.Struct, frozen=True, kw_only=True):
    """When somebody comes, as it is planned, and who."""

    when: str
    status: str
    technicians: list[str]


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """A work order as its customer sees it."""

    number: str
    title: str
    location: str
    visits: list[OrderVisit]


async def visits(hub: Hub) -> list[VisitView]:
    """Return the visits of the person that the acting member stands for, by start.

    They are those of today and of the next fourteen days, as the sources showed them last.
    """
    member = await _member(hub)
    if member is None or not member.person:
        return []
    found: dict[tuple[str, datetime], VisitView] = {}
    for installed in await _installed(hub):
        found |= await _visits(hub, installed, member.person)
    return sorted(found.values(), key=lambda one: (one.begins, one.number))


async def order(hub: Hub, number: str) -> OrderView:
    """Return a work order of the acting member's own, by its number.

    It is theirs where the contact's mail address is theirs. Raises TroubleError where there is
    none: whether somebody else has it is not told.
    """
    member = await _member(hub)
    mail = _mail(member.mail) if member is not None else ""
    sources = {one.id for installed in await _installed(hub) for one in installed.sources}
    rows = await hub.store.records_numbered(number, sorted(sources)) if mail else []
    theirs = [one for one in rows if _mail_of(one) == mail]
    if not theirs:
        raise TroubleError(f"there is no work order {number} of yours", usage=True)
    first = theirs[0].fields
    return OrderView(
        number=as_text(first.get("number")),
        title=as_text(first.get("title")),
        location=as_text(first.get("location")),
        visits=[_order_visit(one) for one in theirs],
    )


async def _member(hub: Hub) -> Member | None:
    found = await hub.store.members(hub.actor.name)
    return found[0] if found else None


async def _installed(hub: Hub) -> list[Installed]:
    found = await load_all(hub)
    return [one for one in found.values() if isinstance(one, Installed)]


async def _visits(
    hub: Hub, installed: Installed, person: str
) -> dict[tuple[str, datetime], VisitView]:
    scopes = [one.id for one in installed.sources]
    names = await hub.store.people_seen(scopes, since=hub.now() - LATELY)
    name = _name({*names, *installed.people}, person)
    today, _ = wall(hub.now(), installed.zone)
    start = instant(datetime.combine(today.date(), time()), installed.zone)
    end = start + AHEAD
    rows = await hub.store.appointments_between(scopes, [(start, end)], people=[name])
    mine = {f"{one.scope}/{one.external_id}": one for one in rows}
    seen = spans(_bookings(mine), start=start, end=end, zone=installed.zone).items
    return {
        (one.booking.key, one.begins): _view(one, mine[one.booking.key], name, installed.zone)
        for one in seen
    }


def _name(names: Collection[str], person: str) -> str:
    """Return the name of a person in a system; "" where nobody or several may be meant."""
    if person in names:
        return person
    wanted = person.casefold()
    meant = [one for one in names if person_text(one).casefold() == wanted]
    return meant[0] if len(meant) == 1 else ""


def _people(row: RecordRow) -> frozenset[str]:
    people = row.fields.get("people")
    return frozenset(people) if isinstance(people, tuple) else frozenset()


def _bookings(rows: Mapping[str, RecordRow]) -> Iterable[Booking]:
    for key, row in rows.items():
        when, exceptions = row.fields.get("when"), row.fields.get("occurrences")
        if isinstance(when, Timed | AllDay):
            known = exceptions if isinstance(exceptions, Occurrences) else None
            yield Booking(technician="", key=key, ref="", when=when, exceptions=known)


def _view(span: Span, row: RecordRow, name: str, zone: str) -> VisitView:
    fields = row.fields
    return VisitView(
        number=as_text(fields.get("number")) or row.external_id,
        title=as_text(fields.get("title")),
        begins=span.begins,
        ends=span.ends,
        when=_when(span, zone),
        status=as_text(fields.get("status")),
        job_type=as_text(fields.get("job_type")),
        location=as_text(fields.get("location")),
        customer=as_text(fields.get("customer")),
        contact=as_text(fields.get("contact")),
        materials=as_text(fields.get("materials")),
        notes=as_text(fields.get("notes")),
        others=sorted(map(person_text, _people(row) - {name})),
    )


def _when(span: Span, zone: str) -> str:
    when = span.booking.when
    if isinstance(when, Timed):
        return as_text(timed(span.begins, span.ends, when.zone))
    return as_text(AllDay(start=_day(span.begins, zone), end=_day(span.ends, zone)))


def _day(at: datetime, zone: str) -> date:
    return wall(at, zone)[0].date()


def _order_visit(row: RecordRow) -> OrderVisit:
    return OrderVisit(
        when=as_text(row.fields.get("when")),
        status=as_text(row.fields.get("status")),
        technicians=sorted(map(person_text, _people(row))),
    )


def _mail_of(row: RecordRow) -> str:
    contact = row.fields.get("contact")
    return _mail(contact.mail) if isinstance(contact, Contact) else ""


def _mail(text: str) -> str:
    return text.strip().casefold()
