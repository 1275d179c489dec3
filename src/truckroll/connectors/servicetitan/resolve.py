"""From changed parts to the visits that show them."""

import asyncio
from datetime import datetime
from typing import Any, NamedTuple

from truckroll.connectors.servicetitan.calls import listed, path
from truckroll.connectors.servicetitan.wire import (
    Appointment,
    Assignment,
    ContactRow,
    Job,
    Location,
    Row,
    instant_text,
)
from truckroll.kit.contract import Session
from truckroll.kit.errors import StartOver

MOST_LOOKED_UP = 2_000
_AT_ONCE = 50
_BOTH_ENDS = 2  # visits of a job that it names itself: the first and the last


class Lookup(NamedTuple):
    """A question for visits or jobs by something that they hang on."""

    list: str
    by: str
    id: int


class Trail(NamedTuple):
    """Visits that changed rows concern, and what must be asked to find the others."""

    ids: set[int]
    lookups: set[Lookup]


def follow(feed: str, row: Row, trail: Trail) -> None:
    """Add to a trail what a changed row of a feed concerns."""
    ids, lookups = trail
    if isinstance(row, Assignment):
        ids.add(row.appointment_id)
    elif isinstance(row, Job) and row.appointment_count <= _BOTH_ENDS:
        ids.update({row.first_appointment_id, row.last_appointment_id} - {0})
    elif isinstance(row, Job):
        lookups.add(Lookup("appointments", "jobId", row.id))
    elif isinstance(row, Location):
        lookups.add(Lookup("jobs", "locationId", row.id))
    elif isinstance(row, ContactRow) and row.location_id:
        lookups.add(Lookup("jobs", "locationId", row.location_id))
    elif isinstance(row, ContactRow):
        lookups.add(Lookup("appointments", "customerId", row.customer_id))
    else:
        by = "technicianId" if feed == "technicians" else "customerId"
        lookups.add(Lookup("appointments", by, row.id))


async def look_up(
    session: Session, trail: Trail, since: datetime, *, most: int | None = MOST_LOOKED_UP
) -> set[int]:
    """Return the visits of a trail; those looked up start at or after `since`.

    Raises StartOver where more than `most` must be looked up: a whole listing is cheaper.
    """
    found, pending = set(trail.ids), sorted(trail.lookups)
    if most is not None and len(pending) > most:
        raise StartOver(
            f"{session.system} tells of {len(pending)} changed customers, locations and jobs at "
            "once; everything is read again, which takes less."
        )
    while pending:
        batch, pending = pending[:_AT_ONCE], pending[_AT_ONCE:]
        more = Trail(found, set())
        for rows in await asyncio.gather(*(_asked(session, one, since) for one in batch)):
            for row in rows:
                if isinstance(row, Appointment):
                    found.add(row.id)
                else:
                    follow("jobs", row, more)
        pending.extend(sorted(more.lookups))
    return found


async def _asked(session: Session, one: Lookup, since: datetime) -> list[Row]:
    where = path(session, "jpm", one.list)
    query: dict[str, Any] = {one.by: one.id}
    if one.list == "jobs":
        jobs = await listed(
            session, where, Job, query | {"appointmentStartsOnOrAfter": instant_text(since)}
        )
        return [kept.row for kept in jobs.kept]
    visits = await listed(
        session, where, Appointment, query | {"startsOnOrAfter": instant_text(since)}
    )
    return [*(kept.row for kept in visits.kept), *(Appointment(one.id) for one in visits.broken)]
