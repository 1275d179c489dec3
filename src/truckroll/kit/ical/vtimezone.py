"""VTIMEZONE (RFC 5545 section 3.6.5): what one says, and one made from the tz database."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from truckroll.kit.ical.lines import Component, keep_octets, make_line, parse_line
from truckroll.kit.ical.times import moment_text, offset_text, parse_moment, parse_offset
from truckroll.model.rrule import WEEKDAYS, parse_rrule
from truckroll.model.time import zone_info
from truckroll.model.walk import Budget, walk

_SPAN = 30  # years over which a yearly pattern must hold to be written as a rule
_USUAL_LINES = 200  # of a VTIMEZONE; what is longer is not kept in memory
_STEADY = 5  # years that a pattern must have held, at the least


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the clocks: its instant, the offsets before and after, name and kind."""

    at: datetime
    before: timedelta
    after: timedelta
    name: str
    daylight: bool

    @property
    def wall(self) -> datetime:
        """The naive wall time of the change by the old offset."""
        return (self.at + self.before).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Observance:
    """A STANDARD or DAYLIGHT part: from its starts on, `after` is the offset."""

    start: datetime
    before: timedelta
    after: timedelta
    rules: tuple[str, ...]
    extra: tuple[datetime, ...]


def read_vtimezone(part: Component) -> tuple[Observance, ...]:
    """Return the observances of a VTIMEZONE; those that cannot be read are left out."""
    parts = [one.lines() for one in part.parts("STANDARD", "DAYLIGHT")]
    texts = tuple(tuple(line.text for line in lines) for lines in parts)
    usual = sum(map(len, texts)) <= _USUAL_LINES
    return (_known_observances if usual else _observances)(texts)


def _observances(parts: tuple[tuple[str, ...], ...]) -> tuple[Observance, ...]:
    found = []
    for texts in parts:
        lines = [line for text in texts if (line := parse_line(text)) is not None]
        try:
            found.append(_observance(Component("", [*lines])))
        except ValueError:
            continue
    return tuple(found)


# The same few stand in each object of a calendar.
_known_observances = lru_cache(maxsize=128)(_observances)


def _observance(part: Component) -> Observance:
    start = parse_moment(_value(part, "DTSTART"))
    if not isinstance(start, datetime):
        start = datetime(start.year, start.month, start.day)  # noqa: DTZ001 -- wall time
    before = parse_offset(_value(part, "TZOFFSETFROM"))
    extra = []
    for line in part.lines("RDATE"):
        for text in filter(None, line.value.split(",")):
            at = parse_moment(text.partition("/")[0])
            if not isinstance(at, datetime):
                continue
            extra.append(at if at.tzinfo is None else (at + before).replace(tzinfo=None))
    rules = tuple(line.value for line in part.lines("RRULE"))
    for rule in rules:
        parse_rrule(rule)
    after = parse_offset(_value(part, "TZOFFSETTO"))
    return Observance(start.replace(tzinfo=None), before, after, rules, tuple(extra))


def _value(part: Component, name: str) -> str:
    line = part.line(name)
    if line is None:
        raise ValueError(f"{name} is missing")
    return line.value


@lru_cache(maxsize=512)
def onsets(
    observances: tuple[Observance, ...], first: int, last: int
) -> tuple[tuple[datetime, timedelta], ...]:
    """Return (UTC instant, offset from then on) in order, of the years `first` to `last`.

    What was in force when `first` began is among them, if the VTIMEZONE says it.
    """
    found: list[tuple[datetime, timedelta]] = []
    for one in observances:
        walls = _walls(one, first, last)
        found.extend(((wall - one.before).replace(tzinfo=UTC), one.after) for wall in walls)
    return tuple(sorted(found))


def _walls(one: Observance, first: int, last: int) -> set[datetime]:
    found = {one.start, *one.extra}
    for text in one.rules:
        rule = parse_rrule(text)
        until = rule.until
        early = min(first, until.year) if until else first
        after = datetime(max(early - 2, 1), 1, 1)  # noqa: DTZ001 -- wall time
        for wall in walk(rule, one.start, Budget(), after=after):
            if wall.year > last or (until and _past(wall, one.before, until)):
                break
            found.add(wall)
    return found


def _past(wall: datetime, before: timedelta, until: object) -> bool:
    if not isinstance(until, datetime):
        return f"{wall:%Y%m%d}" > f"{until:%Y%m%d}"
    return wall > until if until.tzinfo is None else (wall - before).replace(tzinfo=UTC) > until


def offset_at(
    observances: tuple[Observance, ...], at: datetime, years: tuple[int, int]
) -> timedelta:
    """Return the offset that a VTIMEZONE has at an instant within `years`."""
    known = onsets(observances, *years)
    past = [offset for moment, offset in known if moment <= at]
    return past[-1] if past else min(observances, key=lambda one: one.start).before


@lru_cache(maxsize=4096)
def changes(zone: str, year: int) -> tuple[Change, ...]:
    """Return the changes of the clocks of an IANA zone in a (UTC) year."""
    info, nothing = zone_info(zone), timedelta(0)

    def offset(at: datetime) -> timedelta:
        return at.astimezone(info).utcoffset() or nothing

    begin = datetime(year, 1, 1, tzinfo=UTC)
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    marks = [begin + timedelta(days=n) for n in range((end - begin).days)] + [end]
    found = []
    for (first, before), (last, after) in pairwise((mark, offset(mark)) for mark in marks):
        if before == after:
            continue
        low, high = first, last
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) // 2
            middle = middle.replace(microsecond=0)
            low, high = (middle, high) if offset(middle) == before else (low, middle)
        early, late = first.astimezone(info), last.astimezone(info)
        daylight = after > before and bool(early.dst() or late.dst())
        found.append(Change(high, before, after, late.tzname() or zone, daylight))
    return tuple(found)


@lru_cache(maxsize=256)
def make_vtimezone(zone: str, first: int, last: int | None) -> Component:
    """Return the VTIMEZONE of an IANA zone for events of the years `first` to `last`.

    Made from the tz database. Where the changes follow a yearly pattern they are written as
    rules without end; others (Morocco's) are written one by one, until five years after
    `last`, or 30 after `first` where the events have no end (None). The same one is given to
    every caller that asks alike: it goes into calendars as it is and is never edited.
    """
    begin = max(first - 2, 1)
    final = min(max(first + _SPAN, (last or first) + 5), 9990)
    by_year = {year: changes(zone, year) for year in range(begin, final + 1)}
    steady = _steady_from(by_year, begin, final)
    part = Component("VTIMEZONE", [make_line("TZID", zone)])
    if steady is None or steady > begin or not by_year[begin]:
        part.items.append(_fixed(zone, begin))
    until = steady or (final if last is None else min(final, last + _STEADY)) + 1
    singles = [one for year in range(begin, until) for one in by_year[year]]
    part.items.extend(_part(one, [other.wall for other in same]) for one, same in _grouped(singles))
    if steady is not None:
        for slot, one in enumerate(by_year[steady]):
            rule = _pattern([by_year[year][slot] for year in range(steady, final + 1)])
            part.items.append(_part(one, [one.wall], rule or ""))
    return keep_octets(part)


def _steady_from(by_year: dict[int, tuple[Change, ...]], begin: int, final: int) -> int | None:
    """Return the first year from which on every change follows a yearly rule."""
    if not by_year[final]:
        return None
    for year in range(begin, final - _STEADY):
        years = [by_year[n] for n in range(year, final + 1)]
        if len({len(one) for one in years}) == 1 and all(
            _pattern(list(slot)) for slot in zip(*years, strict=True)
        ):
            return year
    return None


def _pattern(slot: list[Change]) -> str | None:
    """Return the RRULE that the changes of one slot of each year follow, or None."""
    walls = [one.wall for one in slot]
    first = walls[0]
    if len({(one.before, one.after, one.wall.month, one.wall.time()) for one in slot}) > 1:
        return None
    rule, days = f"FREQ=YEARLY;BYMONTH={first.month}", [wall.day for wall in walls]
    low, high = min(days), max(days)
    if low == high:
        return f"{rule};BYMONTHDAY={low}"
    if len({wall.weekday() for wall in walls}) > 1:
        return None
    weekday, nth = WEEKDAYS[first.weekday()], (low - 1) // 7 + 1
    if high <= nth * 7 <= 28:  # noqa: PLR2004 -- the days that every month has
        return f"{rule};BYDAY={nth}{weekday}"
    if all((wall + timedelta(days=7)).month != wall.month for wall in walls):
        return f"{rule};BYDAY=-1{weekday}"
    if high - low == 6:  # noqa: PLR2004 -- a whole week of days was seen
        return f"{rule};BYDAY={weekday};BYMONTHDAY={','.join(map(str, range(low, high + 1)))}"
    return None


def _grouped(singles: list[Change]) -> list[tuple[Change, list[Change]]]:
    """Return changes of the same kind together, under the first of them."""
    groups: dict[tuple[timedelta, timedelta, str, bool], list[Change]] = {}
    for one in singles:
        groups.setdefault((one.before, one.after, one.name, one.daylight), []).append(one)
    return [(same[0], same) for same in groups.values()]


def _fixed(zone: str, year: int) -> Component:
    local = datetime(year, 1, 1, tzinfo=UTC).astimezone(zone_info(zone))
    offset = local.utcoffset() or timedelta(0)
    at = datetime(year, 1, 1, tzinfo=UTC)
    return _part(
        Change(at, offset, offset, local.tzname() or zone, daylight=False),
        [at.replace(tzinfo=None)],
    )


def _part(change: Change, walls: list[datetime], rule: str = "") -> Component:
    part = Component("DAYLIGHT" if change.daylight else "STANDARD")
    part.items.append(make_line("DTSTART", moment_text(walls[0])))
    if rule:
        part.items.append(make_line("RRULE", rule))
    part.items.extend(make_line("RDATE", moment_text(wall)) for wall in walls[1:])
    part.items.append(make_line("TZOFFSETFROM", offset_text(change.before)))
    part.items.append(make_line("TZOFFSETTO", offset_text(change.after)))
    part.items.append(make_line("TZNAME", change.name))
    return part
