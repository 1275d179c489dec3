"""Inspect: what Truckroll understands of an iCalendar file."""

from datetime import date, timedelta
from pathlib import Path

from truckroll.app.recipes import check_zone
from truckroll.app.trouble import TroubleError
from truckroll.kit.ical.inspect import Inspection
from truckroll.kit.ical.inspect import inspect as look

DAYS = 90


def inspect(
    file: str, *, start: date | None = None, end: date | None = None, zone: str = ""
) -> Inspection:
    """Return what a file holds, with visits from `start` to `end` (exclusive).

    By default from today for 90 days. `zone` is the IANA zone of floating times where the file
    names none. Raises TroubleError where there is no such file.
    """
    check_zone(zone)
    path = Path(file).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TroubleError(f"{file} cannot be read: {error.strerror}", usage=True) from error
    first = start or date.today()  # noqa: DTZ011 -- the person's own day is meant
    last = end or first + timedelta(days=DAYS)
    if last <= first:
        raise TroubleError(f"the range ends ({last}) before it begins ({first})", usage=True)
    return look(data, first, last, zone)
