"""Events written for phones and servers, new or in place of what is there.

One VCALENDAR with one UID, CRLF, folded at 75 octets, and a full VTIMEZONE. No attendees and no
organiser of ours, so that no server sends mail (vendor sheet, section 7). A single visit that
TZID cannot say (the second of two equal wall times) is written in UTC, with its zone in
X-TRUCKROLL-ZONE.
"""

from datetime import UTC, date, datetime
from typing import NamedTuple

import msgspec

from truckroll.kit.errors import HoldRecord
from truckroll.kit.ical.fields import MARK, WRITTEN, ZONE, put_field, read_fields, same_stored
from truckroll.kit.ical.lines import (
    Component,
    Line,
    RefusedError,
    Tree,
    escape,
    make_line,
    read_tree,
    write_tree,
)
from truckroll.kit.ical.read import VEvents, events_of, newest, sequence_of
from truckroll.kit.ical.series import override_key, read_series
from truckroll.kit.ical.times import moment_text
from truckroll.kit.ical.vtimezone import make_vtimezone, read_vtimezone
from truckroll.kit.ical.when import read_when
from truckroll.kit.ical.zones import Zones, difference
from truckroll.model.records import Fields, Occurrence, Occurrences, Value, same
from truckroll.model.recurrence import ordinal_keys, reanchor, visit_at
from truckroll.model.rrule import parse_rrule
from truckroll.model.time import AllDay, Rule, Timed, When, instant, wall

_PRODID = "-//Truckroll//Hub//EN"
_TIMES = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXRULE", ZONE)
_NEWS = frozenset({"when", "occurrences", "location"})  # what raises SEQUENCE (RFC 5546 2.1.4)
_HORIZON = 5
_FAR = 5_000


class Written(NamedTuple):
    """An object as octets, and as what stands in these: neither is to be edited any more."""

    octets: bytes
    tree: Tree


class _Event(msgspec.Struct):
    """An object at work: its calendar, the event that is edited, and what it says now."""

    tree: Tree
    calendar: Component
    main: Component
    overrides: dict[str, Component]
    now: Fields
    zones: Zones
    detached: bool = False


def write_event(
    uid: str,
    fields: Fields,
    *,
    stamp: datetime,
    mark: str = "",
    previous: bytes = b"",
    sequence: int | None = None,
    zone: str = "",
) -> Written:
    """Return the iCalendar object of an appointment.

    Only keys in `fields` are touched; None and empty take a property out. With `previous`,
    everything that the hub does not know is kept, and where nothing differs `previous` comes
    back as it is. SEQUENCE is raised when time, recurrence or place changes, or set to
    `sequence`. `stamp` is an aware instant; `zone` reads floating times of `previous`. Raises
    HoldRecord, with a sentence, where there is no time or `previous` cannot be edited.
    """
    event = _opened(uid, previous, zone) if previous else _fresh(uid, stamp)
    wanted = {**event.now, **fields}
    when = wanted.get("when")
    if not isinstance(when, Timed | AllDay):
        raise HoldRecord("The appointment has no time, so it cannot be written to a calendar.")
    if event.detached and when.rule is not None:
        raise HoldRecord("Only one visit of this series is in the calendar; it cannot repeat.")
    changed = _put_main(event, fields, when)
    changed |= _put_exceptions(event, wanted, when, stamp, moved="when" in changed)
    if mark and event.main.text(MARK) != mark:
        event.main.put(make_line(MARK, escape(mark)))
        changed.add("mark")
    if previous and not changed:
        return Written(previous, event.tree)
    old = sequence_of(event.main)
    raised = old + 1 if previous and changed & _NEWS else old
    _stamp(event.main, stamp, raised if sequence is None else sequence)
    _put_zones(event, when)
    return Written(write_tree(event.calendar), Tree([event.calendar]))


def _fresh(uid: str, stamp: datetime) -> _Event:
    main = Component("VEVENT", [make_line("UID", escape(uid))])
    main.items += [make_line(name, "") for name in ("DTSTAMP", "LAST-MODIFIED", "SEQUENCE")]
    main.put(make_line("DTSTAMP", moment_text(stamp)))
    head = [("VERSION", "2.0"), ("PRODID", _PRODID), ("CALSCALE", "GREGORIAN")]
    calendar = Component("VCALENDAR", [make_line(name, value) for name, value in head])
    calendar.items.append(main)
    return _Event(Tree([calendar]), calendar, main, {}, {}, Zones())


def _opened(uid: str, previous: bytes, zone: str) -> _Event:
    try:
        tree = read_tree(previous)
        groups, _ = events_of(tree, zone)
        group = _chosen(groups, uid)
        main = newest(group.masters or group.overrides)
        calendar = _around(main, tree)
        now = read_series(main if group.masters else None, group.overrides, group.zones)
        when = now.fields["when"]
        overrides = {
            override_key(part, when, group.zones): part
            for part in (group.overrides if group.masters else [])
            if isinstance(when, Timed | AllDay)
        }
    except ValueError as error:
        raise HoldRecord(
            f"The event in the calendar cannot be changed in place. {error}"
            " Mend or delete it there."
        ) from error
    return _Event(tree, calendar, main, overrides, now.fields, group.zones, now.detached)


def _chosen(groups: list[VEvents], uid: str) -> VEvents:
    found = [group for group in groups if group.uid == uid] or groups
    if len(found) != 1:
        raise RefusedError(f"It holds {len(groups)} events and none is {uid[:80]}.")
    if not found[0].masters and len(found[0].overrides) > 1:
        raise RefusedError("Only some visits of its series are there, without the series itself.")
    return found[0]


def _around(event: Component, tree: Tree) -> Component:
    for part in tree.parts:
        if any(item is event for item in part.items):
            return part
    raise RefusedError("It stands outside of a calendar (VCALENDAR).")


def _put_main(event: _Event, fields: Fields, when: When) -> set[str]:
    changed: set[str] = set()
    if "when" in fields and not same(event.now.get("when"), when):
        _put_when(event.main, when)
        changed.add("when")
    changed.update(_put_fields(event.main, fields, event.now))
    return changed


def _put_fields(part: Component, fields: Fields, now: Fields) -> list[str]:
    """Put the fields that differ; return their names."""
    names = [
        name
        for name in sorted(WRITTEN & fields.keys(), key=_ORDER.index)
        if not same_stored(name, now.get(name), fields[name])
    ]
    for name in names:
        put_field(part, name, fields[name])
    return names


_ORDER = ["title", "location", "notes", "status", "busy", "private", "category", "contact", "link"]


def _put_when(part: Component, when: When) -> None:
    part.drop(*_TIMES)
    for line in [*_start_and_end(when), *_rule_lines(when)]:
        if line.name in {"RRULE", "RDATE"}:
            _insert(part, line)
        else:
            part.put(line)
    outlook = part.line("X-MICROSOFT-CDO-ALLDAYEVENT")
    if outlook is not None:
        part.put(make_line(outlook.name, "TRUE" if isinstance(when, AllDay) else "FALSE"))


def _start_and_end(when: When) -> list[Line]:
    if isinstance(when, AllDay):
        return [_at("DTSTART", when.start, ""), _at("DTEND", when.end, "")]
    end, _ = wall(when.ends, when.zone)
    sayable = instant(end, when.zone) == when.ends
    if when.rule is not None:
        start = _at("DTSTART", when.start, when.zone)
        if when.days or not sayable:
            return [start, make_line("DURATION", _duration(when))]
        return [start, _at("DTEND", end, when.zone)]
    if sayable and instant(when.start, when.zone) == when.begins:
        return [_at("DTSTART", when.start, when.zone), _at("DTEND", end, when.zone)]
    return [
        make_line("DTSTART", moment_text(when.begins)),
        make_line("DTEND", moment_text(when.ends)),
        make_line(ZONE, when.zone),
    ]


def _duration(when: Timed) -> str:
    days = f"{when.days}D" if when.days else ""
    return f"P{days}T{when.seconds}S" if when.seconds or not days else f"P{days}"


def _at(name: str, at: datetime | date, zone: str) -> Line:
    """Return a line of a date, or of a naive wall time in a zone."""
    if not isinstance(at, datetime):
        return make_line(name, moment_text(at), VALUE="DATE")
    if zone == "UTC":
        return make_line(name, moment_text(at.replace(tzinfo=UTC)))
    return make_line(name, moment_text(at), TZID=zone)


def _keyed(name: str, key: str, when: When) -> Line:
    """Return a line that names a visit by its original start, in the type of DTSTART."""
    if isinstance(when, AllDay):
        return _at(name, date.fromisoformat(key[:10]), "")
    return _at(name, datetime.fromisoformat(key), when.zone)


def _rule_lines(when: When) -> list[Line]:
    if when.rule is None:
        return []
    lines = [make_line("RRULE", text) for text in when.rule.rrule]
    extra = when.rule.rdate or (() if lines else (when.start.isoformat(),))
    return lines + [_keyed("RDATE", key, when) for key in extra]


def _put_exceptions(
    event: _Event, wanted: Fields, when: When, stamp: datetime, *, moved: bool
) -> set[str]:
    """Bring EXDATE and the overrides in line; return what of the visit's meaning changed."""
    now = event.now.get("occurrences")
    before = now if isinstance(now, Occurrences) else Occurrences()
    given = wanted.get("occurrences")
    after = given if isinstance(given, Occurrences) and when.rule else Occurrences()
    if same(before, after) and not moved and not event.overrides:
        return set()
    differs = not same(before, after)
    if differs or moved:
        _rekey(event, when)
        _exclude(event, after, when)
    touched = differs
    for key, one in after.by_start.items():
        if one.fields and not one.cancelled:
            touched |= _put_override(event, key, one, wanted, when, stamp)
    return {"occurrences"} if differs else {"override"} if touched else set()


def _rekey(event: _Event, when: When) -> None:
    """Let each override stand for its heir in the series that moved; others go."""
    old = event.now.get("when")
    if not isinstance(old, Timed | AllDay) or same(old, when):
        return
    named = {key: Occurrence(fields={"title": key}) for key in event.overrides}
    kept, _ = reanchor(old, when, Occurrences(by_start=named))
    heirs = {str(one.fields["title"]): key for key, one in kept.by_start.items()}
    for key, part in list(event.overrides.items()):
        if key in heirs:
            part.put(_keyed("RECURRENCE-ID", heirs[key], when))
        else:
            _remove(event.calendar, part)
    event.overrides = {heirs[key]: part for key, part in event.overrides.items() if key in heirs}


def _exclude(event: _Event, after: Occurrences, when: When) -> None:
    event.main.drop("EXDATE", "EXRULE")
    all_stopped = event.now.get("status") == "cancelled"  # then a visit's own status says nothing
    for key, part in list(event.overrides.items()):
        one = after.by_start.get(key, Occurrence())
        stated = not all_stopped and (part.text("STATUS") or "").strip().upper() == "CANCELLED"
        line = part.line("RECURRENCE-ID")
        ranged = line is not None and "RANGE" in line.params
        if stated != one.cancelled or not (one.cancelled or one.fields) or ranged:
            _remove(event.calendar, part)
            del event.overrides[key]
    for key, one in after.by_start.items():
        if one.cancelled and key not in event.overrides:
            _insert(event.main, _keyed("EXDATE", key, when))


def _remove(calendar: Component, part: Component) -> None:
    calendar.items = [item for item in calendar.items if item is not part]


def _put_override(
    event: _Event, key: str, one: Occurrence, wanted: Fields, when: When, stamp: datetime
) -> bool:
    """Write what a visit of its own says; return whether anything changed."""
    part = event.overrides.get(key)
    own: dict[str, Value] = {**wanted, **one.fields}
    moved = one.fields.get("when")
    own_when = moved if isinstance(moved, Timed | AllDay) else visit_at(when, key)
    if part is None:
        _add_override(event, key, when, own_when, own, stamp)
        return True
    changed = bool(_put_fields(part, own, read_fields(part)))
    has_time = part.line("DTSTART") is not None
    if not has_time or not same(_single(read_when(part, event.zones).when), own_when):
        _put_when(part, own_when)
        changed = True
    if changed:
        _stamp(part, stamp, sequence_of(part) + 1)
    return changed


def _add_override(
    event: _Event, key: str, when: When, own_when: When, own: Fields, stamp: datetime
) -> None:
    part = Component("VEVENT", [*event.main.lines("UID")])
    part.items += [make_line(name, "") for name in ("DTSTAMP", "LAST-MODIFIED", "SEQUENCE")]
    part.items.append(_keyed("RECURRENCE-ID", key, when))
    _put_when(part, own_when)
    _put_fields(part, own, {})
    _stamp(part, stamp, sequence_of(event.main))
    event.calendar.items.append(part)
    event.overrides[key] = part


def _single(when: When) -> When:
    return msgspec.structs.replace(when, rule=None)


def _stamp(part: Component, stamp: datetime, sequence: int) -> None:
    part.put(make_line("DTSTAMP", moment_text(stamp)))
    part.put(make_line("LAST-MODIFIED", moment_text(stamp)))
    part.put(make_line("SEQUENCE", str(sequence)))


def _put_zones(event: _Event, when: When) -> None:
    """Add the VTIMEZONEs that the event uses; one that lies about its own zone is replaced."""
    first, last = _years(event, when)
    parts = [event.main, *event.overrides.values()]
    used = {line.params.get("TZID", "") for part in parts for line in part.lines()}
    every = (when, *_moves(event))
    written = {one.zone for one in every if isinstance(one, Timed) and one.zone != "UTC"}
    known = {part.text("TZID"): part for part in event.calendar.parts("VTIMEZONE")}
    for name in sorted(used & written):
        described = read_vtimezone(known[name]) if name in known else ()
        span = (first, min(last or first + _HORIZON, first + _HORIZON))
        if described and difference(name, described, span) is None:
            continue
        if name in known:
            _remove(event.calendar, known[name])
        _insert(event.calendar, make_vtimezone(name, first, last))


def _insert(part: Component, item: Line | Component) -> None:
    """Put an item after the part's own lines, before the parts inside it."""
    inside = (n for n, one in enumerate(part.items) if isinstance(one, Component))
    part.items.insert(next(inside, len(part.items)), item)


def _moves(event: _Event) -> list[When]:
    """Return the times of the visits that have their own."""
    parts = [part for part in event.overrides.values() if part.line("DTSTART") is not None]
    return [read_when(part, event.zones).when for part in parts]


def _years(event: _Event, when: When) -> tuple[int, int | None]:
    whens = [when, *_moves(event)]
    first = min(one.start.year for one in whens)
    last = max(one.start.year for one in whens) + 1
    rules = [parse_rrule(text) for text in (when.rule or Rule()).rrule]
    if any(rule.count is None and rule.until is None for rule in rules):
        return first, None
    keys = ordinal_keys(when, _FAR) if when.rule else ()
    return first, None if len(keys) == _FAR else max([last, *(int(key[:4]) + 1 for key in keys)])
