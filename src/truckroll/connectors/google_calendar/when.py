"""Times of events in both directions: pure.

Timed: `dateTime` with its offset and the IANA `timeZone`; whole days: `date`, the end exclusive; a
series has `recurrence` lines of RFC 5545 without DTSTART (page section "Times").
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from truckroll.connectors.google_calendar.event import DAYS, Event, Moment
from truckroll.kit.ical.fields import ZONE
from truckroll.kit.ical.lines import Component, RefusedError, make_line, read_tree
from truckroll.kit.ical.series import read_series
from truckroll.kit.ical.times import moment_text
from truckroll.kit.ical.zones import Zones, iana_zone
from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.recurrence import key_of
from truckroll.model.time import AllDay, Timed, When, instant, wall, zone_info

_DAY = timedelta(days=1)


class Times(msgspec.Struct, frozen=True):
    """When an event is; `occurrences` are the visits that its own lines exclude."""

    when: When
    occurrences: Occurrences | None = None
    problems: tuple[str, ...] = ()


def read_times(event: Event, zone: str) -> Times:
    """Return the times of an event; raises RefusedError with the reason as a sentence.

    `zone` is the account's IANA zone, for a single event that names none.
    """
    problems: list[str] = []
    when = _single(event, zone, problems)
    if not event.recurrence:
        return Times(when, None, tuple(problems))
    found = read_series(_component(event, when), [], Zones())
    whole, excluded = found.fields["when"], found.fields.get("occurrences")
    assert isinstance(whole, Timed | AllDay)  # a component with a start always has one
    excepted = excluded if isinstance(excluded, Occurrences) else Occurrences()
    return Times(_with_days(event, whole), excepted, (*problems, *found.problems))


def _single(event: Event, zone: str, problems: list[str]) -> When:
    start, end = event.start, event.end
    if start is None or not (start.date or start.date_time):
        raise RefusedError("It has no start time.")
    if start.date:
        first = _date(start.date)
        last = _date(end.date) if end is not None and end.date else first + _DAY
        return AllDay(start=first, end=max(last, first + _DAY))
    name = _zone(start, zone, problems, repeats=bool(event.recurrence))
    begins = _instant(start, name)
    ends = _instant(end, name) if end is not None and end.date_time else begins
    if ends < begins:
        raise RefusedError("It ends before it starts.")
    at, fold = wall(begins, name)
    return Timed(start=at, zone=name, seconds=int((ends - begins).total_seconds()), fold=fold)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError(f'Its date cannot be read: "{text[:40]}".') from None


def _instant(moment: Moment, zone: str) -> datetime:
    """Return the UTC instant of a time; one without offset is wall time in its zone."""
    try:
        at = datetime.fromisoformat(moment.date_time)
    except ValueError:
        raise RefusedError(f'Its time cannot be read: "{moment.date_time[:40]}".') from None
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    return instant(at, iana_zone(moment.time_zone) or zone)


def _zone(start: Moment, account: str, problems: list[str], *, repeats: bool) -> str:
    """Return the zone of a start. Without a known one, its offset says enough of a single event."""
    name = iana_zone(start.time_zone) if start.time_zone else ""
    if name:
        return name
    named = f'the zone "{start.time_zone[:60]}"' if start.time_zone else "no zone"
    at = datetime.fromisoformat(start.date_time) if _reads(start.date_time) else None
    if repeats or at is None or at.tzinfo is None:
        raise RefusedError(f"It names {named}, which says nothing about its times.")
    if start.time_zone:
        problems.append(f"It names {named}, which is not known; its offset from UTC was believed.")
    if account and at.astimezone(zone_info(account)).utcoffset() == at.utcoffset():
        return account
    hours = int((at.utcoffset() or timedelta(0)).total_seconds()) / 3600
    return f"Etc/GMT{-hours:+.0f}" if hours and hours == round(hours) else "UTC"


def _reads(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _component(event: Event, when: When) -> Component:
    """Return a VEVENT with an event's times, for the reader of recurrence lines."""
    lines = "\r\n".join(("BEGIN:VEVENT", *event.recurrence, "END:VEVENT"))
    parts = read_tree(lines.encode()).parts
    part = Component("VEVENT", list(parts[0].items) if parts else [])
    part.drop("DTSTART", "DTEND", "DURATION")
    if isinstance(when, AllDay):
        part.put(make_line("DTSTART", moment_text(when.start), VALUE="DATE"))
        part.put(make_line("DTEND", moment_text(when.end), VALUE="DATE"))
    else:
        part.put(make_line("DTSTART", moment_text(when.begins)))
        part.put(make_line("DTEND", moment_text(when.ends)))
        part.put(make_line(ZONE, when.zone))
    return part


def _with_days(event: Event, when: When) -> When:
    """Return a series with its length as the hub said it: whole days and the rest (P1D)."""
    days = event.extended_properties.private.get(DAYS, "")
    if not (isinstance(when, Timed) and days.isascii() and days.isdigit() and len(days) < 4):  # noqa: PLR2004 -- a sane length
        return when
    ends = msgspec.structs.replace(when, days=int(days), seconds=0).ends
    rest = int((when.ends - ends).total_seconds())
    return msgspec.structs.replace(when, days=int(days), seconds=rest) if rest >= 0 else when


def original_key(visit: Event, when: When) -> str | None:
    """Return the key of a visit in its series' own terms, None where it has none there."""
    at = visit.original_start_time
    if at is None:
        return None
    if isinstance(when, AllDay):
        return key_of(_date(at.date)) if at.date else None
    return key_of(wall(_instant(at, when.zone), when.zone)[0]) if at.date_time else None


def put_times(when: When, *, merged: bool) -> dict[str, Any]:
    """Return `start` and `end` of an event; `merged` takes the other form's keys out (PATCH)."""
    none: dict[str, Any] = dict.fromkeys(("date", "dateTime", "timeZone")) if merged else {}
    if isinstance(when, AllDay):
        return {
            "start": none | {"date": when.start.isoformat()},
            "end": none | {"date": when.end.isoformat()},
        }
    return {
        "start": none | {"dateTime": _local(when.begins, when.zone), "timeZone": when.zone},
        "end": none | {"dateTime": _local(when.ends, when.zone), "timeZone": when.zone},
    }


def _local(at: datetime, zone: str) -> str:
    """Return an instant with the offset of its zone, which tells equal wall times apart."""
    return at.astimezone(zone_info(zone)).isoformat()


def put_recurrence(when: When, occurrences: Occurrences | None) -> list[str] | None:
    """Return the lines of a series with its cancelled visits, None for a single event."""
    if when.rule is None:
        return None
    lines = [f"RRULE:{text}" for text in when.rule.rrule]
    extra = when.rule.rdate or (() if lines else (key_of(when.start),))
    out = [key for key, one in (occurrences or Occurrences()).by_start.items() if one.cancelled]
    return (
        lines
        + [_listed("RDATE", key, when) for key in extra]
        + [_listed("EXDATE", key, when) for key in sorted(out)]
    )


def _listed(name: str, key: str, when: When) -> str:
    if isinstance(when, AllDay):
        return f"{name};VALUE=DATE:{moment_text(date.fromisoformat(key[:10]))}"
    at = moment_text(datetime.fromisoformat(key))
    return f"{name}:{at}Z" if when.zone == "UTC" else f"{name};TZID={when.zone}:{at}"


def original_start(when: When, key: str) -> str:
    """Return a visit's original start as the API takes it in a query."""
    if isinstance(when, AllDay):
        return key[:10]
    at = datetime.fromisoformat(key)
    fold = when.fold if at == when.start else 0
    return _local(instant(at, when.zone, fold), when.zone)


def nominal_days(when: When) -> str | None:
    """Return the whole days of a series' length where its elapsed seconds do not say them."""
    return str(when.days) if isinstance(when, Timed) and when.rule and when.days else None


def cancelled(occurrences: Occurrences | None) -> frozenset[str]:
    """Return the keys of the visits that do not take place."""
    found = (occurrences or Occurrences()).by_start
    return frozenset(key for key, one in found.items() if one.cancelled)


def changed(occurrences: Occurrences | None) -> dict[str, Occurrence]:
    """Return the visits that take place and differ."""
    found = (occurrences or Occurrences()).by_start
    return {key: one for key, one in found.items() if one.fields and not one.cancelled}
