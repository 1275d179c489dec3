"""An event as the API shows it (schema Event of the discovery document), as far as it is read."""

import hashlib
from collections.abc import Sequence

import msgspec

MARK = "truckrollLink"
DAYS = "truckrollDays"
SEEN_TYPES = ("default", "outOfOffice", "focusTime")
# What is kept of an event that is private and not ours: that somebody is busy, and when.
_BUSY_ONLY = frozenset(
    {
        *("kind", "id", "etag", "status", "start", "end", "originalStartTime", "recurringEventId"),
        *("recurrence", "visibility", "transparency", "iCalUID", "eventType", "sequence"),
    }
)


class Moment(msgspec.Struct, frozen=True, rename="camel"):
    """A date, or a time with its offset (or without, in `time_zone`)."""

    date: str = ""
    date_time: str = ""
    time_zone: str = ""


class Person(msgspec.Struct, frozen=True, rename={"is_self": "self"}):
    """The organiser or creator; `is_self` says that it is whose calendar this is."""

    email: str = ""
    is_self: bool = False


class Attendee(msgspec.Struct, frozen=True, rename={"is_self": "self", "answer": "responseStatus"}):
    """Somebody who is invited, and what they answered."""

    email: str = ""
    is_self: bool = False
    organizer: bool = False
    resource: bool = False
    answer: str = ""


class Source(msgspec.Struct, frozen=True):
    """Where an event came from; only its creator sees it."""

    url: str = ""


class Properties(msgspec.Struct, frozen=True):
    """Key-value pairs of programmes; the private ones belong to this calendar's copy."""

    private: dict[str, str] = {}


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """An event: a single one, a series, or one visit of a series (`recurring_event_id`).

    Of a deleted one only `id` is sure, of a cancelled visit also which visit it is.
    """

    id: str
    etag: str = ""
    status: str = "confirmed"
    summary: str | None = None
    description: str | None = None
    location: str | None = None
    start: Moment | None = None
    end: Moment | None = None
    original_start_time: Moment | None = None
    recurring_event_id: str = ""
    recurrence: tuple[str, ...] = ()
    transparency: str = "opaque"
    visibility: str = "default"
    event_type: str = "default"
    ical_uid: str = msgspec.field(default="", name="iCalUID")
    organizer: Person | None = None
    source: Source | None = None
    attendees: tuple[Attendee, ...] = ()
    extended_properties: Properties = Properties()
    locked: bool = False

    @property
    def deleted(self) -> bool:
        """Whether it is gone (an event), or does not take place (a visit)."""
        return self.status == "cancelled"

    @property
    def guests(self) -> tuple[str, ...]:
        """The mail addresses of those who are invited, but for the organiser and the rooms."""
        others = [one for one in self.attendees if not (one.is_self or one.organizer)]
        return tuple(sorted(one.email for one in others if one.email and not one.resource))

    @property
    def mark(self) -> str:
        """The hub's mark, or ""."""
        return self.extended_properties.private.get(MARK, "")

    @property
    def private(self) -> bool:
        """Whether its content is nobody else's business."""
        return self.visibility in {"private", "confidential"}

    @property
    def owned(self) -> bool:
        """Whether it may be edited: the hub made it, or the calendar's owner organises it."""
        # Of a private event that the account may not look into, no organiser is shown.
        ours = not self.private if self.organizer is None else self.organizer.is_self
        return bool(self.mark) or (ours and not self.locked and self.event_type == "default")


class Shown(msgspec.Struct, frozen=True):
    """An event with the text in which it came."""

    event: Event
    raw: msgspec.Raw


class Whole(msgspec.Struct, frozen=True):
    """A single event, or a series with all its changed and cancelled visits."""

    main: Shown
    visits: tuple[Shown, ...] = ()

    @property
    def version(self) -> str | None:
        """The ETag; of a series with changed visits also a digest of theirs."""
        etag = self.main.event.etag
        if not etag or not self.visits:
            return etag or None
        parts = sorted(
            f"{one.event.id} {one.event.etag or bytes(one.raw)!r}" for one in self.visits
        )
        return f"{etag}+{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}"

    @property
    def raw(self) -> bytes:
        """What is kept of it: nothing of the content of what is private and not ours."""
        main, *visits = (_kept(one, ours=self.ours) for one in (self.main, *self.visits))
        return msgspec.json.encode(_Kept(main, visits))

    @property
    def ours(self) -> bool:
        """Whether the hub made it, so that it may see the content of a private one."""
        return bool(self.main.event.mark)


class _Kept(msgspec.Struct, frozen=True):
    event: msgspec.Raw
    visits: list[msgspec.Raw] = []


def _kept(one: Shown, *, ours: bool) -> msgspec.Raw:
    if ours or not one.event.private:
        return one.raw
    all_ = msgspec.json.decode(one.raw, type=dict[str, msgspec.Raw])
    return msgspec.Raw(
        msgspec.json.encode({name: value for name, value in all_.items() if name in _BUSY_ONLY})
    )


def show(raw: msgspec.Raw) -> Shown:
    """Return an event of a list or an answer; raises msgspec.ValidationError where it is none."""
    return Shown(msgspec.json.decode(raw, type=Event), raw)


def kept(raw: bytes) -> Whole | None:
    """Return what `Whole.raw` kept, or None where there is nothing of that form."""
    try:
        found = msgspec.json.decode(raw, type=_Kept)
        return Whole(show(found.event), tuple(show(one) for one in found.visits))
    except msgspec.DecodeError:
        return None


def etag_of(version: str | None) -> str | None:
    """Return the ETag in a version, as If-Match takes it."""
    return version.partition("+")[0] if version else None


def by_id(visits: Sequence[Shown]) -> dict[str, Shown]:
    """Return visits by their own ids."""
    return {one.event.id: one for one in visits}
