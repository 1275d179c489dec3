"""When a row of the timetable is due next. Pure; wall times are those of the row's zone."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_SHIFT = re.compile(r"([a-z,-]+) (\d{1,2}):(\d{2})")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def next_instant(kind: str, spec: str, zone: str, after: datetime) -> datetime:
    """Return the first instant of a schedule after an instant; aware UTC both.

    A wall time that the zone's clock leaps over counts at the first minute after the gap; one
    that it shows twice counts once, at its first showing. `kind` is

    - cron: five fields, as `0 6 * * mon-fri`
    - minutes: minutes of every hour, as `3,18,33,48`
    - shift: days and a wall time, as `mon-fri 07:30`

    Raises ValueError with a sentence where the spec is not understood.
    """
    expression = _cron(kind, spec)
    try:
        instants = CronSim(expression, after.astimezone(ZoneInfo(zone)))
        while True:
            at = next(instants).astimezone(UTC)
            if at > after:  # in the hour that is shown twice the walk begins too early
                return at
    except (CronSimError, StopIteration):
        raise ValueError(_not_understood(kind, spec)) from None


def _cron(kind: str, spec: str) -> str:
    if kind == "minutes" and re.fullmatch(r"\d{1,2}(,\d{1,2})*", spec):
        return f"{spec} * * * *"
    if kind == "shift" and (found := _SHIFT.fullmatch(spec.lower())):
        with suppress(ValueError):
            return f"{int(found[3])} {int(found[2])} * * {_days(found[1])}"
    if kind == "cron" and len(spec.split()) == 5:  # noqa: PLR2004 -- cron's fields; seconds are none
        return spec
    raise ValueError(_not_understood(kind, spec))


def _days(text: str) -> str:
    """Return days, as `mon-fri,sun`, as a list; a range may go over the week's end."""
    days: list[str] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        days += [_DAYS[at % 7] for at in range(begin, end + (7 if end < begin else 0) + 1)]
    return ",".join(days)


def _not_understood(kind: str, spec: str) -> str:
    shape = {
        "cron": "five fields, as 0 6 * * mon-fri",
        "minutes": "minutes of an hour, as 3,18,33,48",
        "shift": "days and a time, as mon-fri 07:30",
    }[kind]
    return f"“{spec}” is no schedule: write {shape}"
