"""Dates, times, offsets and durations as iCalendar writes them (RFC 5545 section 3.3)."""

import re
from datetime import UTC, date, datetime, timedelta

_WHEN = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z?))?", re.ASCII)
_DURATION = re.compile(
    r"([+-]?)P(?:(\d{1,5})W)?(?:(\d{1,6})D)?"
    r"(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)(?::?(\d\d))?", re.ASCII)

Moment = datetime | date


def parse_moment(text: str, *, date_only: bool = False) -> Moment:
    """Return a date, an aware UTC instant (`Z`), or naive wall time; raises ValueError.

    What the text looks like decides, not the declared VALUE, save that `date_only` keeps only
    the day of a time. A leap second is the last second of its minute.
    """
    match = _WHEN.fullmatch(text.strip().upper())
    if match is None:
        raise ValueError(f'"{text.strip()[:40]}" is no date or time')
    try:
        day = date(int(match[1]), int(match[2]), int(match[3]))
        if match[4] is None or date_only:
            return day
        hour, minute, second = int(match[4]), int(match[5]), min(int(match[6] or 0), 59)
        wall = datetime(day.year, day.month, day.day, hour, minute, second)  # noqa: DTZ001 -- wall time
    except ValueError:
        raise ValueError(f'"{text.strip()[:40]}" does not exist in the calendar') from None
    return wall.replace(tzinfo=UTC) if match[7] else wall


def parse_duration(text: str) -> tuple[int, int]:
    """Return a duration as nominal days and exact seconds (section 3.3.6); raises ValueError."""
    match = _DURATION.fullmatch(text.strip().upper())
    if match is None or not any(match.groups()[1:]):
        raise ValueError(f'"{text.strip()[:40]}" is no duration')
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
    if match[1] == "-" and any((weeks, days, hours, minutes, seconds)):
        raise ValueError("it ends before it starts")
    return weeks * 7 + days, hours * 3600 + minutes * 60 + seconds


def parse_offset(text: str) -> timedelta:
    """Return a UTC offset (section 3.3.14); raises ValueError."""
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text.strip()[:40]}" is no offset from UTC')
    hours, minutes, seconds = int(match[2]), int(match[3]), int(match[4] or 0)
    if hours > 23 or minutes > 59 or seconds > 59:  # noqa: PLR2004 -- a clock's
        raise ValueError(f'"{text.strip()[:40]}" is no offset from UTC')
    span = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -span if match[1] == "-" else span


def offset_text(offset: timedelta) -> str:
    """Return a UTC offset in its written form; seconds only where there are any."""
    total = int(offset.total_seconds())
    sign, total = ("-", -total) if total < 0 else ("+", total)
    text = f"{sign}{total // 3600:02}{total // 60 % 60:02}"
    return f"{text}{total % 60:02}" if total % 60 else text


def moment_text(at: Moment) -> str:
    """Return a date, an aware instant (in UTC) or a naive wall time in its written form."""
    if not isinstance(at, datetime):
        return f"{at.year:04}{at.month:02}{at.day:02}"
    text = at if at.tzinfo is None else at.astimezone(UTC)
    clock = f"{text.hour:02}{text.minute:02}{text.second:02}"
    return f"{text.year:04}{text.month:02}{text.day:02}T{clock}{'Z' if at.tzinfo else ''}"
