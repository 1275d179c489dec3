"""Conflicts: where technicians are booked twice, and who could go, or when, in their place."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.certain import unseen
from truckroll.app.days import skills
from truckroll.app.installed import load_installed
from truckroll.app.overlaps import overlaps_in
from truckroll.app.slots import AHEAD, slot_text, times_between
from truckroll.app.sources import read_sources
from truckroll.dispatch.slots import is_free
from truckroll.model.records import as_text, person_text
from truckroll.model.time import Timed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truckroll.app.hub import Hub
    from truckroll.app.slots import Times
    from truckroll.dispatch.overlap import Booking, Overlap
    from truckroll.sync.types import RecordRow

_FREE = 3
_LOOKED_INTO = 50  # who is booked twice more often than this has another trouble


class ConflictView(msgspec.Struct, frozen=True, kw_only=True):
    """Two visits of one technician that get in each other's way.

    `minutes` is how much time is missing, of which `travel_minutes` are travel. `starts` is when
    the later visit begins (aware UTC); `first` and `second` are the visits as people call them.
    `slots` are when the technician is free next for the visit that could be moved, and `free` who
    else is free when it is; those who are known to do such work come first. Where it is uncertain
    what stands in somebody's calendar, that is said beside it.
    """

    technician: str
    first: str
    second: str
    first_when: str
    second_when: str
    minutes: int
    travel_minutes: int
    starts: datetime
    slots: list[str] = []
    free: list[str] = []


async def conflicts(hub: Hub, recipe: str = "", *, days: int = 30) -> list[ConflictView]:
    """Return the overlaps from now on for so many days, by start, as the source shows them now."""
    installed = await load_installed(hub, recipe)
    await read_sources(hub, installed)
    start = hub.now()
    found = await overlaps_in(hub, installed, [(start, start + timedelta(days=days))])
    if not found:
        return []
    last = max(one.starts for one in found)
    times = await times_between(hub, installed, start, max(start, last) + AHEAD)
    records = {f"{one.scope}/{one.external_id}": one for one in times.records}
    known, doubtful = skills(times.records), frozenset(await unseen(hub, installed))
    return [
        _view(one, times, records, known, doubtful) if at < _LOOKED_INTO else _bare(one)
        for at, one in enumerate(found)
    ]


def _view(
    one: Overlap,
    times: Times,
    records: Mapping[str, RecordRow],
    known: Mapping[str, frozenset[str]],
    doubtful: frozenset[str],
) -> ConflictView:
    """Return a conflict with what could be done about the visit that begins later."""
    visit = one.b if one.b.kind == "visit" else one.a
    record = records.get(visit.key)
    if record is None or not isinstance(visit.when, Timed):
        return _bare(one)
    length = visit.when.ends - visit.when.begins
    begins = one.starts if visit is one.b else visit.when.begins
    slots = times.next_free(one.technician, length, begins, but=[visit.key])
    zone = times.watched.zone
    return msgspec.structs.replace(
        _bare(one),
        slots=[_doubted(slot_text(slot, zone), one.technician in doubtful) for slot in slots],
        free=_free(times, record, (begins, begins + length), known, doubtful),
    )


def _free(
    times: Times,
    record: RecordRow,
    visit: tuple[datetime, datetime],
    known: Mapping[str, frozenset[str]],
    doubtful: frozenset[str],
) -> list[str]:
    people, work = record.fields.get("people"), as_text(record.fields.get("job_type"))
    ids = times.watched.ids
    busy = {ids[name] for name in people if name in ids} if isinstance(people, tuple) else set()
    found: dict[int, tuple[bool, bool, str]] = {}
    for name, technician in ids.items():
        able = bool(work) and work in known.get(name, ())
        free = is_free(times.of(name), *visit, times.watched.travel)
        if technician in busy or not free or found.get(technician, (False,))[0]:
            continue
        found[technician] = (able, name in doubtful, person_text(name))
    ranked = sorted(found.values(), key=lambda one: (not one[0], one[1], one[2]))
    return [
        _doubted(f"{name} (has done {work})" if able else name, doubted)
        for able, doubted, name in ranked[:_FREE]
    ]


def _doubted(text: str, doubted: bool) -> str:
    return f"{text} (uncertain)" if doubted else text


def _bare(one: Overlap) -> ConflictView:
    return ConflictView(
        technician=person_text(one.technician),
        first=one.a.ref,
        second=one.b.ref,
        first_when=_when(one.a),
        second_when=_when(one.b),
        minutes=one.minutes,
        travel_minutes=one.travel_minutes,
        starts=one.starts,
    )


def _when(booking: Booking) -> str:
    return as_text(booking.when)
