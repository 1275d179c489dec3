"""Technicians' time as it is known now: what is seen of it, what is claimed, and what is free."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from truckroll.app.overlaps import bookings_of
from truckroll.dispatch.claims import Claimed, Occupied, Wish
from truckroll.dispatch.overlap import Booking, Span, spans
from truckroll.dispatch.slots import Hours, Slot, free_slots
from truckroll.model.records import Occurrences, as_text, person_text
from truckroll.model.time import AllDay, Timed, wall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed
    from truckroll.recipes.mirror import Mirror
    from truckroll.sync.ports import OpenStep, StoredScope
    from truckroll.sync.types import End, Outcome, RecordRow, Step

LASTS = timedelta(minutes=10)  # longer than any call takes, and soon over if its process dies
AHEAD = timedelta(days=14)
LATELY = timedelta(days=30)  # who had no visit for so long, and has no calendar, works here no more
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Watched:
    """Where technicians' time is seen: scopes of visits, and whose each calendar is.

    `ids` are the technicians by name. `zone` is the company's, `travel` lies between visits.
    """

    visits: tuple[int, ...]
    calendars: Mapping[int, tuple[str, ...]]
    ids: Mapping[str, int]
    zone: str
    travel: timedelta

    def bookings(self, records: Iterable[RecordRow]) -> list[Booking]:
        """Return what records say of technicians' time: visits, and what is in their calendars."""
        places = frozenset(self.visits)
        found: list[Booking] = []
        for record in records:
            if record.scope in places:
                found += bookings_of(record)
            else:
                found += _busy(record, self.calendars.get(record.scope, ()))
        return [one for one in found if one.technician in self.ids]

    def occupied(
        self, records: Sequence[RecordRow], start: datetime, end: datetime
    ) -> list[Occupied]:
        """Return what records take of technicians' time between two aware instants."""
        seen = spans(self.bookings(records), start=start, end=end, zone=self.zone)
        return [
            Occupied(
                self.ids[one.booking.technician],
                one.begins,
                one.ends,
                one.booking.key,
                one.booking.ref,
                one.travels,
            )
            for one in seen.items
        ]


@dataclass(frozen=True, slots=True)
class Times:
    """Technicians' time between two instants: spans by technician's id, and the hours worked."""

    watched: Watched
    spans: Mapping[int, tuple[Span, ...]]
    hours: Hours
    records: tuple[RecordRow, ...]
    start: datetime
    end: datetime

    def of(self, name: str, *, but: Sequence[str] = ()) -> list[Span]:
        """Return what is in a technician's way, but for the visits of these keys."""
        mine = self.spans.get(self.watched.ids.get(name, 0), ())
        return [one for one in mine if one.booking.key not in but]

    def next_free(
        self,
        name: str,
        length: timedelta,
        after: datetime,
        *,
        but: Sequence[str] = (),
        limit: int = 3,
    ) -> tuple[Slot, ...]:
        """Return a technician's next free slots for a visit of that length."""
        return free_slots(
            self.of(name, but=but),
            length=length,
            after=max(after, self.start),
            before=self.end,
            hours=self.hours,
            travel=self.watched.travel,
            limit=limit,
        )


async def watch(hub: Hub, installed: Installed, names: Iterable[str] = ()) -> Watched:
    """Return where the time of a recipe's technicians is seen; `names` are known besides."""
    calendars: dict[int, tuple[str, ...]] = {}
    for person, places in installed.people.items():
        for place in places:
            calendars[place.scope] = (*calendars.get(place.scope, ()), person)
    visits = await _visit_scopes(hub, installed)
    seen = await hub.store.people_seen(list(visits), since=hub.now() - LATELY)
    return Watched(
        visits=visits,
        calendars=calendars,
        ids=await hub.store.technicians([*seen, *installed.people, *names]),
        zone=installed.zone,
        travel=installed.mirror.travel,
    )


async def times_between(
    hub: Hub, installed: Installed, start: datetime, end: datetime, watched: Watched | None = None
) -> Times:
    """Return technicians' time between two aware instants, as it was seen last."""
    watched = watched or await watch(hub, installed)
    first, last = start - _DAY, end + _DAY
    records = await hub.store.observed_between(watched.visits, list(watched.calendars), first, last)
    seen = spans(watched.bookings(records), start=first, end=last, zone=watched.zone).items
    ids = sorted(set(watched.ids.values()))
    claims = await hub.store.claims_between(ids, first, last, at=hub.now())
    by_id: dict[int, list[Span]] = {one: [] for one in ids}
    for span in seen:
        by_id[watched.ids[span.booking.technician]].append(span)
    for claim in claims:
        by_id[claim.technician].append(_claimed(claim))
    return Times(
        watched=watched,
        spans={key: tuple(items) for key, items in by_id.items()},
        hours=Hours(zone=watched.zone).widened(seen),
        records=tuple(records),
        start=start,
        end=end,
    )


async def claim(
    hub: Hub, watched: Watched, wishes: Sequence[Wish], *, run: int = 0, busy: bool = True
) -> Claimed:
    """Claim technicians' time for visits, all or none; see `store.slots`.

    Without `busy` what stands in the calendars beside visits is not in the way.
    """
    start = min(one.begins for one in wishes) - watched.travel
    end = max(one.ends for one in wishes) + watched.travel
    technicians = {one.technician for one in wishes}
    names = [name for name, id_ in watched.ids.items() if id_ in technicians]
    theirs = [key for key, owners in watched.calendars.items() if not set(owners).isdisjoint(names)]
    at = hub.now()
    return await hub.store.claim(
        wishes,
        at=at,
        expires=at + LASTS,
        run=run,
        travel=watched.travel,
        visits=watched.visits,
        calendars=theirs if busy else (),
        names=names,
        read=lambda records: watched.occupied(records, start, end),
    )


def slot_text(slot: Slot, zone: str) -> str:
    """Return a slot as people read it: Tue 1 Dec 10:00–11:00."""
    return as_text(timed(slot.begins, slot.ends, zone))


def timed(begins: datetime, ends: datetime, zone: str) -> Timed:
    """Return the time of a visit between two aware instants, in the wall time of a zone."""
    start, fold = wall(begins, zone)
    return Timed(start=start, zone=zone, seconds=int((ends - begins).total_seconds()), fold=fold)


class Placing:
    """Implements `sync.ports.Slots`: the visits of a pass claim their technicians' time.

    A visit that meets another one, or one that is just being placed, is not written.
    """

    def __init__(self, hub: Hub, installed: Installed) -> None:
        self._hub = hub
        self._installed = installed
        self._watched: Watched | None = None
        self._claims: dict[int, tuple[int, ...]] = {}

    async def take(self, opened: OpenStep) -> str:
        """Claim the time in which a step places a visit; return "", or why it cannot be had."""
        names, when = _placed(opened.step, self._installed.mirror)
        if when is None or when.ends <= self._hub.now():
            return ""
        if self._watched is None or any(name not in self._watched.ids for name in names):
            self._watched = await watch(self._hub, self._installed, names)
        visit = await self._key(opened.step)
        ids = {self._watched.ids[name]: name for name in names}
        wishes = [Wish(one, when.begins, when.ends, visit, opened.step.ref) for one in ids]
        made = await claim(self._hub, self._watched, wishes, busy=False)
        self._claims[opened.id] = made.ids
        if not made.clashes:
            return ""
        clash = made.clashes[0]
        return await self._says(ids[clash.wish.technician], clash.taken, when, visit)

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Give up the claims of steps whose outcomes are stored, save of those in doubt."""
        over = [one.step for one in outcomes if one.kind != "unknown"]
        ids = [id_ for step in over for id_ in self._claims.pop(step, ())]
        await self._hub.store.release_claims(ids)

    async def _key(self, step: Step) -> str:
        (link,) = await self._hub.store.links([step.link])
        return visit_key(link.ends) or f"link {link.id}"

    async def _says(self, name: str, taken: Occupied, when: Timed, visit: str) -> str:
        start = self._hub.now()
        times = await times_between(
            self._hub, self._installed, start, max(start, when.begins) + AHEAD, self._watched
        )
        free = times.next_free(name, when.ends - when.begins, when.begins, but=[visit])
        said = "; ".join(slot_text(one, self._installed.zone) for one in free)
        return (
            f"it meets {taken.ref or 'another visit'} in the time of {person_text(name)}, "
            f"who is free next: {said or 'not in the coming two weeks'}"
        )


def visit_key(ends: Iterable[End]) -> str:
    """Return the key by which a link's visit is known in technicians' time, "" without one."""
    shown = [end for end in ends if end.side == "source" and end.external_id]
    return f"{shown[-1].scope}/{shown[-1].external_id}" if shown else ""


def _placed(step: Step, mirror: Mirror) -> tuple[tuple[str, ...], Timed | None]:
    """Return whom a step books, and when; None where it places no single visit."""
    when, people = step.fields.get("when"), step.whole.get(mirror.per)
    if step.op not in ("create", "update") or not isinstance(when, Timed) or when.rule is not None:
        return (), None
    if step.whole.get("status") in ("cancelled", "done"):
        return (), None
    names = (step.key,) if step.key else people if isinstance(people, tuple) else ()
    return (tuple(map(str, names)), when) if names else ((), None)


def _claimed(one: Occupied) -> Span:
    when = timed(one.begins, one.ends, "UTC")
    booking = Booking(technician=str(one.technician), key=one.visit, ref=one.ref, when=when)
    return Span(booking, one.begins, one.ends)


def _busy(record: RecordRow, owners: Sequence[str]) -> list[Booking]:
    """Return what stands in somebody's calendar beside visits, as time off."""
    when, exceptions = record.fields.get("when"), record.fields.get("occurrences")
    free = record.fields.get("busy") is False or record.fields.get("status") == "cancelled"
    if free or not isinstance(when, Timed | AllDay):
        return []
    return [
        Booking(
            technician=owner,
            key=f"{record.scope}/{record.external_id}",
            ref="something in their calendar",
            when=when,
            exceptions=exceptions if isinstance(exceptions, Occurrences) else None,
            kind="time_off",
        )
        for owner in owners
    ]


async def _visit_scopes(hub: Hub, installed: Installed) -> tuple[int, ...]:
    """Return the scopes from which any recipe takes visits for technicians' calendars."""
    from truckroll.app.installed import bound  # noqa: PLC0415 -- it imports this module
    from truckroll.recipes.check import load  # noqa: PLC0415 -- one recipe alone needs none of it

    found = {one.id for one in installed.sources}
    others = [row for row in await hub.store.recipes() if row.id != installed.row.id]
    scopes: Sequence[StoredScope] = await hub.store.scopes() if others else ()
    for row in others:
        recipe = load(row.toml, row.name)
        if not isinstance(recipe, list) and next(iter(recipe.mirrors.values())).per:
            theirs = bound(row.bindings.get("from", ""), scopes, installed.accounts)
            found |= {one.id for one in theirs}
    return tuple(sorted(found))
