"""Free and busy times (section 4, freebusy): errors of a calendar stand inside a 200."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from truckroll_sim.google_calendar.errors import refusal, required
from truckroll_sim.google_calendar.times import Doc, instant_of, shown, stored, zone_of
from truckroll_sim.google_calendar.world import Book, Event, World

_MOST_CALENDARS, _MOST_MEMBERS = 50, 100

Span = tuple[datetime, datetime]


def free_busy(world: World, account: str, body: Doc) -> Doc:
    """Return the busy times that a request asks for; refuses a request without window (400)."""
    for name in ("timeMin", "timeMax"):
        if not body.get(name):
            raise required(f"Missing {name}.", name)
    begin, end = instant_of(body["timeMin"], "timeMin"), instant_of(body["timeMax"], "timeMax")
    if begin >= end:
        raise refusal(400, "timeRangeEmpty", location="timeMax")
    zone = body.get("timeZone") or "UTC"
    zone_of(zone, "request")
    groups: dict[str, Any] = {}
    wanted: list[str] = []
    most = min(body.get("groupExpansionMax") or _MOST_MEMBERS, _MOST_MEMBERS)
    for item in body.get("items") or ():
        if (name := str(item.get("id"))) not in world.groups:
            wanted.append(account if name == "primary" else name)
            continue
        members = world.members(name)
        if len(members) > most:
            groups[name] = _trouble("groupTooBig")
            continue
        groups[name] = {"calendars": members}
        wanted += members
    limit = min(body.get("calendarExpansionMax") or _MOST_CALENDARS, _MOST_CALENDARS)
    if len(set(wanted)) > limit:
        raise refusal(400, "tooManyCalendarsRequested", "Too many calendars were requested.")
    calendars = {name: _of(world, account, name, (begin, end), zone) for name in wanted}
    window = {"timeMin": _text(begin, "UTC"), "timeMax": _text(end, "UTC")}
    told = {"kind": "calendar#freeBusy", **window, "calendars": calendars}
    return {**told, "groups": groups} if groups else told


def _of(world: World, account: str, name: str, window: Span, zone: str) -> Doc:
    book = world.books.get(name)
    if book is None or book.deleted or world.role(book, account) == "none":
        return {**_trouble("notFound"), "busy": []}
    merged: list[Span] = []
    for begin, end in sorted(_busy(book, window)):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return {"busy": [{"start": _text(a, zone), "end": _text(b, zone)} for a, b in merged]}


def _busy(book: Book, window: Span) -> Iterator[Span]:
    for version in list(book.events.versions()):
        if version.row.series or not version.row.live:
            continue
        recurring = bool(version.row.fields.get("recurrence"))
        ones = book.occurrences(version, window[1]) if recurring else [version]
        for one in ones:
            whole = book.whole(one.row)
            begin, end = book.span(whole)
            if _blocks(book, whole) and begin < window[1] and window[0] < end:
                yield max(begin, window[0]), min(end, window[1])


def _blocks(book: Book, whole: Event) -> bool:
    mine = [one for one in whole.fields.get("attendees") or () if one["email"] == book.id]
    declined = any(one["responseStatus"] == "declined" for one in mine)
    return whole.fields.get("transparency") != "transparent" and not declined


def _trouble(reason: str) -> Doc:
    return {"errors": [{"domain": "global", "reason": reason}]}


def _text(at: datetime, zone: str) -> str:
    return str(shown(stored(at, zone), zone)["dateTime"])
