"""Events as records, and back: pure.

Descriptions may hold HTML (schema Event): it is read as the text that people see, and a text that
would be taken for HTML is escaped, so that every text survives.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec

from truckroll.connectors.google_calendar.event import DAYS, MARK, Event, Shown, Whole
from truckroll.connectors.google_calendar.when import (
    Times,
    nominal_days,
    original_key,
    put_recurrence,
    put_times,
    read_times,
)
from truckroll.kit.contract import Item, Scope, Seen, Session, Unreadable
from truckroll.kit.errors import HoldRecord
from truckroll.kit.ical.lines import RefusedError
from truckroll.kit.normal import EVENT_STATUS, LOSSLESS, Stored, html_to_text, stored
from truckroll.model.records import (
    Address,
    Fields,
    Occurrence,
    Occurrences,
    Value,
    same,
)
from truckroll.model.recurrence import visit_at
from truckroll.model.time import AllDay, Timed, When

_TEXT = Stored(omits_empty=True)
FIELDS: Mapping[str, Stored] = {
    "title": _TEXT,
    "when": LOSSLESS,
    "occurrences": _TEXT,
    "status": EVENT_STATUS,
    "location": Stored(as_text=True, omits_empty=True),
    "notes": _TEXT,
    "busy": LOSSLESS,
    "private": LOSSLESS,
    "link": _TEXT,
    "guests": LOSSLESS,
    "organizer": LOSSLESS,
}
WRITES = frozenset(FIELDS) - {"guests", "organizer"}
VISIT = WRITES - {"occurrences"}


def item(session: Session, scope: Scope, whole: Whole) -> Item:
    """Return a single event or a series as a record."""
    event = whole.main.event
    try:
        times = read_times(event, session.zone)
        problems = list(times.problems)
        fields = _content(event, ours=whole.ours) | {"when": times.when, "occurrences": None}
        if times.occurrences is not None:
            fields["occurrences"] = _folded(whole, times, fields, session.zone, problems)
    except (RefusedError, ValueError, OverflowError) as error:
        return unreadable(session, scope, event.id, str(error), whole.raw, whole.version)
    return Seen(
        id=event.id,
        fields=fields,
        version=whole.version,
        raw=whole.raw,
        mark=event.mark or None,
        series=event.ical_uid or None,
        owned=event.owned,
        problems=tuple(problems),
    )


def unreadable(
    session: Session, scope: Scope, id_: str, why: str, raw: bytes, version: str | None = None
) -> Unreadable:
    """Return an event that is there and cannot be read; `why` is a sentence about it."""
    reason = (
        f'The event "{id_}" in the calendar "{scope.title}" at {session.system} cannot be read: '
        f"{why[:1].lower()}{why[1:].rstrip('.')}. The others are not affected."
    )
    return Unreadable(id_, reason, raw, version)


def _content(event: Event, *, ours: bool) -> dict[str, Value]:
    """Return the fields of an event but its times; those of a private one are not read at all."""
    declined = any(one.is_self and one.answer == "declined" for one in event.attendees)
    fields: dict[str, Value] = {
        "status": "tentative" if event.status == "tentative" else "confirmed",
        "busy": event.transparency != "transparent" and (event.owned or not declined),
        "private": event.private,
    }
    if event.private and not ours:
        return fields
    return fields | {
        "title": event.summary or None,
        "location": Address(text=event.location) if event.location else None,
        "notes": html_to_text(event.description) if event.description else None,
        "link": (event.source.url if event.source else None) or None,
        "guests": event.guests,
        "organizer": (event.organizer.email if event.organizer else "") or None,
    }


def _folded(
    whole: Whole, times: Times, fields: Fields, zone: str, problems: list[str]
) -> Occurrences:
    """Return the exceptions of a series: excluded by its lines, or visits of their own."""
    apart = dict(times.occurrences.by_start) if times.occurrences else {}
    for visit in whole.visits:
        key = original_key(visit.event, times.when)
        if key is None:
            problems.append("It has a changed visit that is no visit of the series any more.")
            continue
        own = visit_fields(visit.event, zone, ours=whole.ours)
        one = _occurrence(visit.event, own, {**fields, "when": visit_at(times.when, key)})
        if one.cancelled or (one.fields and key not in apart):
            apart[key] = one
    return Occurrences(by_start=dict(sorted(apart.items())))


def _occurrence(visit: Event, own: Fields, usual: Fields) -> Occurrence:
    return Occurrence(
        cancelled=visit.deleted,
        fields={name: value for name, value in own.items() if not same(usual.get(name), value)},
    )


def visit_fields(visit: Event, zone: str, *, ours: bool) -> dict[str, Value]:
    """Return what a visit of a series shows, nothing if it is cancelled; raises RefusedError."""
    if visit.deleted:
        return {}
    when = msgspec.structs.replace(read_times(visit, zone).when, rule=None)
    content = _content(visit, ours=ours)
    return {name: content[name] for name in content if name in VISIT} | {"when": when}


def visits_by_key(whole: Whole, when: When) -> dict[str, Shown]:
    """Return the visits that are events of their own, by the keys of their original starts."""
    keyed = ((original_key(one.event, when), one) for one in whole.visits)
    return {key: one for key, one in keyed if key is not None}


def made(fields: Fields, mark: str, title: str) -> dict[str, Any]:
    """Return the whole body of an event; raises HoldRecord where it has no time or is cancelled."""
    when = fields.get("when")
    if not isinstance(when, Timed | AllDay):
        raise HoldRecord(f"{title} has no time, so it cannot be written to a calendar.")
    given = {name: value for name, value in fields.items() if not _empty(value)}
    body = changed(given, fields, title)
    body.setdefault("status", "confirmed")
    return with_mark(body, mark)


def with_mark(body: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """Return the body of an event with the hub's mark on it."""
    private = body.get("extendedProperties", {}).get("private", {})
    return {**body, "extendedProperties": {"private": {**private, MARK: mark}}}


def _empty(value: Value) -> bool:
    return value is None or value in ("", ()) or value in (Occurrences(), Address())


def changed(
    fields: Fields, whole: Fields, title: str, *, there: Event | None = None
) -> dict[str, Any]:
    """Return the body that changes just these fields; `whole` is all that the hub knows.

    `there` is the event into which the body is merged (PATCH), so that what is to go is named as
    null. Raises HoldRecord where Google Calendar has no form for it.
    """
    body: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _PUT:
            body |= _PUT[name](stored(FIELDS[name], value))
    if fields.get("status") == "cancelled":
        raise HoldRecord(
            f"{title} is cancelled, and Google Calendar shows no cancelled events: one would be "
            "deleted. Let the recipe take cancelled visits out, or keep them as they are."
        )
    when, occurrences = whole.get("when"), whole.get("occurrences")
    if not isinstance(when, Timed | AllDay) or not fields.keys() & {"when", "occurrences"}:
        return body
    if "when" in fields:
        body |= put_times(when, merged=there is not None)
    lines = put_recurrence(when, occurrences if isinstance(occurrences, Occurrences) else None)
    if lines is not None or (there is not None and there.recurrence):
        body["recurrence"] = lines
    days = nominal_days(when)
    if days or (there is not None and DAYS in there.extended_properties.private):
        body["extendedProperties"] = {"private": {DAYS: days}}
    return body


def _put_text(name: str, value: Value) -> dict[str, Any]:
    return {name: value or None}


def _put_location(value: Value) -> dict[str, Any]:
    return {"location": (value.one_line() if isinstance(value, Address) else value) or None}


def _put_notes(value: Value) -> dict[str, Any]:
    text = str(value or "")
    return {
        "description": (text if html_to_text(text) == text else escape(text, quote=False)) or None
    }


def _put_link(value: Value) -> dict[str, Any]:
    return {"source": {"url": value, "title": "Truckroll"} if value else None}


_PUT = {
    "title": lambda value: _put_text("summary", value),
    "status": lambda value: {"status": "tentative" if value == "tentative" else "confirmed"},
    "location": _put_location,
    "notes": _put_notes,
    "busy": lambda value: {"transparency": "transparent" if value is False else "opaque"},
    "private": lambda value: {"visibility": "private" if value else "default"},
    "link": _put_link,
}


def name_of(fields: Fields, id_: str) -> str:
    """Return how people would call a record: its title, else its id in the calendar."""
    title = fields.get("title")
    return f'"{title}"' if isinstance(title, str) and title else f'the event "{id_}"'
