"""A feed's text as records: pure, one record per UID."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from truckroll.kit.contract import Item, Seen, Unreadable
from truckroll.kit.errors import RetryLater
from truckroll.kit.ical.lines import read_tree
from truckroll.kit.ical.read import Entry, events_of, read_calendar
from truckroll.model.records import Value, encode_fields
from truckroll.model.recurrence import ordinal_keys, visit_at
from truckroll.model.rrule import parse_rrule
from truckroll.model.time import AllDay, Rule, Timed, When

_BEGIN = re.compile(rb"^BEGIN:VCALENDAR[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_END = re.compile(rb"^END:VCALENDAR[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_EVENT = re.compile(rb"^BEGIN:VEVENT[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_REFRESH = re.compile(
    rb"^(?:REFRESH-INTERVAL[^:\r\n]*|X-PUBLISHED-TTL[^:\r\n]*):"
    rb"P(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    rb"(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)
_LONGEST_SERIES = 1_000


class Feed(msgspec.Struct, frozen=True):
    """What a feed shows: its items by id, its name, and how often its maker wants it read."""

    items: Mapping[str, Item]
    name: str = ""
    refresh: timedelta | None = None


def read_feed(data: bytes, zone: str, name: str) -> Feed:
    """Return the items of a feed's text; `zone` is for floating times, `name` for sentences.

    Raises RetryLater where it is no whole calendar: a page instead of one, or a text that was
    cut off; then nothing of it counts. An event that cannot be read is Unreadable.
    """
    begun, ended = len(_BEGIN.findall(data)), len(_END.findall(data))
    if not begun:
        raise RetryLater(
            f"{name} holds no calendar now: {_what(data)}. Nothing was taken from it; open the "
            "address in a browser to see what it shows."
        )
    if ended < begun:
        raise RetryLater(
            f"{name} was cut off: it does not end with END:VCALENDAR. Nothing was taken from it; "
            "it is read again later."
        )
    calendar = read_calendar(data, zone=zone)
    if calendar.refused:
        raise RetryLater(
            f"{name} cannot be read: {calendar.refused.rstrip('.')}. Nothing was taken from it."
        )
    twins = _twins(data, zone) if len(_EVENT.findall(data)) > len(calendar.entries) else {}
    items: dict[str, Item] = {}
    for entry in calendar.entries:
        id_ = _free(entry.uid or _made_id(entry), items)
        items[id_] = _item(entry, id_, name, twins.get(entry.uid, ""))
    return Feed(items, calendar.name, _refresh(data))


def _what(data: bytes) -> str:
    start = data[:2_000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return "it is empty"
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "it shows a web page, perhaps one to sign in"
    return "it shows something else"


def _twins(data: bytes, zone: str) -> dict[str, str]:
    """Return a sentence for each UID that several events have, naming them all."""
    groups, _ = events_of(read_tree(data), zone)
    found = {}
    for group in groups:
        if group.uid and len(group.masters) > 1:
            named = [f'"{one.text("SUMMARY") or ""}" (line {one.number})' for one in group.masters]
            found[group.uid] = (
                f"The UID {group.uid} stands on {' and on '.join(named)}; the newest counts."
            )
    return found


def _made_id(entry: Entry) -> str:
    """Return an id for an event without UID that stays while its start and title do."""
    when = entry.fields.get("when")
    start = when.start.isoformat() if isinstance(when, Timed | AllDay) else ""
    digest = hashlib.blake2b(f"{start}\n{entry.title}".encode(), digest_size=8).hexdigest()
    return f"no-uid-{digest}"


def _free(id_: str, taken: Mapping[str, Item]) -> str:
    number, free = 1, id_
    while free in taken:
        number += 1
        free = f"{id_}-{number}"
    return free


def _item(entry: Entry, id_: str, name: str, twins: str) -> Item:
    if entry.refused:
        reason = (
            entry.refused if id_ in entry.refused else f"{entry.refused} It is {id_} in {name}."
        )
        return Unreadable(id_, reason, version=_digest(entry.refused.encode()))
    problems = [twins] if twins else []
    problems += [text for text in entry.problems if not (twins and "UID stands on" in text)]
    if not entry.uid:
        problems.append("Without a UID it is known by its start and title: moved, it is a new one.")
    fields: dict[str, Value] = dict(entry.fields)
    told = encode_fields(fields) + "\n".join(problems).encode()
    return Seen(
        id_,
        fields,
        f"{_digest(told)}@{_end_text(fields.get('when'))}",
        mark=entry.mark,
        series=entry.uid or None,
        owned=True,
        problems=tuple(problems),
    )


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def _end_text(when: Value) -> str:
    end = last_end(when) if isinstance(when, Timed | AllDay) else None
    return "" if end is None else end.strftime("%Y%m%dT%H%M%SZ")


def is_past(version: str | None, now: datetime) -> bool:
    """Tell from the version of a record whether its last visit ended before an instant."""
    _, _, end = (version or "").partition("@")
    if not end:
        return False
    return datetime.strptime(end, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) < now


def last_end(when: When) -> datetime | None:
    """Return an instant by which the last visit has surely ended, None where there is no such."""
    if when.rule is not None:
        return _series_end(when, when.rule)
    return _end(when)


def _end(when: When) -> datetime:
    if isinstance(when, Timed):
        return when.ends
    # Whole days end somewhere on earth twelve hours later than in UTC.
    return datetime.combine(when.end, datetime.min.time(), UTC) + timedelta(hours=12)


def _series_end(when: When, rule: Rule) -> datetime | None:
    if any(_endless(text) for text in rule.rrule):
        return None
    keys = ordinal_keys(when, _LONGEST_SERIES)
    if len(keys) >= _LONGEST_SERIES or not keys:
        return None
    return _end(visit_at(when, max(keys)))


def _endless(text: str) -> bool:
    rule = parse_rrule(text)
    return rule.count is None and rule.until is None


def _refresh(data: bytes) -> timedelta | None:
    match = _REFRESH.search(data)
    if match is None:
        return None
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    asked = timedelta(days, seconds, minutes=minutes, hours=hours, weeks=weeks)
    return asked or None
