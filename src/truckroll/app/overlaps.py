"""Overlaps of technicians' visits, looked up around the visits in question."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from truckroll.dispatch.overlap import Booking, Overlap, overlaps, spans
from truckroll.model.records import Occurrences, as_text
from truckroll.model.time import AllDay, Timed, instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed
    from truckroll.model.records import Fields
    from truckroll.sync.types import Link, RecordRow

HORIZON = timedelta(days=90)
A_DAY = timedelta(days=1)
OVER = ("cancelled", "canceled", "done", "completed", "complete", "closed")


async def overlaps_of(hub: Hub, installed: Installed, links: Sequence[Link]) -> tuple[Overlap, ...]:
    """Return the overlaps that visits of these links are part of, from now on."""
    if installed.mirror.overlap == "off" or not installed.mirror.per:
        return ()
    shown = [
        end.shown
        for link in links
        for end in link.ends
        if end.side == "source" and end.state == "live"
    ]
    taken = stretches(shown, hub.now(), installed.zone, travel=installed.mirror.travel)
    lists = [fields.get("people") for fields in shown]
    people = {str(one) for names in lists if isinstance(names, tuple) for one in names}
    return await overlaps_in(hub, installed, taken, people=people) if taken and people else ()


def stretches(
    shown: Iterable[Fields], now: datetime, zone: str, *, travel: timedelta
) -> list[tuple[datetime, datetime]]:
    """Return the stretches (aware UTC) that visits take which are not over, by start; with travel.

    Whole days are days of `zone`, a series takes all from its begin to the horizon. Those that
    touch are one.
    """
    found: list[tuple[datetime, datetime]] = []
    for fields in shown:
        when = fields.get("when")
        if isinstance(when, Timed):
            begins, ends = when.begins, when.ends
        elif isinstance(when, AllDay):
            begins, ends = (_midnight(day, zone) for day in (when.start, when.end))
        else:
            continue
        ends = ends if when.rule is None else now + HORIZON
        if ends > max(begins, now):
            found.append((max(begins, now - A_DAY) - travel, ends + travel))
    joined: list[tuple[datetime, datetime]] = []
    for begins, ends in sorted(found):
        if joined and begins <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(ends, joined[-1][1]))
        else:
            joined.append((begins, ends))
    return joined


def _midnight(day: date, zone: str) -> datetime:
    return instant(datetime.combine(day, time()), zone)


async def overlaps_in(
    hub: Hub,
    installed: Installed,
    taken: Sequence[tuple[datetime, datetime]],
    *,
    people: Collection[str] | None = None,
) -> tuple[Overlap, ...]:
    """Return all overlaps of the source's visits that touch stretches of time (aware UTC).

    There is one stretch at least. With `people` those of visits that name one of them, and maybe
    of others too.
    """
    scopes = [scope.id for scope in installed.sources]
    records = await hub.store.appointments_between(scopes, taken, people=people)
    bookings = [booking for record in records for booking in bookings_of(record)]
    first, last = min(start for start, _ in taken), max(stop for _, stop in taken)
    found = spans(bookings, start=first, end=last, zone=installed.zone)
    return overlaps(found.items, travel=installed.mirror.travel)


def bookings_of(record: RecordRow) -> list[Booking]:
    """Return what a visit takes of its technicians' time; nothing once it is over or cancelled."""
    fields = record.fields
    when, people = fields.get("when"), fields.get("people")
    if not isinstance(when, Timed | AllDay) or not isinstance(people, tuple):
        return []
    if as_text(fields.get("status")).casefold() in OVER:
        return []
    exceptions = fields.get("occurrences")
    return [
        Booking(
            technician=person,
            key=f"{record.scope}/{record.external_id}",
            ref=_ref(fields, record.external_id),
            when=when,
            exceptions=exceptions if isinstance(exceptions, Occurrences) else None,
        )
        for person in people
    ]


def _ref(fields: Fields, fallback: str) -> str:
    number, title = as_text(fields.get("number")), as_text(fields.get("title"))
    return " ".join(part for part in (number, title) if part) or fallback
