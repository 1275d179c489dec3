"""Putting visits together from their parts, fifty to a call."""

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from truckroll.connectors.servicetitan import wire
from truckroll.connectors.servicetitan.calls import Broken, Kept, by_ids, path
from truckroll.connectors.servicetitan.wire import (
    Appointment,
    Assignment,
    ContactRow,
    Customer,
    Job,
    Location,
    Named,
    Parts,
    Row,
    Technician,
)
from truckroll.kit.contract import Item, Missing, Seen, Session, Unreadable
from truckroll.kit.normal import content_version

_MERGES = 5  # how many times a merged record is followed
_KEPT = 5_000  # parts of one kind that are remembered during one listing
_ANY = {"active": "Any"}  # lists hide inactive rows otherwise (sheet, section 14)
_R = TypeVar("_R", bound=Row)
_T = TypeVar("_T")
_M = TypeVar("_M", Customer, Location)


class _Gathered(NamedTuple):
    """The parts of some visits, by what they are looked up by."""

    jobs: Mapping[int, Kept[Job]]
    types: Mapping[int, Kept[Named]]
    customers: Mapping[int, Kept[Customer]]
    locations: Mapping[int, Kept[Location]]
    by_customer: Mapping[int, list[Kept[ContactRow]]]
    by_location: Mapping[int, list[Kept[ContactRow]]]
    assignments: Mapping[int, list[Kept[Assignment]]]
    technicians: Mapping[int, Kept[Technician]]


class Composer:
    """Composes visits; parts that several share are asked for once.

    It lives as long as one look at a tenant, so that nothing old is taken for new.
    """

    def __init__(self, session: Session, zone: str) -> None:
        self._session = session
        self._zone = zone
        self._shared: dict[str, dict[int, Kept[Any] | None]] = {}
        self._contacts: dict[str, dict[int, list[Kept[ContactRow]]]] = {}

    def know_job(self, job: Kept[Job]) -> None:
        """Take a job that was read by itself, so that no list is asked for it."""
        self._shared.setdefault("jobs", {})[job.row.id] = job

    async def items(self, rows: Collection[Kept[Appointment]]) -> list[Item]:
        """Return visits as items, in the order given."""
        got = await self._gathered(rows)
        return [self._item(one, got) for one in rows]

    async def _gathered(self, rows: Collection[Kept[Appointment]]) -> _Gathered:
        """Ask for all parts of some visits: jobs, then what these name, then the contacts."""
        jobs, assignments = await asyncio.gather(
            self._of("jpm", "jobs", Job, {one.row.job_id for one in rows}),
            self._assignments({one.row.id for one in rows}),
        )
        of_jobs = [one.row for one in jobs.values()]
        assigned = {one.row.technician_id for some in assignments.values() for one in some}
        customers, locations, types, technicians = await asyncio.gather(
            self._merged("customers", Customer, {one.customer_id for one in of_jobs}),
            self._merged("locations", Location, {one.location_id for one in of_jobs}),
            self._of("jpm", "job-types", Named, {one.job_type_id for one in of_jobs}),
            self._of("settings", "technicians", Technician, assigned),
        )
        by_customer, by_location = await asyncio.gather(
            self._reached("customers", {one.row.id for one in customers.values()}),
            self._reached("locations", {one.row.id for one in locations.values()}),
        )
        return _Gathered(
            jobs, types, customers, locations, by_customer, by_location, assignments, technicians
        )

    def _item(self, visit: Kept[Appointment], got: _Gathered) -> Item:
        """Put one visit together; its raw form are the rows it was made of, as they came."""
        job = got.jobs.get(visit.row.job_id)
        type_ = got.types.get(job.row.job_type_id) if job else None
        customer = got.customers.get(job.row.customer_id) if job else None
        location = got.locations.get(job.row.location_id) if job else None
        contacts = got.by_location.get(location.row.id, []) if location else []
        contacts = contacts + (got.by_customer.get(customer.row.id, []) if customer else [])
        assigned = got.assignments.get(visit.row.id, [])
        ids = dict.fromkeys(one.row.technician_id for one in assigned)
        people = {id_: got.technicians[id_] for id_ in ids if id_ in got.technicians}
        parts = Parts(
            visit.row,
            job.row if job else None,
            type_.row if type_ else None,
            customer.row if customer else None,
            location.row if location else None,
            tuple(one.row for one in contacts),
            tuple(one.row for one in assigned),
            {id_: one.row for id_, one in people.items()},
        )
        single = {"job": job, "jobType": type_, "customer": customer, "location": location}
        several: dict[str, Iterable[Kept[Any]]] = {
            "contacts": contacts,
            "assignments": assigned,
            "technicians": people.values(),
        }
        raw = {
            "appointment": visit.raw,
            **{name: one.raw for name, one in single.items() if one},
            **{name: [one.raw for one in some] for name, some in several.items()},
        }
        return seen(self._session.system, parts, self._zone, msgspec.json.encode(raw))

    async def _of(
        self, module: str, name: str, shape: type[_R], ids: Iterable[int]
    ) -> dict[int, Kept[_R]]:
        """Return shared parts by id: those remembered, and the others in bulk."""
        wanted = {id_ for id_ in ids if id_}
        kept = self._shared.setdefault(name, {})
        found = {id_: kept[id_] for id_ in wanted if id_ in kept}
        fresh = wanted - found.keys()
        if fresh:
            query = of_app(self._session) if name == "jobs" else _ANY
            where = path(self._session, module, name)
            rows = await by_ids(self._session, where, shape, fresh, query)
            got = dict.fromkeys(fresh) | {one.row.id: one for one in rows.kept}
            found |= got
            _remember(kept, got)
        return {id_: one for id_, one in found.items() if one is not None}

    async def _merged(self, name: str, shape: type[_M], ids: Iterable[int]) -> dict[int, Kept[_M]]:
        """Return customers or locations by the id asked for; a merged one is the one it is now."""
        found = await self._of("crm", name, shape, ids)
        for _ in range(_MERGES):
            onward = {
                id_: one.row.merged_to_id for id_, one in found.items() if one.row.merged_to_id
            }
            if not onward:
                break
            there = await self._of("crm", name, shape, onward.values())
            moved = {id_: there[to] for id_, to in onward.items() if to in there}
            if not moved:
                break
            found |= moved
        else:  # who was merged in a circle is nobody that can be named
            found = {id_: one for id_, one in found.items() if not one.row.merged_to_id}
        return found

    async def _assignments(self, ids: Collection[int]) -> dict[int, list[Kept[Assignment]]]:
        """Return the active assignments of visits; they are never remembered."""
        where = path(self._session, "dispatch", "appointment-assignments")
        rows = await by_ids(self._session, where, Assignment, ids, name="appointmentIds")
        found: dict[int, list[Kept[Assignment]]] = {}
        for one in rows.kept:
            if one.row.active:
                found.setdefault(one.row.appointment_id, []).append(one)
        return found

    async def _reached(self, name: str, ids: Collection[int]) -> dict[int, list[Kept[ContactRow]]]:
        """Return the contacts of customers or locations."""
        kept = self._contacts.setdefault(name, {})
        found = {id_: kept[id_] for id_ in ids if id_ in kept}
        fresh = set(ids) - found.keys()
        if fresh:
            where = path(self._session, "crm", f"{name}/contacts")
            whose = f"{name.removesuffix('s')}Ids"
            rows = await by_ids(self._session, where, ContactRow, fresh, name=whose)
            got: dict[int, list[Kept[ContactRow]]] = {id_: [] for id_ in fresh}
            for one in rows.kept:
                owner = one.row.customer_id if name == "customers" else one.row.location_id
                got.setdefault(owner, []).append(one)
            found |= got
            _remember(kept, got)
        return found


def _remember(kept: dict[int, _T], got: Mapping[int, _T]) -> None:
    if len(kept) + len(got) > _KEPT:
        kept.clear()
    kept.update(got)


def app_guid(session: Session) -> str:
    """Return the GUID under which the app keeps its external data, "" where none was given."""
    return session.settings.get("app_guid", "").strip()


def of_app(session: Session) -> dict[str, str]:
    """Return the query with which jobs show the app's external data, where there is a GUID."""
    guid = app_guid(session)
    return {"externalDataApplicationGuid": guid} if guid else {}


def seen(system: str, parts: Parts, zone: str, raw: bytes) -> Item:
    """Return a visit as an item: Missing where the hub took it out (`removing`).

    Unreadable where its times make no sense.
    The vendor has no version (sheet, section 10), so a digest of the content stands for it.
    """
    id_ = str(parts.appointment.id)
    if wire.is_out(parts.job, parts.appointment):
        return Missing(id_)
    try:
        fields, lacks = wire.fields_of(parts, zone)
    except ValueError as error:
        return unreadable(system, id_, str(error), raw)
    mark = wire.mark_of(parts.job, parts.appointment)
    problems = (f"{system} does not show {lacks} of this visit.",) if lacks else ()
    return Seen(id_, fields, content_version(fields, mark), raw, mark=mark, problems=problems)


def with_people(item: Seen, people: tuple[str, ...]) -> Seen:
    """Return a visit with these people assigned."""
    fields = {**item.fields, "people": people}
    return msgspec.structs.replace(item, fields=fields, version=content_version(fields, item.mark))


def broken(system: str, row: Broken) -> Unreadable:
    """Return the item of a visit whose row has another form than the vendor describes."""
    return unreadable(
        system, str(row.id), f"its data has an unknown form: {row.why}", bytes(row.raw)
    )


def unreadable(system: str, id_: str, why: str, raw: bytes) -> Unreadable:
    """Return the item of a visit that cannot be read, with the reason as a sentence."""
    version = hashlib.blake2b(raw, digest_size=12).hexdigest()
    reason = (
        f'The appointment "{id_}" at {system} cannot be read: {why}. Mend it there; the others '
        "are not affected."
    )
    return Unreadable(id_, reason, raw, version)
