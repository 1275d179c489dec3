"""iCalendar text, from phones and servers as they are, read as records.

Nothing here raises on what strangers send: a text or an event that is not read is refused with
a sentence that says why, and what was odd but could be read is a problem with its place.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from truckroll.kit.ical.fields import MARK
from truckroll.kit.ical.lines import LIMITS, Component, Limits, RefusedError, Tree, read_tree
from truckroll.kit.ical.series import read_series
from truckroll.kit.ical.times import parse_moment
from truckroll.kit.ical.zones import Zones, zones_of
from truckroll.model.records import Value

__all__ = ["Calendar", "Entry", "Limits", "VEvents", "events_of", "read_calendar", "read_parts"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One UID: `fields`, or the reason for which it was `refused` (then `fields` is empty).

    `mark` is the hub's mark (X-TRUCKROLL-LINK), `modified` the instant of LAST-MODIFIED, else
    of DTSTAMP. `detached` means that only visits of a series are here, not the series itself.
    """

    uid: str
    title: str = ""
    fields: Mapping[str, Value] = {}
    refused: str = ""
    problems: tuple[str, ...] = ()
    mark: str | None = None
    sequence: int = 0
    organizer: str = ""
    modified: datetime | None = None
    detached: bool = False
    line: int = 0


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """What a text holds. `refused` says why nothing of it was read, if so.

    `zone` is the name in X-WR-TIMEZONE as it stands, `others` counts components that are no
    events (tasks, journals, busy times).
    """

    entries: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()
    refused: str = ""
    zone: str = ""
    name: str = ""
    method: str = ""
    others: int = 0


class VEvents(msgspec.Struct):
    """The VEVENTs of one UID, and the zones of the calendar that they came in."""

    uid: str
    zones: Zones
    masters: list[Component]
    overrides: list[Component]


def read_calendar(data: bytes, *, zone: str = "", limits: Limits = LIMITS) -> Calendar:
    """Return the events of an iCalendar text; never raises on its content.

    `zone` is the IANA zone of floating times, where the text itself gives none
    (X-WR-TIMEZONE). Values as RFC 5545 says; what real systems do otherwise is tolerated.
    """
    try:
        tree = read_tree(data, limits)
    except RefusedError as error:
        return Calendar(refused=str(error))
    return read_parts(tree, zone=zone)


def read_parts(tree: Tree, *, zone: str = "") -> Calendar:
    """Return the events of a text that is taken apart already, as `read_calendar` does."""
    calendars = [part for part in tree.parts if part.name == "VCALENDAR"]
    groups, others = events_of(tree, zone)
    if not calendars and not groups:
        said = "This is no iCalendar text: it has no VCALENDAR."
        return Calendar(refused=said, problems=tuple(tree.problems))
    problems = list(tree.problems)
    if any(_value(part, "VERSION") == "1.0" for part in calendars):
        problems.append("The calendar says that it is vCalendar 1.0; it was read as iCalendar 2.0.")
    first = calendars[0] if calendars else Component("VCALENDAR")
    return Calendar(
        entries=tuple(_entry(group) for group in groups),
        problems=tuple(problems),
        zone=_value(first, "X-WR-TIMEZONE"),
        name=first.text("X-WR-CALNAME") or "",
        method=_value(first, "METHOD").upper(),
        others=others,
    )


def events_of(tree: Tree, zone: str) -> tuple[list[VEvents], int]:
    """Return the VEVENTs by UID, in order of appearance, and how many other parts there are."""
    groups: dict[str, VEvents] = {}
    others = 0
    loose = Component("VCALENDAR", [part for part in tree.parts if part.name == "VEVENT"])
    for calendar in [*(part for part in tree.parts if part.name == "VCALENDAR"), loose]:
        zones = zones_of(calendar, zone)
        for part in calendar.parts():
            if part.name != "VEVENT":
                others += part.name != "VTIMEZONE"
                continue
            uid = (part.text("UID") or "").strip()
            # Events without a UID are never one event.
            key = uid or f"\n{len(groups)}"
            group = groups.setdefault(key, VEvents(uid, zones, [], []))
            whose = group.overrides if part.line("RECURRENCE-ID") else group.masters
            whose.append(part)
    for group in groups.values():
        if not group.masters:  # some write RECURRENCE-ID on the series itself
            group.masters = [part for part in group.overrides if part.lines("RRULE", "RDATE")]
            group.overrides = [part for part in group.overrides if part not in group.masters]
    return list(groups.values()), others


def _value(part: Component, name: str) -> str:
    line = part.line(name)
    return line.value.strip() if line else ""


def newest(parts: list[Component]) -> Component:
    """Return the part that was sent last: by SEQUENCE, then time, then place in the text."""
    if len(parts) == 1:
        return parts[0]
    return max(enumerate(parts), key=lambda pair: (*_age(pair[1]), pair[0]))[1]


def _age(part: Component) -> tuple[int, datetime]:
    return sequence_of(part), _modified(part) or datetime.min.replace(tzinfo=UTC)


def sequence_of(part: Component) -> int:
    """Return the SEQUENCE of a VEVENT, 0 where it has none that is a number."""
    text = _value(part, "SEQUENCE")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004 -- digits


def _modified(part: Component) -> datetime | None:
    for name in ("LAST-MODIFIED", "DTSTAMP"):
        try:
            moment = parse_moment(_value(part, name))
        except ValueError:
            continue
        if isinstance(moment, datetime):
            return moment.replace(tzinfo=UTC)
    return None


def _entry(group: VEvents) -> Entry:
    every = group.masters or group.overrides
    main = newest(every)
    title = main.text("SUMMARY") or ""
    organizer = main.line("ORGANIZER")
    problems, refused = [], ""
    fields: Mapping[str, Value] = {}
    detached = False
    if not group.uid:
        problems.append("It has no UID.")
    if len(group.masters) > 1:
        problems.append(f"Its UID stands on {len(group.masters)} events; the newest was read.")
    try:
        series = read_series(main if group.masters else None, _latest(group.overrides), group.zones)
    except RefusedError as error:
        refused = str(error)
    except (ValueError, OverflowError) as error:
        refused = f"It cannot be read: {error}."
    else:
        fields, detached = series.fields, series.detached
        problems += series.problems
    called = f'"{title[:80]}"' if title else f"The event {group.uid[:80]}".rstrip()
    place = f"{called} (line {main.number})"
    return Entry(
        uid=group.uid,
        title=title,
        fields=fields,
        refused=f"{place} was not read. {refused}" if refused else "",
        problems=tuple(f"{place}: {text}" for text in problems),
        mark=main.text(MARK),
        sequence=max(map(sequence_of, every)),
        organizer=organizer.value.strip() if organizer else "",
        modified=_modified(main),
        detached=detached,
        line=main.number,
    )


def _latest(overrides: list[Component]) -> list[Component]:
    """Return the overrides with those of one RECURRENCE-ID reduced to the newest."""
    by_id: dict[str, list[Component]] = {}
    for part in overrides:
        line = part.line("RECURRENCE-ID")
        by_id.setdefault(line.text if line else "", []).append(part)
    return [newest(parts) for parts in by_id.values()]
