"""Overlaps: which bookings of one technician get in each other's way, and by how much."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from itertools import count
from typing import Literal

import msgspec

from truckroll.model.records import Occurrences, person_text
from truckroll.model.recurrence import occurrences
from truckroll.model.time import Timed, When, instant

Sort = Literal["visit", "time_off"]

_NO_TIME = timedelta(0)
_DAY = timedelta(days=1)


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """A claim on a technician's time: an appointment, or time off.

    `key` tells bookings apart and is what `sentences` answers by; `ref` is what people call it
    (J-1070). `exceptions` are those of a series.
    """

    technician: str
    key: str
    ref: str
    when: When
    exceptions: Occurrences | None = None
    kind: Sort = "visit"


class Span(msgspec.Struct, frozen=True):
    """One visit of a booking, from `begins` to `ends` (exclusive), in aware UTC instants."""

    booking: Booking
    begins: datetime
    ends: datetime

    @property
    def travels(self) -> bool:
        """Whether somebody drives to it: to a timed visit, not to a whole day or to time off."""
        return self.booking.kind == "visit" and isinstance(self.booking.when, Timed)


class Spans(msgspec.Struct, frozen=True):
    """All visits inside a window, and the bookings that have more than could be looked at."""

    items: tuple[Span, ...]
    cut: tuple[Booking, ...] = ()


class Overlap(msgspec.Struct, frozen=True):
    """Two bookings of one technician that get in each other's way.

    `a` begins no later than `b`. `minutes` is how much time is missing, rounded up to whole
    minutes, of which `travel_minutes` are travel between the two. `starts` is the aware UTC
    instant at which `b` begins. `kind` is time_off where one of the two is.
    """

    technician: str
    a: Booking
    b: Booking
    minutes: int
    travel_minutes: int
    starts: datetime
    kind: Sort = "visit"

    def says(self, key: str) -> str:
        """Return the sentence about the overlap as seen from the booking of that key."""
        other = self.a if key == self.b.key else self.b
        travel = f" incl. {self.travel_minutes} min travel" if self.travel_minutes else ""
        what = "time off" if other.kind == "time_off" else other.ref
        whose = "of" if other.kind == "time_off" else "for"
        return (
            f"overlaps {what} {whose} {person_text(self.technician)} by {self.minutes} min{travel}"
        )


def spans(
    bookings: Iterable[Booking], *, start: datetime, end: datetime, zone: str, limit: int = 1000
) -> Spans:
    """Return the visits of bookings that touch a window of aware instants.

    Whole days are days of `zone`, the company's IANA zone: 23 or 25 hours long where the clocks
    change. Cancelled visits of a series are not there. At most `limit` visits of one series are
    looked at; where there are more, the booking is in `cut`.
    """
    found: list[Span] = []
    cut: list[Booking] = []
    for booking in bookings:
        if booking.when.rule is None:
            visits: Iterable[When] = (booking.when,)
        else:
            # Whole days have no zone of their own: a day more on each side misses none.
            around = (start - _DAY, end + _DAY)
            expansion = occurrences(booking.when, booking.exceptions, *around, limit=limit)
            visits = (one.when for one in expansion.items if not one.cancelled)
            if expansion.truncated:
                cut.append(booking)
        for visit in visits:
            span = Span(booking, *_instants(visit, zone))
            if span.begins < end and span.ends > start:
                found.append(span)
    return Spans(tuple(found), tuple(cut))


def overlaps(items: Iterable[Span], *, travel: timedelta = _NO_TIME) -> tuple[Overlap, ...]:
    """Return every pair of spans of one technician that overlap, by start.

    Two visits that touch do not overlap, unless `travel` lies between them: it counts once, and
    only between timed visits. Two visits of one series, and two stretches of time off, are no
    overlap. The work grows with n log n and the pairs found.
    """
    by_technician: defaultdict[str, list[Span]] = defaultdict(list)
    for item in items:
        by_technician[item.booking.technician].append(item)
    found = [one for group in by_technician.values() for one in _sweep(group, travel)]
    found.sort(key=lambda one: (one.starts, one.technician, one.a.ref, one.b.ref))
    return tuple(found)


def sentences(found: Sequence[Overlap], *, shown: int = 3) -> dict[str, str]:
    """Return what to say about each booking that overlaps, by its key: at most `shown` overlaps."""
    said: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for one in found:
        for key in (one.a.key, one.b.key):
            said[key][one.says(key)] = None
    return {key: _listed(list(texts), shown) for key, texts in said.items()}


def _listed(texts: list[str], shown: int) -> str:
    more = len(texts) - shown
    return "; ".join(texts[:shown]) + (f"; and {more} more" if more > 0 else "")


def _instants(when: When, zone: str) -> tuple[datetime, datetime]:
    if isinstance(when, Timed):
        return when.begins, when.ends
    first, last = (datetime.combine(day, time()) for day in (when.start, when.end))
    return instant(first, zone), instant(last, zone)


def _sweep(group: list[Span], travel: timedelta) -> Iterable[Overlap]:
    """Go through one technician's spans by start, keeping those that may still be in the way."""
    order = count()
    running: list[tuple[datetime, int, Span]] = []
    for later in sorted(group, key=lambda one: (one.begins, one.ends, one.booking.ref)):
        while running and running[0][0] <= later.begins:
            heapq.heappop(running)
        for _, _, earlier in running:
            overlap = _compare(earlier, later, travel)
            if overlap is not None:
                yield overlap
        heapq.heappush(running, (later.ends + travel, next(order), later))


def _compare(earlier: Span, later: Span, travel: timedelta) -> Overlap | None:
    a, b = earlier.booking, later.booking
    if a.key == b.key or a.kind == b.kind == "time_off":
        return None
    driven = travel if earlier.travels and later.travels else _NO_TIME
    shared = min(earlier.ends, later.ends) - later.begins
    missing = shared + driven
    if missing <= _NO_TIME:
        return None
    kind: Sort = "time_off" if "time_off" in (a.kind, b.kind) else "visit"
    minutes = _minutes(missing)
    driven_minutes = min(_minutes(driven), minutes)
    return Overlap(a.technician, a, b, minutes, driven_minutes, later.begins, kind)


def _minutes(length: timedelta) -> int:
    return -(-length // timedelta(minutes=1))
