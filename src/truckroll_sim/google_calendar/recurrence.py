"""Occurrences of a series, by dateutil (RFC 5545 section 3.8.5)."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from truckroll_sim.google_calendar.errors import invalid, required
from truckroll_sim.google_calendar.times import Doc, stored, zone_of

_LINE = re.compile(r"(RRULE|EXRULE|RDATE|EXDATE)((?:;[^:]*)?):(.+)", re.IGNORECASE)
_UNTIL = re.compile(r"UNTIL=(\d{8})(T\d{6}Z?)?", re.IGNORECASE)
_STANDS = re.compile(r"INTERVAL=0*(;|$)", re.IGNORECASE)
_MOST = 5_000
"""No series is walked further than this: a rule may have no end, or one every second."""


def check_lines(lines: Any, start: Doc) -> None:
    """Refuse recurrence lines that the vendor would not take (400)."""
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise invalid("Invalid recurrence rule.")
    # An interval of nothing would never end.
    if any(not _LINE.fullmatch(line.strip()) or _STANDS.search(line) for line in lines):
        raise invalid("Invalid recurrence rule.")
    if lines and "date" not in start and not start.get("timeZone"):
        raise required("Missing time zone definition for start time.")
    try:
        rules(lines, start)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise invalid("Invalid recurrence rule.") from None


def rules(lines: list[str], start: Doc) -> rruleset:
    """Return the set of occurrences of a series; times are aware, days naive midnights."""
    zone = None if "date" in start else ZoneInfo(start["timeZone"])
    first = _first(start, zone)
    found = rruleset(cache=True)
    # `start` is the start of the first instance, whether or not the rule has it (discovery).
    found.rdate(first)
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(line)
        name, parameters, value = match[1].upper(), match[2], match[3]
        if name in ("RRULE", "EXRULE"):
            rule = rrulestr(_until_for(value, zone), dtstart=first)
            if not isinstance(rule, rrule):
                raise ValueError(line)
            (found.rrule if name == "RRULE" else found.exrule)(rule)
            continue
        for at in _dates(parameters, value, zone, first):
            (found.rdate if name == "RDATE" else found.exdate)(at)
    return found


def starts(lines: list[str], start: Doc, before: datetime) -> Iterator[Doc]:
    """Yield the starts of a series' occurrences, as stored values, before an aware instant."""
    zone = None if "date" in start else start["timeZone"]
    for number, at in enumerate(rules(lines, start)):
        aware = at if at.tzinfo else at.replace(tzinfo=UTC)
        if number >= _MOST or aware >= before + timedelta(days=1):
            return
        yield stored(at, zone) if zone else {"date": at.date().isoformat()}


def has_start(lines: list[str], start: Doc, original: Doc) -> bool:
    """Tell whether a series has an occurrence that starts at a stored value."""
    if ("date" in start) != ("date" in original):
        return False
    if "date" in start:
        at = datetime.combine(date.fromisoformat(original["date"]), time())
    else:
        at = datetime.fromisoformat(original["dateTime"]).astimezone(ZoneInfo(start["timeZone"]))
    found = rules(lines, start)
    # Compared as instants: a wall time that a zone skips is never equal to anything.
    edge = timedelta(hours=3)
    return any(_same(one, at) for one in found.between(at - edge, at + edge, inc=True))


def stem(original: Doc) -> str:
    """Return what an occurrence's id ends in: its original start (section 12)."""
    if "date" in original:
        return str(original["date"]).replace("-", "")
    at = datetime.fromisoformat(original["dateTime"]).astimezone(UTC)
    return at.strftime("%Y%m%dT%H%M%SZ")


def original_of(text: str, zone: str) -> Doc | None:
    """Return the original start that an id's ending says, None if it says none."""
    try:
        if "T" in text:
            return stored(datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC), zone)
        return {"date": datetime.strptime(text, "%Y%m%d").date().isoformat()}  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


def _first(start: Doc, zone: ZoneInfo | None) -> datetime:
    if zone is None:
        return datetime.combine(date.fromisoformat(start["date"]), time())
    return datetime.fromisoformat(start["dateTime"]).astimezone(zone)


def _same(one: datetime, other: datetime) -> bool:
    if one.tzinfo is None or other.tzinfo is None:
        return one == other
    return one.astimezone(UTC) == other.astimezone(UTC)


def _until_for(rule: str, zone: ZoneInfo | None) -> str:
    """Return the rule with its UNTIL in the form that goes with the start."""

    def said(match: re.Match[str]) -> str:
        day, clock = match[1], match[2]
        if zone is None:
            return f"UNTIL={day}"
        if clock and clock.upper().endswith("Z"):
            return match[0]
        wall = datetime.strptime(day + (clock or "T235959"), "%Y%m%dT%H%M%S").replace(tzinfo=zone)
        return wall.astimezone(UTC).strftime("UNTIL=%Y%m%dT%H%M%SZ")

    return _UNTIL.sub(said, rule)


def _dates(
    parameters: str, value: str, zone: ZoneInfo | None, first: datetime
) -> Iterator[datetime]:
    named = re.search(r"TZID=([^;:]+)", parameters)
    own = zone_of(named[1]) if named else zone
    for text in value.split(","):
        day, _, clock = text.strip().upper().partition("T")
        if zone is None or not clock:
            at = datetime.strptime(day, "%Y%m%d")  # noqa: DTZ007 - its zone follows
            yield (
                at
                if zone is None
                else at.replace(
                    hour=first.hour, minute=first.minute, second=first.second, tzinfo=zone
                )
            )
        elif clock.endswith("Z"):
            at = datetime.strptime(f"{day}T{clock}", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            yield at.astimezone(zone)
        else:
            wall = datetime.strptime(f"{day}T{clock}", "%Y%m%dT%H%M%S").replace(tzinfo=own)
            yield wall.astimezone(zone)
