"""What an iCalendar text holds, for people: events, visits in a range, and what was odd."""

from datetime import date, datetime

import msgspec

from truckroll.kit.ical.lines import LIMITS, Limits
from truckroll.kit.ical.read import Entry, read_calendar
from truckroll.model.records import Occurrences
from truckroll.model.recurrence import Happening, occurrences
from truckroll.model.time import AllDay, Timed, When, wall

LIMIT = 1_000


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit in the range.

    `starts` and `ends` are ISO instants in UTC, or dates for whole days (the end exclusive);
    `local_start` and `local_end` are ISO wall time in `zone`, or the same dates with no zone.
    `changed` names the fields in which it differs from its series.
    """

    original: str
    starts: str
    ends: str
    local_start: str
    local_end: str
    zone: str = ""
    cancelled: bool = False
    changed: tuple[str, ...] = ()


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """One event with its visits in the range, or the reason for which it was refused."""

    uid: str
    title: str
    when: When | None = None
    visits: tuple[Visit, ...] = ()
    truncated: str = ""
    problems: tuple[str, ...] = ()
    refused: str = ""
    mark: str | None = None


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a text holds. `visits` counts those that take place, `others` what is no event."""

    name: str = ""
    zone: str = ""
    events: int = 0
    refused_events: int = 0
    visits: int = 0
    cancelled: int = 0
    others: int = 0
    problems: tuple[str, ...] = ()
    refused: str = ""
    entries: tuple[Inspected, ...] = ()


def inspect(
    data: bytes,
    start: datetime | date,
    end: datetime | date,
    zone: str = "",
    *,
    limits: Limits = LIMITS,
) -> Inspection:
    """Return what an iCalendar text holds, with visits from `start` to `end` (exclusive).

    Dates, or aware instants. `zone` is the IANA zone of floating times where the text gives
    none. Never raises on content; each event shows at most 1,000 visits.
    """
    calendar = read_calendar(data, zone=zone, limits=limits)
    entries = tuple(_inspected(entry, start, end) for entry in calendar.entries)
    visits = [visit for entry in entries for visit in entry.visits]
    gone = sum(visit.cancelled for visit in visits)
    return Inspection(
        name=calendar.name,
        zone=calendar.zone,
        events=len(entries),
        refused_events=sum(bool(entry.refused) for entry in entries),
        visits=len(visits) - gone,
        cancelled=gone,
        others=calendar.others,
        problems=calendar.problems,
        refused=calendar.refused,
        entries=entries,
    )


def _inspected(entry: Entry, start: datetime | date, end: datetime | date) -> Inspected:
    when, apart = entry.fields.get("when"), entry.fields.get("occurrences")
    visits: tuple[Visit, ...] = ()
    truncated = ""
    if isinstance(when, Timed | AllDay):
        exceptions = apart if isinstance(apart, Occurrences) else None
        found = occurrences(when, exceptions, start, end, limit=LIMIT)
        stopped = entry.fields.get("status") == "cancelled"
        visits = tuple(_visit(one, stopped=stopped) for one in found.items)
        truncated = found.reason
    return Inspected(
        uid=entry.uid,
        title=entry.title,
        when=when if isinstance(when, Timed | AllDay) else None,
        visits=visits,
        truncated=truncated,
        problems=entry.problems,
        refused=entry.refused,
        mark=entry.mark,
    )


def _visit(one: Happening, *, stopped: bool) -> Visit:
    cancelled = one.cancelled or one.fields.get("status", "") == "cancelled"
    cancelled = cancelled or (stopped and "status" not in one.fields)
    changed = tuple(sorted(one.fields))
    if isinstance(one.when, AllDay):
        start, end = one.when.start.isoformat(), one.when.end.isoformat()
        return Visit(
            original=one.original,
            starts=start,
            ends=end,
            local_start=start,
            local_end=end,
            cancelled=cancelled,
            changed=changed,
        )
    begins, ends, zone = one.when.begins, one.when.ends, one.when.zone
    return Visit(
        original=one.original,
        starts=begins.isoformat(),
        ends=ends.isoformat(),
        local_start=wall(begins, zone)[0].isoformat(),
        local_end=wall(ends, zone)[0].isoformat(),
        zone=zone,
        cancelled=cancelled,
        changed=changed,
    )
