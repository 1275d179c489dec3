"""Visits of Acme Dispatch as records, and back: pure.

All names of the vendor's fields and words stand in this file.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfoNotFoundError

import msgspec

from truckroll.kit.contract import Item, Missing, Seen, Unreadable
from truckroll.kit.errors import HoldRecord
#if etag
from truckroll.kit.normal import LOSSLESS, Stored
#else
from truckroll.kit.normal import LOSSLESS, Stored, content_version
#end
from truckroll.model.records import Address, Fields, Value
from truckroll.model.time import Timed, wall

TITLE = "Acme Dispatch"
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Unset = msgspec.UnsetType
UNSET = msgspec.UNSET

# How the vendor keeps each field; what is not here it does not have.
FIELDS: Mapping[str, Stored] = {
    "title": Stored(limit=255),
    "when": LOSSLESS,
    "status": LOSSLESS,
    "location": Stored(as_text=True),
    "notes": LOSSLESS,
}
STATUSES = {
    "Tentative": "tentative",
    "Scheduled": "scheduled",
    "Confirmed": "confirmed",
    "Working": "working",
    "Done": "done",
    "Cancelled": "cancelled",
}
_WORDS = {ours: theirs for theirs, ours in STATUSES.items()}
_MARK = "truckroll:"


class Stamp(msgspec.Struct, frozen=True, rename="camel"):
    """What no row may lack, however broken the rest of it is."""

    id: str
    updated_at: Instant


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """A visit as the vendor shows it; what an answer leaves out stays UNSET."""

    id: str
#if etag
    etag: str
#end
    deleted: bool = False
    title: str | Unset | None = UNSET
    start: Instant | Unset | None = UNSET
    end: Instant | None = None
    time_zone: str = ""
    status: str | Unset = UNSET
    address: str | Unset | None = UNSET
    notes: str | Unset | None = UNSET
    reference: str | None = None


def item(id_: str, raw: bytes, zone: str) -> Item:
    """Return a row of this id as an item; `zone` (IANA) is for rows that name none, or ""."""
    try:
        row = msgspec.json.decode(raw, type=Row)
        if row.deleted:
            return Missing(id_)
        fields = _fields(row, zone)
    except msgspec.ValidationError as error:
        return _unreadable(id_, raw, f"its data has an unknown form ({error})")
    except ZoneInfoNotFoundError as error:
        return _unreadable(id_, raw, f"nobody knows its zone ({error.args[0]})")
    except ValueError as error:
        return _unreadable(id_, raw, str(error))
    unknown = row.status is not UNSET and row.status not in STATUSES
    told = f'{TITLE} shows the status "{row.status}", which the hub does not know.'
    words = row.reference or ""
    mark = words.removeprefix(_MARK) if words.startswith(_MARK) else None
#if etag
    version = row.etag
#else
    version = content_version(fields, mark)
#end
    return Seen(id_, fields, version, raw, mark=mark, problems=(told,) if unknown else ())


def _unreadable(id_: str, raw: bytes, why: str) -> Unreadable:
    reason = (
        f'The visit "{id_}" at {TITLE} cannot be read: {why}. Mend it there; the others '
        "are not held up by it."
    )
    return Unreadable(id_, reason, raw)


def _fields(row: Row, zone: str) -> dict[str, Value]:
    """Return what a row says; raises ValueError with a phrase where its times make no sense."""
    shown: dict[str, Value | Unset] = {
        "title": row.title,
        "when": _when(row, zone),
        "status": STATUSES.get(str(row.status), UNSET),
        "location": Address(text=row.address) if isinstance(row.address, str) else row.address,
        "notes": row.notes,
    }
    return {name: value for name, value in shown.items() if value is not UNSET}


def _when(row: Row, zone: str) -> Timed | Unset | None:
    if not isinstance(row.start, datetime):
        return row.start
    if row.end is None or row.end < row.start:
        raise ValueError("it ends before it begins, or never")
    named = row.time_zone or zone
    if not named:
        raise ValueError("nothing says in which zone it is")
    start, fold = wall(row.start, named)
    seconds = (row.end - row.start) // timedelta(seconds=1)
    return Timed(start=start, zone=named, seconds=seconds, fold=fold)


def body(fields: Fields, what: str) -> dict[str, Any]:
    """Return fields in the vendor's names; raises HoldRecord for what it cannot keep."""
    sent: dict[str, Any] = {}
    for name, value in fields.items():
        match name:
            case "title" | "notes":
                sent[name] = value
            case "when":
                sent |= _times(value, what)
            case "status":
                sent["status"] = _word(value, what)
            case "location":
                sent["address"] = value.one_line() if isinstance(value, Address) else value
            case _:
                raise HoldRecord(f"{TITLE} has no place for the {name} of {what}.")
    return sent


def _times(when: Value, what: str) -> dict[str, Any]:
    if not isinstance(when, Timed) or when.rule is not None:
        raise HoldRecord(
            f"{TITLE} keeps single visits with a time of day only, and {what} is none. "
            "Give it a start and an end."
        )
    return {
        "start": when.begins.astimezone(UTC),
        "end": when.ends.astimezone(UTC),
        "timeZone": when.zone,
    }


def _word(status: Value, what: str) -> str:
    if status not in _WORDS:
        raise HoldRecord(f'{TITLE} has no status for {what} like "{status}".')
    return _WORDS[str(status)]


def reference(mark: str) -> str:
    """Return the vendor's own field for a foreign key, with the hub's mark."""
    return f"{_MARK}{mark}"
