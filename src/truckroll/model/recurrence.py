"""The visits of a series: expanded in bounds, re-anchored when it moves, split where it is cut.

Arithmetic is on the wall clock of the series' own zone; a start that the clocks skip is moved
for that day only (RFC 5545 section 3.3.5). No rule, however silly, takes long: work is counted,
and what was cut is flagged.
"""

import heapq
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from truckroll.model.records import Fields, Occurrence, Occurrences
from truckroll.model.rrule import Rrule, RuleError, canonical_rrule, parse_rrule
from truckroll.model.time import AllDay, Rule, Timed, When, instant, same_when, wall, zone_info
from truckroll.model.walk import Budget, walk

__all__ = [
    "Expansion",
    "Happening",
    "RuleError",
    "canonical_rrule",
    "key_of",
    "occurrences",
    "ordinal_keys",
    "reanchor",
    "visit_at",
]

LIMIT = 5_000
_FAR = 4 * LIMIT
_LAST_YEAR = 9990  # later instants do not exist in every zone
_DAY = timedelta(days=1)
_FIRST = datetime(1, 1, 10, tzinfo=UTC)
_LAST = datetime(9999, 12, 20, tzinfo=UTC)
_CUT = "The rule was followed for as long as is reasonable; later visits are not shown."
_FULL = "There are more visits than are shown at once; the rest is not shown."


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One visit: the key of its original start, when it takes place, and what differs.

    `when` has no rule. `fields` are those of the exception, `when` among them if it was moved.
    """

    original: str
    when: When
    cancelled: bool = False
    fields: Fields = {}


class Expansion(msgspec.Struct, frozen=True):
    """The visits in a window, by start; `truncated` says that some may be missing, and why."""

    items: tuple[Happening, ...]
    truncated: bool = False
    reason: str = ""


def key_of(start: datetime | date) -> str:
    """Return the key of an original start: ISO text of naive wall time, or of a date."""
    return start.isoformat()


def visit_at(when: When, key: str) -> When:
    """Return the visit that a series has at an original start, before any exception.

    Raises ValueError where the key is not in the series' own terms.
    """
    if isinstance(when, AllDay):
        day = date.fromisoformat(key[:10])
        return AllDay(start=day, end=day + (when.end - when.start))
    start = datetime.fromisoformat(key)
    if start.tzinfo is not None:
        raise ValueError(f"{key} is not wall time")
    fold = when.fold if start == when.start else 0
    return Timed(start=start, zone=when.zone, seconds=when.seconds, days=when.days, fold=fold)


def occurrences(
    when: When,
    exceptions: Occurrences | None,
    start: datetime | date,
    end: datetime | date,
    *,
    limit: int = LIMIT,
) -> Expansion:
    """Return the visits that touch the window from `start` to `end` (exclusive).

    Aware instants or dates; a date is its midnight in the series' zone, and for whole days the
    date of an instant counts. Cancelled visits are shown as such at their original time. An
    exception counts even where the rule has no such start. At most `limit` visits.
    """
    apart = {} if exceptions is None or when.rule is None else exceptions.by_start
    low, high = _bounds(when, start, end)
    items = [one for one in _excepted(when, apart) if _touches(one.when, low, high)]
    full = len(items) > limit
    after = _walls(when, low) - _length(when) - _shift(when, low) if low > _floor(when) else None
    stop = _walls(when, high) + _shift(when, high)
    budget = Budget(stop=stop)
    for begin in _starts(when, budget, after):
        if begin > stop or full:
            break
        if after is not None and begin < after:
            continue
        key = _key(when, begin)
        if key in apart:
            continue
        visit = visit_at(when, key)
        if _touches(visit, low, high):
            items.append(Happening(original=key, when=visit))
            full = len(items) > limit
    items.sort(key=lambda one: (_order(one.when), one.original))
    reason = _CUT if budget.spent else _FULL if full else ""
    return Expansion(items=tuple(items[:limit]), truncated=bool(reason), reason=reason)


def ordinal_keys(when: When, limit: int = LIMIT) -> tuple[str, ...]:
    """Return the first `limit` original starts of a series as keys, in order."""
    return tuple(_key(when, begin) for begin in islice(_starts(when, Budget()), limit))


def reanchor(
    old: When, new: When, exceptions: Occurrences
) -> tuple[Occurrences, dict[str, Occurrence]]:
    """Return the exceptions of a series that changed, under their new keys, and the orphans.

    The n-th visit of the old series is the n-th of the new. Where the series still starts at
    the same time and only its rule changed, a key that the new rule has stays as it is. An
    orphan, kept under its old key, has no heir.
    """
    after = ordinal_keys(new, _FAR)
    if _same_start(old, new):
        heirs = {key: key for key in after}
    else:
        heirs = dict(zip(ordinal_keys(old, _FAR), after, strict=False))
    kept: dict[str, Occurrence] = {}
    orphans: dict[str, Occurrence] = {}
    for key, one in exceptions.by_start.items():
        if key in heirs:
            kept[heirs[key]] = one
        else:
            orphans[key] = one
    return Occurrences(by_start=kept), orphans


def _same_start(a: When, b: When) -> bool:
    return same_when(
        msgspec.structs.replace(a, rule=Rule()),
        msgspec.structs.replace(b, rule=Rule(), **_lengths(a, b)),
    )


def _lengths(a: When, b: When) -> dict[str, Any]:
    if isinstance(a, Timed) and isinstance(b, Timed):
        return {"seconds": a.seconds, "days": a.days}
    if isinstance(a, AllDay) and isinstance(b, AllDay):
        return {"end": b.start + (a.end - a.start)}
    return {}


@lru_cache(maxsize=2048)
def _parsed(text: str) -> Rrule:
    return parse_rrule(text)


def _starts(when: When, budget: Budget, after: datetime | None = None) -> Iterator[datetime]:
    """Yield the original starts as naive wall times, in order, each once."""
    first = when.start if isinstance(when, Timed) else _midnight(when.start)
    rule = when.rule or Rule()
    sources: list[Iterator[datetime]] = [
        _ruled(when, text, first, budget, after) for text in rule.rrule
    ]
    if after is None or after <= first:
        sources.append(iter([first]))
    sources.append(iter(sorted(datetime.fromisoformat(one) for one in rule.rdate)))
    last = None
    for begin in heapq.merge(*sources):
        if begin.year > _LAST_YEAR:
            return
        if begin != last:
            yield begin
        last = begin


def _ruled(
    when: When, text: str, first: datetime, budget: Budget, after: datetime | None
) -> Iterator[datetime]:
    rule = _parsed(text)
    for begin in walk(rule, first, budget, after=after):
        if rule.until is not None and begin != first and _past(when, begin, rule.until):
            return
        yield begin


def _past(when: When, begin: datetime, until: datetime | date) -> bool:
    if not isinstance(until, datetime):
        return begin.date() > until
    if isinstance(when, AllDay):
        return begin.date() > until.date()
    if until.tzinfo is None:
        return begin > until
    return instant(begin, when.zone) > until


def _excepted(when: When, apart: dict[str, Occurrence]) -> Iterator[Happening]:
    for key, one in apart.items():
        moved = one.fields.get("when")
        visit = moved if isinstance(moved, Timed | AllDay) else visit_at(when, key)
        visit = visit_at(when, key) if one.cancelled else visit
        yield Happening(original=key, when=visit, cancelled=one.cancelled, fields=one.fields)


def _bounds(when: When, start: datetime | date, end: datetime | date) -> tuple[datetime, datetime]:
    """Return the window as instants."""
    zone = when.zone if isinstance(when, Timed) else "UTC"
    return _moment(start, zone), _moment(end, zone)


def _moment(at: datetime | date, zone: str) -> datetime:
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise ValueError("a window needs instants with a zone, or dates")
        return at.astimezone(UTC)
    return instant(_midnight(at), zone)


def _touches(when: When, low: datetime, high: datetime) -> bool:
    if isinstance(when, AllDay):
        end = high.date() if high.time() == time.min else high.date() + _DAY
        return when.start < end and (when.end > low.date() or when.start >= low.date())
    begins = when.begins
    return begins < high and (begins >= low or when.ends > low)


def _walls(when: When, at: datetime) -> datetime:
    """Return the wall time of an instant in the series' zone, kept inside the calendar."""
    inside = min(max(at, _FIRST), _LAST)
    return wall(inside, when.zone if isinstance(when, Timed) else "UTC")[0]


def _shift(when: When, at: datetime) -> timedelta:
    """Return by how much the clocks are moved about an instant: skipped starts lie that far off."""
    if isinstance(when, AllDay):
        return _DAY
    zone = zone_info(when.zone)
    inside = min(max(at, _FIRST), _LAST)
    early, late = ((inside + days).astimezone(zone).utcoffset() for days in (-_DAY, _DAY))
    return abs((late or timedelta(0)) - (early or timedelta(0)))


def _floor(when: When) -> datetime:
    """Return the first moment from which on skipping ahead cannot leave the calendar."""
    return _FIRST + _DAY + _length(when)


def _length(when: When) -> timedelta:
    if isinstance(when, AllDay):
        return when.end - when.start
    return timedelta(days=when.days, seconds=when.seconds)


def _key(when: When, begin: datetime) -> str:
    return key_of(begin if isinstance(when, Timed) else begin.date())


def _order(when: When) -> datetime:
    return when.begins if isinstance(when, Timed) else _midnight(when.start).replace(tzinfo=UTC)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 -- wall time
