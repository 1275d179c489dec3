"""A calendar object as a record, and back: pure.

An object is one VCALENDAR with the events of one UID (RFC 4791 section 4.1). What the hub does not
know of it is kept through every update (`kit.ical`).
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime

from truckroll.kit.contract import Item, Missing, Scope, Seen, Session, Unreadable
from truckroll.kit.ical.read import Calendar, read_calendar, read_parts
from truckroll.kit.ical.write import Written, write_event
from truckroll.kit.normal import EVENT_STATUS, LOSSLESS, Stored, stored
from truckroll.model.records import Fields, Value

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
    "category": _TEXT,
    "link": _TEXT,
    "organizer": LOSSLESS,
}
WRITES = frozenset(FIELDS) - {"organizer"}
# An object is read whole: what it lacks is unknown there, or what RFC 5545 says of its absence;
# an event without STATUS is what calendars show for a confirmed one.
_ABSENT: dict[str, Value] = dict.fromkeys(FIELDS) | {
    "busy": True,
    "private": False,
    "status": EVENT_STATUS.default,
}
_CONTENT = "sha256:"
_NAMED = 60
_LARGE = 500_000  # octets of an object that may be beyond what is read


class Reader:
    """Turns objects of one calendar into items."""

    def __init__(self, session: Session, scope: Scope) -> None:
        self._zone = session.zone
        self._system = session.account
        self._calendar = scope.title
        self._me = {name.casefold() for name in (session.settings.get("user", ""), scope.owner)}

    def item(self, id_: str, data: bytes, etag: str | None) -> Item:
        """Return an object as an item: Missing where it holds no event (tasks, journals)."""
        return self._item(id_, read_calendar(data, zone=self._zone), data, etag)

    def sent(self, id_: str, sent: Written, etag: str | None) -> Item:
        """Return what was sent as `item` would: what is odd, or large, is read from its octets."""
        calendar = read_parts(sent.tree, zone=self._zone)
        odd = calendar.problems or any(one.problems or one.refused for one in calendar.entries)
        if odd or len(sent.octets) > _LARGE:
            return self.item(id_, sent.octets, etag)
        return self._item(id_, calendar, sent.octets, etag)

    def _item(self, id_: str, calendar: Calendar, data: bytes, etag: str | None) -> Item:
        version = etag or content_version(data)
        if calendar.refused:
            return self._unreadable(id_, calendar.refused, data, version)
        if not calendar.entries:
            return Missing(id_)
        if len(calendar.entries) > 1:
            uids = ", ".join(entry.uid for entry in calendar.entries)[:_NAMED]
            reason = f"it holds {len(calendar.entries)} events with different UIDs ({uids})"
            return self._unreadable(id_, reason, data, version)
        entry = calendar.entries[0]
        if entry.refused:
            return self._unreadable(id_, entry.refused, data, version)
        return Seen(
            id=id_,
            fields=_ABSENT
            | {k: v for k, v in entry.fields.items() if k in FIELDS}
            | {"organizer": _address(entry.organizer) or None},
            version=version,
            raw=data,
            mark=entry.mark or None,
            series=entry.uid or None,
            owned=bool(entry.mark) or self._ours(entry.organizer),
            problems=(*calendar.problems, *entry.problems),
        )

    def _ours(self, organizer: str) -> bool:
        """Tell whether the account organises an event, or nobody does."""
        who = _address(organizer).casefold()
        return not who or who in self._me

    def _unreadable(self, id_: str, why: str, data: bytes, version: str) -> Unreadable:
        reason = (
            f'The event "{id_}" in the calendar "{self._calendar}" at {self._system} cannot be '
            f"read: {why.rstrip('.')}. The others are not affected."
        )
        return Unreadable(id_, reason, data, version)


def _address(organizer: str) -> str:
    """Return the mail address in an ORGANIZER (RFC 5545 section 3.8.4.3)."""
    who = organizer.strip()
    return who[len("mailto:") :] if who.casefold().startswith("mailto:") else who


def content_version(data: bytes) -> str:
    """Return what stands for a version where a server gives no ETag: a hash of the content."""
    return _CONTENT + hashlib.sha256(_plain(data)).hexdigest()


def same_content(one: bytes, other: bytes) -> bool:
    """Tell whether two objects are the same text; XML and HTTP end their lines differently."""
    return bool(one) and _plain(one) == _plain(other)


def _plain(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").strip()


def same_version(held: str | None, shown: str | None) -> bool:
    """Tell whether a held version is the one shown: weak or strong, quoted or not."""
    return held is not None and shown is not None and _bare(held) == _bare(shown)


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def if_match(version: str | None) -> str | None:
    """Return a version as If-Match takes it, or None where it takes none.

    A weak ETag never matches there (RFC 9110 section 13.1.1), a hash of the content is not the
    server's. A bare word lacks the quotes that some servers leave out in XML.
    """
    if not version or version.startswith(("W/", _CONTENT)):
        return None
    return version if version.startswith('"') else f'"{version}"'


def uid_for(key: str) -> str:
    """Return the UID of an event that the hub makes, from the key of its create."""
    return f"{key}@truckroll"


def made(key: str, fields: Fields, mark: str, stamp: datetime) -> Written:
    """Return a new object."""
    return write_event(uid_for(key), _kept(fields), mark=mark, stamp=stamp)


def changed(raw: bytes, fields: Fields, mark: str, stamp: datetime) -> Written:
    """Return an object with these fields changed, and all else as it was; "" keeps its mark.

    Raises HoldRecord where it is not one event.
    """
    return write_event("", fields, mark=mark, stamp=stamp, previous=raw)


def invites(raw: bytes) -> bool:
    """Tell whether an object has attendees that a scheduling server would tell of a change."""
    text = re.sub(rb"\r?\n[ \t]", b"", raw).upper()
    lines = re.findall(rb"(?m)^ATTENDEE[;:].*", text)
    return any(not re.search(rb";SCHEDULE-AGENT=\"?(CLIENT|NONE)\b", line) for line in lines)


def _kept(fields: Fields) -> Fields:
    """Return fields in the form in which calendars keep them."""
    return {name: stored(FIELDS[name], value) for name, value in fields.items() if name in FIELDS}


def name_of(fields: Fields, id_: str) -> str:
    """Return how people would call a record: its title, else its name in the calendar."""
    title = fields.get("title")
    return f'"{title}"' if isinstance(title, str) and title else f'the event "{id_}"'


def begin(what: str) -> str:
    """Return what names a record as the beginning of a sentence."""
    return what[:1].upper() + what[1:]
