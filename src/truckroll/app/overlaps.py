"""Overlaps of technicians' visits, looked up around the visits in question."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from truckroll.dispatch.overlap import Booking, Overlap, overlaps, spans
from truckroll.model.records import Occurrences, as_text
from truckroll.model.time import AllDay, Timed, instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

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
    window = _window(shown, hub.now(), installed.zone)
    if window is None:
        return ()
    lists = [fields.get("people") for fields in shown]
    people = {str(one) for names in lists if isinstance(names, tuple) for one in names}
    return await overlaps_between(hub, installed, *window, people=people) if people else ()


def _window(shown: Iterable[Fields], now: datetime, zone: str) -> tuple[datetime, datetime] | None:
    begins, ends = [], []
    for fields in shown:
        when = fields.get("when")
        if isinstance(when, Timed):
            begins.append(when.begins)
            ends.append(when.ends if when.rule is None else now + HORIZON)
        elif isinstance(when, AllDay):
            begins.append(_midnight(when, zone))
            ends.append(_midnight(when, zone) + A_DAY if when.rule is None else now + HORIZON)
    last = max(ends, default=now)
    return (max(min(begins), now) - A_DAY, last + A_DAY) if begins and last > now else None


def _midnight(when: AllDay, zone: str) -> datetime:
    from datetime import datetime as moment  # noqa: PLC0415 -- the class, beside its annotation
    from datetime import time  # noqa: PLC0415 -- the same

    return instant(moment.combine(when.start, time()), zone)


async def overlaps_between(
    hub: Hub,
    installed: Installed,
    start: datetime,
    end: datetime,
    *,
    people: Collection[str] | None = None,
) -> tuple[Overlap, ...]:
    """Return all overlaps of the source's visits that touch a stretch of time (aware UTC).

    With `people` those of visits that name one of them, and maybe of others too.
    """
    scopes = [scope.id for scope in installed.sources]
    records = await hub.store.appointments_between(scopes, start, end, people=people)
    bookings = [booking for record in records for booking in bookings_of(record)]
    found = spans(bookings, start=start, end=end, zone=installed.zone)
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
