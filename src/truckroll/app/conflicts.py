"""Conflicts: where technicians are booked twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.installed import load_installed
from truckroll.app.overlaps import overlaps_between
from truckroll.app.sources import read_sources
from truckroll.model.records import as_text, person_text

if TYPE_CHECKING:
    from truckroll.app.hub import Hub
    from truckroll.dispatch.overlap import Booking, Overlap


class ConflictView(msgspec.Struct, frozen=True, kw_only=True):
    """Two visits of one technician that get in each other's way.

    `minutes` is how much time is missing, of which `travel_minutes` are travel. `starts` is when
    the later visit begins (aware UTC); `first` and `second` are the visits as people call them.
    """

    technician: str
    first: str
    second: str
    first_when: str
    second_when: str
    minutes: int
    travel_minutes: int
    starts: datetime


async def conflicts(hub: Hub, recipe: str = "", *, days: int = 30) -> list[ConflictView]:
    """Return the overlaps from now on for so many days, by start, as the source shows them now."""
    installed = await load_installed(hub, recipe)
    await read_sources(hub, installed)
    start = hub.now()
    found = await overlaps_between(hub, installed, start, start + timedelta(days=days))
    return [_view(one) for one in found]


def _view(one: Overlap) -> ConflictView:
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
