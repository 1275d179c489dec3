"""Start and end of an event (google-calendar, section 12).

In store, a timed value is `{"dateTime": "…Z", "timeZone": "<IANA name>"}` with the instant in UTC;
an all-day one is `{"date": "yyyy-mm-dd"}`.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from truckroll_sim.google_calendar.errors import invalid, refusal, required

Doc = dict[str, Any]
_YEARS = range(2, 9998)
"""Years whose instants can be said in every zone."""


def zone_of(name: str, what: str = "time zone") -> ZoneInfo:
    """Return a zone by its IANA name; refuses an unknown one (400)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid(f"Invalid time zone definition for {what}.") from None


def instant_of(text: Any, what: str) -> datetime:
    """Return a query parameter or property as an instant; refuses one without offset (400)."""
    try:
        value = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise invalid("Bad Request", what) from None
    if value.tzinfo is None or value.year not in _YEARS:
        raise invalid("Bad Request", what)
    return value.astimezone(UTC).replace(microsecond=0)


def normal(given: Any, default_zone: str, side: str) -> Doc:
    """Return a start or end as it is stored; refuses what the vendor refuses (400)."""
    if not isinstance(given, dict):
        raise invalid(f"Invalid {side} time.")
    day, at, zone = given.get("date"), given.get("dateTime"), given.get("timeZone")
    if day and at:
        raise invalid(f"Invalid {side} time: either date or dateTime must be given, not both.")
    if day:
        return {"date": _day(day, side).isoformat()}
    if not at:
        raise required(f"Missing {side} time.")
    if zone:
        zone_of(zone, f"{side} time")
    try:
        value = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        raise invalid(f"Invalid {side} time.") from None
    if value.year not in _YEARS:
        raise invalid(f"Invalid {side} time.")
    if value.tzinfo is None:
        if not zone:
            raise required(f"Missing time zone definition for {side} time.")
        value = value.replace(tzinfo=ZoneInfo(zone))
    return stored(value, zone or default_zone)


def stored(at: datetime, zone: str) -> Doc:
    """Return an aware instant as a stored timed value."""
    whole = at.astimezone(UTC).replace(microsecond=0)
    return {"dateTime": whole.isoformat().replace("+00:00", "Z"), "timeZone": zone}


def check_span(start: Doc, end: Doc) -> None:
    """Refuse a span that mixes days and times, or ends before it starts (400)."""
    if ("date" in start) != ("date" in end):
        raise invalid("Start and end times must either both be date or both be dateTime.")
    empty = start["date"] >= end["date"] if "date" in start else moment(start) > moment(end)
    if empty:
        raise refusal(400, "timeRangeEmpty")


def moment(value: Doc, zone: str = "UTC") -> datetime:
    """Return the instant of a stored value; a day begins at midnight in the zone."""
    if "date" in value:
        return datetime.combine(date.fromisoformat(value["date"]), time(), ZoneInfo(zone))
    return datetime.fromisoformat(value["dateTime"])


def shown(value: Doc, zone: str) -> Doc:
    """Return a stored value as an answer shows it: with the offset of the zone."""
    if "date" in value:
        return {"date": value["date"]}
    local = moment(value).astimezone(ZoneInfo(zone)).isoformat().replace("+00:00", "Z")
    return {"dateTime": local, "timeZone": value["timeZone"]}


def later(value: Doc, span: timedelta) -> Doc:
    """Return a stored value that is so much elapsed time, or so many days, later."""
    if "date" in value:
        return {"date": (date.fromisoformat(value["date"]) + span).isoformat()}
    return stored(moment(value) + span, value["timeZone"])


def length(start: Doc, end: Doc) -> timedelta:
    """Return the time that elapses from a stored start to a stored end."""
    return moment(end) - moment(start)


def _day(text: Any, side: str) -> date:
    try:
        day = date.fromisoformat(text)
    except (TypeError, ValueError):
        raise invalid(f"Invalid {side} time.") from None
    if day.year not in _YEARS:
        raise invalid(f"Invalid {side} time.")
    return day
