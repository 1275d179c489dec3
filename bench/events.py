"""A service company's events: zoned visits, whole days and weekly series, always the same ones."""

from __future__ import annotations

import random
import re
from datetime import UTC, date, datetime, timedelta

ZONE = "America/New_York"
WORK = ("Furnace tune-up", "Leak under sink", "Panel upgrade", "Water heater swap", "Drain line")
NAMES = ("Smith", "García", "O’Neil", "Nguyen", "Kowalski", "Müller", "Okafor", "Rossi")
STREETS = ("Elm St", "Oak Ave", "Main St", "2nd St", "Harbor Rd", "Mill Ln")

_HEAD = f"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Dispatch//EN
BEGIN:VTIMEZONE
TZID:{ZONE}
BEGIN:DAYLIGHT
TZOFFSETFROM:-0500
TZOFFSETTO:-0400
DTSTART:20070311T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU
TZNAME:EDT
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
DTSTART:20071104T020000
RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU
TZNAME:EST
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
"""
_TAIL = "END:VEVENT\nEND:VCALENDAR\n"


def events(count: int) -> dict[str, str]:
    """Return `count` iCalendar objects by name: 7 % whole days, 5 % weekly series."""
    return {f"visit-{number:05}.ics": _event(number) for number in range(count)}


def _event(number: int) -> str:
    chance = random.Random(number)
    day = date.today() + timedelta(days=2 + number // 20)  # noqa: DTZ011 -- any day will do
    who, work = chance.choice(NAMES), chance.choice(WORK)
    lines = [
        f"UID:visit-{number:05}@example.com",
        f"DTSTAMP:{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        f"SUMMARY:J-{number:05} {work} · {who}",
        f"LOCATION:{chance.randint(1, 999)} {chance.choice(STREETS)}\\, Albany\\, NY",
        f"DESCRIPTION:Work: {work}\\nContact: {who} · +1 518 555 {chance.randint(1000, 9999)}",
        f"STATUS:{chance.choice(('CONFIRMED', 'TENTATIVE'))}",
        "CATEGORIES:Service",
    ]
    if number % 14 == 3:
        lines += [f"DTSTART;VALUE=DATE:{day:%Y%m%d}", f"DTEND;VALUE=DATE:{_next(day):%Y%m%d}"]
    else:
        hour, minutes = chance.randint(7, 16), chance.choice((30, 60, 90, 120))
        start = datetime.combine(day, datetime.min.time()) + timedelta(hours=hour)
        lines.append(f"DTSTART;TZID={ZONE}:{start:%Y%m%dT%H%M%S}")
        lines.append(f"DTEND;TZID={ZONE}:{start + timedelta(minutes=minutes):%Y%m%dT%H%M%S}")
        if number % 20 == 5:
            lines.append("RRULE:FREQ=WEEKLY;COUNT=10")
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def _next(day: date) -> date:
    return day + timedelta(days=1)


def edited(text: str, number: int) -> str:
    """Return an event after an edit: another title."""
    return re.sub(r"(SUMMARY:J-\d+)", rf"\1 (edit {number})", text, count=1)
