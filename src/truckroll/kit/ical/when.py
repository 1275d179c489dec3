"""The times of a VEVENT: start, end, and the rule, in the model's terms.

DTEND gives exact seconds, DURATION nominal days and exact seconds (RFC 5545 section 3.3.6).
With neither, a date is one day and a time is a moment (section 3.6.1). A missing start is
refused, never "now".
"""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

import msgspec

from truckroll.kit.ical.fields import ZONE
from truckroll.kit.ical.lines import Component, Line, RefusedError
from truckroll.kit.ical.times import Moment, parse_duration, parse_moment
from truckroll.kit.ical.zones import Years, Zones, iana_zone
from truckroll.model.recurrence import RuleError, canonical_rrule, key_of
from truckroll.model.rrule import parse_rrule
from truckroll.model.time import AllDay, Rule, Timed, When, instant, wall
from truckroll.model.walk import Budget, walk

_EARLIEST, _LATEST = 1000, 9000
_HORIZON = 5  # years for which the zone of an endless series must be right
_DAY = timedelta(days=1)
_MAX_EXTRA = 5_000
_COUNTED = 500  # visits that are counted out to learn when the last one is


class Times(msgspec.Struct, frozen=True):
    """The times of one VEVENT: `lengths` are the own lengths of extra visits (RDATE periods)."""

    when: When
    lengths: dict[str, When] = {}
    problems: tuple[str, ...] = ()


def read_when(part: Component, zones: Zones) -> Times:
    """Return the times of a VEVENT; raises RefusedError with the reason as a sentence."""
    line = part.line("DTSTART")
    if line is None or not line.value.strip():
        raise RefusedError("It has no start time (DTSTART).")
    problems: list[str] = []
    start = moment_of(line, "start")
    years = _years(part, start)
    when = _single(part, line, start, zones, years, problems)
    rules = _rules(part, when)
    repeats = bool(rules) or any(line.value.strip() for line in part.lines("RDATE"))
    bare = msgspec.structs.replace(when, rule=Rule()) if repeats else when
    extra, lengths = _extra(part, bare, zones, problems)
    if repeats:
        when = msgspec.structs.replace(when, rule=Rule(rrule=rules, rdate=extra))
    return Times(when, lengths, tuple(problems))


def moment_of(line: Line, what: str) -> Moment:
    """Return the single date or time of a line; raises RefusedError."""
    try:
        moment = parse_moment(line.value, date_only=line.params.get("VALUE", "").upper() == "DATE")
    except ValueError as error:
        raise RefusedError(f"Its {what} cannot be read: {error}.") from None
    if not _EARLIEST <= moment.year <= _LATEST:
        raise RefusedError(f"Its {what} lies in the year {moment.year}, which no calendar keeps.")
    return moment


def _years(part: Component, start: Moment) -> Years:
    """Return the years in which the entry needs its zone to be right."""
    last = start.year
    for line in part.lines("RRULE"):
        try:
            rule = parse_rrule(line.value)
        except RuleError:
            continue
        final = start.year + _HORIZON
        if rule.until is not None:
            final = min(final, rule.until.year)
        elif rule.count is not None and rule.count <= _COUNTED:
            first = start if isinstance(start, datetime) else datetime.combine(start, time.min)
            *_, end = walk(rule, first.replace(tzinfo=None), Budget(_COUNTED * 10))
            final = min(final, end.year)
        last = max(last, final)
    return start.year, last


def zone_of(line: Line, moment: Moment, zones: Zones, years: Years) -> tuple[str, str]:
    """Return the IANA zone of a time as its line tells it, and what was odd about it."""
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return "UTC", ""
    tzid = line.params.get("TZID", "").strip()
    if tzid or "" in zones.described:
        return zones.find(tzid, years)
    return zones.floating(years), ""


def _single(
    part: Component, line: Line, start: Moment, zones: Zones, years: Years, problems: list[str]
) -> When:
    if not isinstance(start, datetime) or _outlook_whole_day(part, start):
        day = start.date() if isinstance(start, datetime) else start
        return AllDay(start=day, end=_last_day(part, day, problems))
    zone, odd = zone_of(line, start, zones, years)
    if odd:
        problems.append(odd)
    own = part.line(ZONE)
    name = iana_zone(own.value) if own and start.tzinfo else ""
    if start.tzinfo is None:
        when = Timed(start=start, zone=zone)
    elif name:
        local, fold = wall(start, name)
        when = Timed(start=local, zone=name, fold=fold)
    else:
        when = Timed(start=start.replace(tzinfo=None), zone="UTC")
    return _with_end(part, when, zones, years, problems)


def _outlook_whole_day(part: Component, start: datetime) -> bool:
    """Outlook says whole days in a property of its own, with times at midnight."""
    said = part.line("X-MICROSOFT-CDO-ALLDAYEVENT")
    if said is None or said.value.strip().upper() != "TRUE":
        return False
    ends = part.line("DTEND")
    end = moment_of(ends, "end") if ends else start
    return all(
        not isinstance(at, datetime) or (at.hour, at.minute) == (0, 0) for at in (start, end)
    )


def _last_day(part: Component, day: date, problems: list[str]) -> date:
    ends, lasts = part.line("DTEND"), part.line("DURATION")
    if ends is not None:
        end = moment_of(ends, "end")
        if isinstance(end, datetime):
            end = end.date() if (end.hour, end.minute) == (0, 0) else end.date() + _DAY
        if end < day:
            raise RefusedError("It ends before it starts.")
        if end == day:
            problems.append("It ends on the day on which it starts; it was read as that one day.")
        return max(end, day + _DAY)
    if lasts is not None:
        days, seconds = _length(lasts)
        return day + max(_DAY, timedelta(days=days + -(-seconds // 86_400)))
    return day + _DAY


def _length(line: Line) -> tuple[int, int]:
    try:
        return parse_duration(line.value)
    except ValueError as error:
        raise RefusedError(f"Its length cannot be read: {error}.") from None


def _with_end(
    part: Component, when: Timed, zones: Zones, years: Years, problems: list[str]
) -> Timed:
    ends, lasts = part.line("DTEND"), part.line("DURATION")
    if ends is None:
        days, seconds = _length(lasts) if lasts else (0, 0)
        return msgspec.structs.replace(when, days=days, seconds=seconds)
    end = moment_of(ends, "end")
    if not isinstance(end, datetime):
        problems.append("It starts at a time and ends on a date; the end was read as midnight.")
        end = datetime(end.year, end.month, end.day)  # noqa: DTZ001 -- wall time in the start's zone
        zone = when.zone
    else:
        zone, _ = zone_of(ends, end, zones, years)
    seconds = _elapsed(when, end, zone)
    if seconds < 0:
        raise RefusedError("It ends before it starts.")
    return msgspec.structs.replace(when, seconds=seconds)


def _elapsed(when: Timed, end: datetime, zone: str) -> int:
    at = end if end.tzinfo else instant(end, zone)
    seconds = int((at - when.begins).total_seconds())
    if seconds < 0 and end.tzinfo is None and zone == when.zone:
        # A start that the clocks skip lies later than it says: keep the length that was meant.
        return int((end - when.start).total_seconds())
    return seconds


def _rules(part: Component, when: When) -> tuple[str, ...]:
    zone = when.zone if isinstance(when, Timed) else ""
    found = []
    for line in part.lines("RRULE"):
        try:
            text = canonical_rrule(line.value, zone=zone, whole_days=isinstance(when, AllDay))
        except RuleError as error:
            raise RefusedError(
                f"It cannot be repeated: {error} (RRULE:{line.value[:100]})."
            ) from None
        found.append(text)
    return tuple(sorted(set(found)))


def _extra(
    part: Component, when: When, zones: Zones, problems: list[str]
) -> tuple[tuple[str, ...], dict[str, When]]:
    """Return the extra starts (RDATE) as keys, and the visits that have a length of their own."""
    keys: set[str] = set()
    lengths: dict[str, When] = {}
    for line in part.lines("RDATE"):
        for text in islice(filter(None, line.value.split(",")), _MAX_EXTRA):
            begins, slash, ends = text.partition("/")
            moment = _listed(line, begins, "extra visit")
            key = key_in(when, moment, line, zones)
            keys.add(key)
            if slash and isinstance(when, Timed):
                lengths[key] = _period(when, key, line, ends)
    if len(keys) > _MAX_EXTRA:
        raise RefusedError(f"It has more than {_MAX_EXTRA:,} extra visits (RDATE).")
    if lengths:
        problems.append(
            "It has extra visits with a length of their own (RDATE periods);"
            " they are kept as changed visits."
        )
    first = key_of(when.start)
    return tuple(sorted(keys - {first})), lengths


def _listed(line: Line, text: str, what: str) -> Moment:
    return moment_of(Line(line.name, line.params, text, line.text, line.number), what)


def _period(when: Timed, key: str, line: Line, ends: str) -> When:
    start = datetime.fromisoformat(key)
    if ends[:1].upper() in {"P", "+"}:
        days, seconds = _length(Line(line.name, {}, ends, "", line.number))
        return Timed(start=start, zone=when.zone, days=days, seconds=seconds)
    end = _listed(line, ends, "extra visit's end")
    if not isinstance(end, datetime):
        raise RefusedError("Its extra visit (RDATE) has a period that ends on a date.")
    seconds = _elapsed(Timed(start=start, zone=when.zone), end, when.zone)
    if seconds < 0:
        raise RefusedError("Its extra visit (RDATE) ends before it starts.")
    return Timed(start=start, zone=when.zone, seconds=seconds)


def key_in(when: When, moment: Moment, line: Line, zones: Zones) -> str:
    """Return the key that a date or time has in a series, whatever form and zone it came in."""
    if isinstance(when, AllDay):
        return key_of(moment.date() if isinstance(moment, datetime) else moment)
    if not isinstance(moment, datetime):
        return key_of(datetime.combine(moment, when.start.time()))
    if moment.tzinfo is not None:
        return key_of(wall(moment, when.zone)[0])
    tzid = line.params.get("TZID", "").strip()
    if not tzid:
        return key_of(moment)
    zone, _ = zones.find(tzid, (moment.year, moment.year))
    if zone == when.zone:
        return key_of(moment)
    return key_of(wall(instant(moment, zone).astimezone(UTC), when.zone)[0])
