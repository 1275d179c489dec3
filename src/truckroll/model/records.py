"""Records: what the systems hold, as fields by name.

Three values of nothing: a field that is not a key was not read, `None` is unknown at its
system, and an empty value (`""`, `()`) was cleared by somebody.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from truckroll.model.time import AllDay, Timed, instant, same_when, zone_info


class Address(msgspec.Struct, frozen=True, tag="address", omit_defaults=True, gc=False):
    """A place: free `text`, its postal parts, and coordinates in degrees, as far as known."""

    text: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    state: str = ""
    postal: str = ""
    country: str = ""
    latitude: float | None = None
    longitude: float | None = None

    def one_line(self) -> str:
        """Return the address as people write it in one line."""
        if self.text:
            return self.text
        region = " ".join(part for part in (self.state, self.postal) if part)
        parts = (self.line1, self.line2, self.city, region, self.country)
        return ", ".join(part for part in parts if part)


class Money(msgspec.Struct, frozen=True, tag="money", gc=False):
    """An amount in the currency's minor unit (cents) with its ISO 4217 code."""

    minor: int
    currency: str


class Contact(msgspec.Struct, frozen=True, tag="contact", omit_defaults=True, gc=False):
    """Whom to call on site."""

    name: str = ""
    phone: str = ""
    mail: str = ""

    def one_line(self) -> str:
        """Return name, phone and mail address in one line."""
        return " · ".join(part for part in (self.name, self.phone, self.mail) if part)


class Occurrence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is different about one occurrence of a series."""

    cancelled: bool = False
    fields: "dict[str, Value]" = {}


class Occurrences(msgspec.Struct, frozen=True, tag="occurrences"):
    """The exceptions of a series, keyed by original start.

    A key is ISO text in the series' own terms: naive wall time (`2026-12-08T09:00:00`) or date.
    """

    by_start: dict[str, Occurrence] = {}


Value = (
    None
    | bool
    | int
    | float
    | str
    | tuple[str, ...]
    | Timed
    | AllDay
    | Address
    | Money
    | Contact
    | Occurrences
)
Fields = Mapping[str, Value]

_fields_decoder: msgspec.json.Decoder[dict[str, Value]] = msgspec.json.Decoder(dict[str, Value])
_encoder = msgspec.json.Encoder()


def encode_fields(fields: Fields) -> bytes:
    """Return fields as JSON bytes; `decode_fields` gives them back unchanged."""
    return _encoder.encode(fields)


def decode_fields(data: bytes | str) -> dict[str, Value]:
    """Return the fields that `encode_fields` wrote; raises msgspec.ValidationError on others."""
    return _fields_decoder.decode(data)


def same(a: Value, b: Value) -> bool:
    """Tell whether two values of a field mean the same."""
    if a is b or a == b:
        return True
    if isinstance(a, (Timed, AllDay)) and isinstance(b, (Timed, AllDay)):
        return same_when(a, b)
    if isinstance(a, Occurrences) and isinstance(b, Occurrences):
        return _same_occurrences(a, b)
    return False


def _same_occurrences(a: Occurrences, b: Occurrences) -> bool:
    if a.by_start.keys() != b.by_start.keys():
        return False
    for key, one in a.by_start.items():
        other = b.by_start[key]
        if one.cancelled != other.cancelled or one.fields.keys() != other.fields.keys():
            return False
        if not all(same(one.fields[name], other.fields[name]) for name in one.fields):
            return False
    return True


class Kind(msgspec.Struct, frozen=True):
    """A kind of record: its name, its fields with what each means, and its coarse key.

    `coarse` returns a text that two records of one thing surely share (for an appointment its
    start), or None; candidates for matching are looked up by it.
    """

    name: str
    fields: dict[str, str]
    types: dict[str, Any]
    coarse: Callable[[Fields], str | None]


def _start_key(fields: Fields) -> str | None:
    when = fields.get("when")
    if isinstance(when, Timed):
        return _instant_key(when.start, when.zone, when.fold)
    if isinstance(when, AllDay):
        return when.start.strftime("%Y%m%d")
    return None


@lru_cache(maxsize=8192)  # visits share their starts
def _instant_key(start: datetime, zone: str, fold: int) -> str:
    text = instant(start, zone, fold).isoformat(timespec="seconds")  # strftime is slow
    return text.removesuffix("+00:00").replace("-", "").replace(":", "") + "Z"


APPOINTMENT = Kind(
    name="appointment",
    fields={
        "number": "the number people call it by (job number)",
        "title": "what it is about, in one line",
        "when": "start, end, zone, whole-day and recurrence rule, together",
        "occurrences": "the exceptions of a series: cancelled or changed visits",
        "status": "tentative · scheduled · confirmed · on_the_way · working · paused · done · "
        "cancelled",
        "people": "who is assigned, as the system names them",
        "location": "where it is",
        "job_type": "what kind of work",
        "materials": "what must be brought",
        "notes": "free text",
        "customer": "the customer's name",
        "contact": "whom to call on site",
        "busy": "whether it blocks the calendar",
        "private": "whether its content is nobody else's business",
        "category": "a label of the system",
        "link": "a web address that leads back to it",
        "guests": "who is invited to it, by mail address; read only",
        "window": "between which times it was promised to begin; read only",
        "organizer": "whose event it is, by mail address; read only",
    },
    types={
        "when": (Timed, AllDay),
        "window": (Timed,),
        "occurrences": (Occurrences,),
        "people": (tuple,),
        "guests": (tuple,),
        "location": (Address,),
        "contact": (Contact,),
        "busy": (bool,),
        "private": (bool,),
    },
    coarse=_start_key,
)

KINDS = {APPOINTMENT.name: APPOINTMENT}

STATUSES = (
    "tentative",
    "scheduled",
    "confirmed",
    "on_the_way",
    "working",
    "paused",
    "done",
    "cancelled",
)


@lru_cache(maxsize=4096)  # few people have many visits
def person_text(name: str) -> str:
    """Return how a person is named in a sentence: without the mail address behind the name."""
    said, _, mail = name.rpartition(" <")
    return said if said and mail.endswith(">") else name


def as_text(value: Value, *, zone_shown: bool = False) -> str:
    """Return a value as people read it: one line, times in their own zone."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(person_text, value))
    if isinstance(value, Timed):
        return _when_text(value, zone_shown=zone_shown)
    if isinstance(value, AllDay):
        last = value.end.toordinal() - value.start.toordinal()
        days = f"{value.start:%a} {value.start.day} {value.start:%b}"
        return f"{days}, all day" if last <= 1 else f"{days}, {last} days"
    if isinstance(value, (Address, Contact)):
        return value.one_line()
    if isinstance(value, Money):
        return f"{value.minor / 100:.2f} {value.currency}"
    if isinstance(value, Occurrences):
        gone = sum(one.cancelled for one in value.by_start.values())
        moved = len(value.by_start) - gone
        return f"{gone} cancelled, {moved} changed"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _when_text(when: Timed, *, zone_shown: bool) -> str:
    start = when.start
    end = _wall_end(when)
    text = f"{start:%a} {start.day} {start:%b} {start:%H:%M}–{end:%H:%M}"
    if end.date() != start.date():
        last = f"{end:%a} {end.day} {end:%b} {end:%H:%M}"
        text = f"{start:%a} {start.day} {start:%b} {start:%H:%M} – {last}"
    if when.rule is not None:
        text += ", repeating"
    return f"{text} ({when.zone})" if zone_shown else text


def _wall_end(when: Timed) -> datetime:
    return when.ends.astimezone(zone_info(when.zone)).replace(tzinfo=None)
