"""A technician's day around something that happened: what can be moved, what stays, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.slots import visit_key
from truckroll.app.systems import connector
from truckroll.app.views import called
from truckroll.dispatch.fitting import OpenJob
from truckroll.dispatch.moving import Visit
from truckroll.model.records import Address, as_text, person_text
from truckroll.model.time import Timed, instant, zone_info
from truckroll.sync.types import RecordRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from truckroll.app.happened import Happening
    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed
    from truckroll.app.slots import Times
    from truckroll.dispatch.overlap import Span
    from truckroll.sync.types import End, Link

_OPEN = frozenset({"", "tentative", "scheduled", "confirmed"})
_MOVABLE_HOLDS = frozenset({"", "unassigned", "overlap"})


class Known(msgspec.Struct, frozen=True):
    """What is known of a visit by its key: its link, its names, its zone, why it cannot move."""

    link: int
    ref: str
    number: str
    zone: str
    fixed: str
    record: RecordRow


@dataclass(frozen=True, slots=True)
class Day:
    """A technician's day. `own` is the visit in question as it is now, `visits` all else.

    `until` is the end of the day, `closes` that of its hours (aware UTC). `place` is where the
    visit in question is, or was. `known` are the visits that the source has, by key.
    """

    times: Times
    technician: str
    visits: tuple[Visit, ...]
    own: Visit
    until: datetime
    closes: datetime
    place: Address | None
    known: Mapping[str, Known]

    def open_jobs(self) -> list[OpenJob]:
        """Return nobody's jobs, and the technician's visits that stand for a later day."""
        return [job for key, one in self.known.items() if (job := self._open(key, one)) is not None]

    def _open(self, key: str, one: Known) -> OpenJob | None:
        fields = one.record.fields
        when, people, place = (fields.get(name) for name in ("when", "people", "location"))
        assigned = bool(people)
        if one.fixed or not isinstance(when, Timed):
            return None
        if assigned and (people != (self.technician,) or when.begins < self.until):
            return None
        earliest, latest = _window(fields.get("window"))
        return OpenJob(
            key=key,
            ref=one.ref,
            length=when.ends - when.begins,
            due=when.begins,
            assigned=assigned,
            earliest=earliest,
            latest=latest,
            place=place if isinstance(place, Address) else None,
            skill=as_text(fields.get("job_type")),
        )

    def knows(self) -> frozenset[str] | None:
        """Return the kinds of work that the technician's visits show, None where none do."""
        return skills(self.times.records).get(self.technician)


def skills(records: Sequence[RecordRow]) -> dict[str, frozenset[str]]:
    """Return by technician the kinds of work that their visits show."""
    found: dict[str, frozenset[str]] = {}
    for one in records:
        kind, people = as_text(one.fields.get("job_type")), one.fields.get("people")
        if kind and isinstance(people, tuple):
            for name in people:
                found[name] = found.get(name, frozenset()) | {kind}
    return found


class Days:
    """The days of technicians, with what the hub knows of the visits in them."""

    def __init__(self, installed: Installed, times: Times, links: Mapping[int, Link]) -> None:
        self._times = times
        self._links = links
        self._zone = zone_info(installed.zone)
        sources = {one.id: one for one in installed.sources}
        self._known: dict[str, Known] = {}
        for record in times.records:
            if record.scope in sources and record.id in links:
                key = f"{record.scope}/{record.external_id}"
                link = links[record.id]
                stays = "" if _writable(installed, record.scope) else "its system is not written to"
                self._known[key] = _known(record, link, times.start, stays)

    def of(self, one: Happening, link: Link) -> Day:
        """Return the day on which something happened to the visit of a link."""
        first, until = self._bounds(one.begins)
        name, own_key = one.technician, visit_key(link.ends)
        now = one.new or one.old
        mine = self._times.of(name, but=[own_key])
        place = link.agreed.get("location")
        shift = self._times.hours.of(first.astimezone(self._zone).date())
        return Day(
            times=self._times,
            technician=name,
            visits=tuple(
                self._visit(span) for span in mine if span.begins < until and span.ends > first
            ),
            own=Visit(key=own_key, ref=one.ref, begins=now.begins, ends=now.ends, fixed="itself"),
            until=until,
            closes=shift[1] if shift else until,
            place=place if isinstance(place, Address) else None,
            known={key: known for key, known in self._known.items() if key != own_key},
        )

    def _bounds(self, at: datetime) -> tuple[datetime, datetime]:
        day = at.astimezone(self._zone).date()
        days = (day, day + timedelta(days=1))
        first, last = (instant(datetime.combine(one, time()), self._zone.key) for one in days)
        return first, last

    def _visit(self, span: Span) -> Visit:
        key = span.booking.key
        known = self._known.get(key)
        fixed = "it is not a visit of this recipe" if known is None else known.fixed
        earliest, latest = _window(known.record.fields.get("window") if known else None)
        return Visit(
            key=key,
            ref=span.booking.ref,
            begins=span.begins,
            ends=span.ends,
            fixed=fixed,
            earliest=earliest,
            latest=latest,
            travels=span.travels,
        )


async def days_of(hub: Hub, installed: Installed, times: Times, names: set[str]) -> Days:
    """Return the days of technicians by name, and nobody's jobs."""
    concerned = [
        one.id
        for one in times.records
        if isinstance(people := one.fields.get("people"), tuple)
        and (not people or names.intersection(people))
    ]
    of_records = await hub.store.links_of(installed.mirror_id, concerned)
    links = {one.id: one for one in await hub.store.links(sorted(set(of_records.values())))}
    return Days(installed, times, {record: links[link] for record, link in of_records.items()})


def _writable(installed: Installed, scope: int) -> bool:
    stored = next(one for one in installed.sources if one.id == scope)
    resource = connector(installed.accounts[stored.account].system).resource(installed.mirror.kind)
    able = resource.update is not None and {"when", "people"} <= resource.writes
    return able and stored.scope.writable


def _known(record: RecordRow, link: Link, now: datetime, stays: str) -> Known:
    fields = record.fields
    number, title = as_text(fields.get("number")), as_text(fields.get("title"))
    when = fields.get("when")
    ref = called(number, title) or record.external_id
    zone = when.zone if isinstance(when, Timed) else "UTC"
    return Known(link.id, ref, number, zone, stays or _fixed(record, link, now), record)


def _fixed(record: RecordRow, link: Link, now: datetime) -> str:
    """Say why a visit stays where it is, "" where it may be moved."""
    when, people = record.fields.get("when"), record.fields.get("people")
    if not isinstance(when, Timed):
        return "it takes whole days"
    if when.rule is not None:
        return "it repeats"
    if isinstance(people, tuple) and len(people) > 1:
        return f"several people go: {', '.join(map(person_text, people))}"
    status = as_text(link.agreed.get("status"))
    if status not in _OPEN or (people and when.begins <= now):
        return "it is under way" if status != "done" else "it is done"
    if link.state != "live" or link.hold not in _MOVABLE_HOLDS or not record.owned:
        return "something of it waits for a person"
    return "something of it waits for a person" if any(map(_waits, link.ends)) else ""


def _waits(end: End) -> bool:
    return end.open or not end.holds.keys().isdisjoint({"when", "people", "existence", "write"})


def _window(value: object) -> tuple[datetime | None, datetime | None]:
    """Return between what instants somebody was told to expect a visit to begin."""
    return (value.begins, value.ends) if isinstance(value, Timed) else (None, None)
