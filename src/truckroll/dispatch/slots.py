"""Free slots: when a technician could do a visit of some length, next."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from truckroll.dispatch.overlap import Span
from truckroll.model.time import instant, zone_info

STEP = timedelta(minutes=5)
_NO_TIME = timedelta(0)
_WORKDAYS = frozenset(range(5))
_MOST_DAYS = 366


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """When a company works: wall times of an IANA zone, on some days of the week (0: Monday)."""

    zone: str
    begins: time = time(8)
    ends: time = time(17)
    days: frozenset[int] = _WORKDAYS

    def of(self, day: date) -> tuple[datetime, datetime] | None:
        """Return the UTC instants between which is worked on a day, None where it is not.

        A night shift, which ends at or before the hour it begins, ends on the day after.
        """
        if day.weekday() not in self.days:
            return None
        last = day if self.ends > self.begins else day + timedelta(days=1)
        return (
            instant(datetime.combine(day, self.begins), self.zone),
            instant(datetime.combine(last, self.ends), self.zone),
        )

    def widened(self, items: Iterable[Span]) -> "Hours":
        """Return the hours with those in which visits are: where somebody works, it is worked."""
        zone = zone_info(self.zone)
        begins, ends, days = self.begins, self.ends, set(self.days)
        if ends <= begins:
            return self
        for one in items:
            first, last = one.begins.astimezone(zone), one.ends.astimezone(zone)
            if one.travels and first.date() == last.date():
                begins, ends = min(begins, first.time()), max(ends, last.time())
                days.add(first.weekday())
        return Hours(zone=self.zone, begins=begins, ends=ends, days=frozenset(days))


class Slot(msgspec.Struct, frozen=True):
    """A stretch of time that is free (aware UTC, end exclusive)."""

    begins: datetime
    ends: datetime


def free_slots(
    taken: Iterable[Span],
    *,
    length: timedelta,
    after: datetime,
    before: datetime,
    hours: Hours,
    travel: timedelta = _NO_TIME,
    limit: int = 3,
) -> tuple[Slot, ...]:
    """Return the next free slots of a technician for a visit of some length, by start.

    `taken` is all that is in the technician's way; `travel` lies between two visits, not beside
    time off. A slot begins at or after `after` and ends by `before` (aware instants), within the
    hours, on a full five minutes; none of them touches another one's travel.
    """
    order = sorted(taken, key=lambda one: (one.begins, one.ends))
    found: list[Slot] = []
    if length <= _NO_TIME:
        return ()
    for opens, closes in _shifts(after, before, hours):
        at = rounded_up(max(opens, after))
        while len(found) < limit:
            start = _first_free(order, at, length, travel)
            if start + length > min(closes, before):
                break
            found.append(Slot(start, start + length))
            at = rounded_up(start + length + travel)
        if len(found) == limit:
            break
    return tuple(found)


def is_free(
    taken: Iterable[Span], begins: datetime, ends: datetime, travel: timedelta = _NO_TIME
) -> bool:
    """Tell whether a visit would be in nothing's way (aware instants, end exclusive)."""
    return not any(_hits(one, begins, ends, travel) for one in taken)


def rounded_up(at: datetime) -> datetime:
    """Return the next full five minutes at or after an aware instant, in UTC."""
    at = at.astimezone(UTC)
    past = (at - at.replace(minute=0, second=0, microsecond=0)) % STEP
    return at if past == _NO_TIME else at + (STEP - past)


def _shifts(after: datetime, before: datetime, hours: Hours) -> Iterator[tuple[datetime, datetime]]:
    day = after.astimezone(zone_info(hours.zone)).date() - timedelta(days=1)  # a night shift's
    for _ in range(_MOST_DAYS):
        shift = hours.of(day)
        if shift is not None:
            if shift[0] >= before:
                return
            if shift[1] > after:
                yield shift
        day += timedelta(days=1)


def _first_free(
    order: Sequence[Span], at: datetime, length: timedelta, travel: timedelta
) -> datetime:
    """Return the first start at or after `at` that is in nothing's way; `order` is by begin."""
    for one in order:
        if _hits(one, at, at + length, travel):
            at = rounded_up(max(at, one.ends + (travel if one.travels else _NO_TIME)))
    return at


def _hits(one: Span, begins: datetime, ends: datetime, travel: timedelta) -> bool:
    apart = travel if one.travels else _NO_TIME
    return begins < one.ends + apart and one.begins < ends + apart
