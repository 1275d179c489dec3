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

_MOST_LOOKED_UP = 2_000
_AT_ONCE = 50
_BOTH_ENDS = 2  # visits of a job that it names itself: the first and the last


class Lookup(NamedTuple):
    """A question for visits or jobs by something that they hang on."""

    list: str
    by: str
    id: int


def leads(feed: str, row: Row) -> tuple[set[int], set[Lookup]]:
    """Return the visits that a changed row concerns, and what must be asked to find the others."""
    if isinstance(row, Assignment):
        return {row.appointment_id}, set()
    if isinstance(row, Job):
        if row.appointment_count > _BOTH_ENDS:
            return set(), {Lookup("appointments", "jobId", row.id)}
        return {row.first_appointment_id, row.last_appointment_id} - {0}, set()
    if isinstance(row, Location):
        return set(), {Lookup("jobs", "locationId", row.id)}
    if isinstance(row, ContactRow):
        if row.location_id:
            return set(), {Lookup("jobs", "locationId", row.location_id)}
        return set(), {Lookup("appointments", "customerId", row.customer_id)}
    by = "technicianId" if feed == "technicians" else "customerId"
    return set(), {Lookup("appointments", by, row.id)}


async def look_up(session: Session, lookups: set[Lookup], since: datetime) -> set[int]:
    """Return the visits, starting at or after `since`, that these questions find.

    Raises StartOver where they are so many that a whole listing is cheaper.
    """
    if len(lookups) > _MOST_LOOKED_UP:
        raise StartOver(
            f"{session.system} tells of {len(lookups)} changed customers, locations and jobs at "
            "once; everything is read again, which takes less."
        )
    found: set[int] = set()
    pending = sorted(lookups)
    while pending:
        batch, pending = pending[:_AT_ONCE], pending[_AT_ONCE:]
        answers = await asyncio.gather(*(_asked(session, one, since) for one in batch))
        for rows in answers:
            for row in rows:
                if isinstance(row, Appointment):
                    found.add(row.id)
                else:
                    ids, more = leads("jobs", row)
                    found |= ids
                    pending.extend(more)
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
