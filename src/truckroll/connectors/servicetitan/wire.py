"""The vendor's rows and what they mean in a record's fields: pure.

Field names and types are those of the vendor's V2 documents (sheet, sections 4 and 15). Unknown
fields are ignored here and kept in an item's raw form.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import msgspec

from truckroll.connectors.servicetitan.texts import notes_of, title_of
from truckroll.model.records import Address, Contact, Value
from truckroll.model.time import Timed, wall


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """What every row has. Feeds hold deleted rows too: those are not `active`."""

    id: int
    active: bool = True
    modified_on: datetime | None = None


class Appointment(Row, frozen=True, rename="camel"):
    """A visit of a job; instants are aware UTC (sheet, section 12)."""

    job_id: int = 0
    start: datetime | None = None
    end: datetime | None = None
    arrival_window_start: datetime | None = None
    arrival_window_end: datetime | None = None
    status: str = ""
    special_instructions: str | None = None
    is_confirmed: bool = False


class Assignment(Row, frozen=True, rename="camel"):
    """A technician at a visit."""

    technician_id: int = 0
    technician_name: str = ""
    appointment_id: int = 0
    job_id: int = 0


class ExternalDatum(msgspec.Struct, frozen=True):
    """A text that an app keeps on a job under its own GUID."""

    key: str
    value: str | None = None


class Job(Row, frozen=True, rename="camel"):
    """A job; `summary` is HTML. External data comes only to the app that asks with its GUID."""

    job_number: str = ""
    customer_id: int = 0
    location_id: int = 0
    job_status: str = ""
    job_type_id: int = 0
    priority: str = ""
    summary: str | None = None
    appointment_count: int = 0
    first_appointment_id: int = 0
    last_appointment_id: int = 0
    completed_on: datetime | None = None
    external_data: tuple[ExternalDatum, ...] | None = None


class PostalAddress(msgspec.Struct, frozen=True):
    """An address as customers and locations have it."""

    street: str | None = None
    unit: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Customer(Row, frozen=True, rename="camel"):
    """A customer. A merged one names the customer that it went into."""

    name: str = ""
    do_not_service: bool = False
    merged_to_id: int | None = None


class Location(Row, frozen=True, rename="camel"):
    """A place of a customer. A merged one names the location that it went into."""

    customer_id: int = 0
    name: str = ""
    address: PostalAddress | None = None
    merged_to_id: int | None = None


class ContactRow(Row, frozen=True, rename="camel"):
    """A way to reach a customer or a location."""

    type: str = ""
    value: str | None = None
    memo: str | None = None
    customer_id: int = 0
    location_id: int = 0


class Technician(Row, frozen=True, rename="camel"):
    """A technician, with the mail address of their user."""

    name: str = ""
    email: str | None = None


class Named(Row, frozen=True, rename="camel"):
    """A row of which the name is all that matters: job type, reason."""

    name: str = ""


_R = TypeVar("_R", bound=Row)


class Parts(NamedTuple):
    """All that makes up one appointment. None is a part that was not shown."""

    appointment: Appointment
    job: Job | None = None
    job_type: Named | None = None
    customer: Customer | None = None
    location: Location | None = None
    contacts: tuple[ContactRow, ...] = ()
    assignments: tuple[Assignment, ...] | None = None
    technicians: Mapping[int, Technician] = MappingProxyType({})


# Appointment statuses (sheet, section 11). A technician who was dispatched drives to the site:
# the vendor counts the time between Dispatched and Arrived as driving.
STATUSES = {
    "Scheduled": "scheduled",
    "Dispatched": "on_the_way",
    "Working": "working",
    "Hold": "paused",
    "Done": "done",
    "Canceled": "cancelled",
}
_OVER = {"Done", "Canceled"}
DO_NOT_SERVICE = "Do not service"


def decode(raw: msgspec.Raw, shape: type[_R]) -> _R:
    """Return a row; raises msgspec.ValidationError where it is of another form."""
    return msgspec.json.decode(raw, type=shape)


def status_of(appointment: Appointment, job: Job | None) -> str:
    """Return the status of a visit; a word that is not known is passed on for the recipe's map."""
    if job is not None and job.job_status == "Canceled" and appointment.status not in _OVER:
        return "cancelled"
    if appointment.status == "Scheduled" and appointment.is_confirmed:
        return "confirmed"
    return STATUSES.get(appointment.status, appointment.status)


def when_of(appointment: Appointment, zone: str, job: Job | None = None) -> Timed:
    """Return when a visit is, in the wall time of the tenant's zone, to the second.

    A visit that is done ended when its job was completed, if that was on its day and it was the
    job's last: the vendor shows no other end that is not planned (sheet, section 4).

    Raises ValueError with a phrase where it has no start or end, or ends before it starts.
    """
    if appointment.start is None or appointment.end is None:
        raise ValueError("it has no start or no end")
    begins, ends = utc(appointment.start), utc(appointment.end)
    if ends < begins:
        raise ValueError("it ends before it starts")
    ends = _ended(appointment, job, zone) or ends
    start, fold = wall(begins, zone)
    return Timed(start=start, zone=zone, seconds=int((ends - begins).total_seconds()), fold=fold)


def _ended(appointment: Appointment, job: Job | None, zone: str) -> datetime | None:
    """Return when a visit really ended, to the minute, None where the vendor does not say."""
    if job is None or job.completed_on is None or appointment.start is None:
        return None
    last = job.last_appointment_id == appointment.id or job.appointment_count == 1
    if appointment.status != "Done" or not last:
        return None
    begins, ended = utc(appointment.start), utc(job.completed_on).replace(second=0)
    same_day = wall(begins, zone)[0].date() == wall(ended, zone)[0].date()
    return ended if same_day and ended > begins else None


def window_of(appointment: Appointment, zone: str) -> Timed | None:
    """Return the arrival window that the customer was told, None where there is none."""
    opens, closes = appointment.arrival_window_start, appointment.arrival_window_end
    if opens is None or closes is None or utc(closes) < utc(opens):
        return None
    start, fold = wall(utc(opens), zone)
    seconds = int((utc(closes) - utc(opens)).total_seconds())
    return Timed(start=start, zone=zone, seconds=seconds, fold=fold)


def over_by(appointment: Appointment, since: datetime) -> bool:
    """Tell whether a visit surely ended by an instant (aware UTC)."""
    return appointment.end is not None and utc(appointment.end) <= since


def utc(at: datetime) -> datetime:
    """Return an instant in UTC without its fraction; one without an offset is UTC already."""
    aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return aware.replace(microsecond=0)


def instant_text(at: datetime) -> str:
    """Return an aware instant as the vendor writes it: RFC 3339 in UTC with Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def person(name: str, mail: str | None) -> str:
    """Return how a technician is named: `Ana Ruiz <ana@acme.example>`, or the name alone."""
    name = " ".join(name.replace('"', "").split())
    if not mail:
        return name
    if not name:
        return mail.strip()
    shown = f'"{name}"' if "," in name else name
    return f"{shown} <{mail.strip()}>"


def people_of(
    assignments: tuple[Assignment, ...], technicians: Mapping[int, Technician]
) -> tuple[str, ...]:
    """Return who is assigned, each once, in the order of their assignment."""
    found: dict[int, str] = {}
    for one in sorted(assignments, key=lambda one: one.id):
        known = technicians.get(one.technician_id)
        name = one.technician_name or (known.name if known else "")
        named = person(name, known.email if known else None)
        found.setdefault(one.technician_id, named or f"technician {one.technician_id}")
    return tuple(found.values())


def address_of(location: Location) -> Address | None:
    """Return where a location is, None where nothing is known of it."""
    at = location.address or PostalAddress()
    made = Address(
        line1=at.street or "",
        line2=at.unit or "",
        city=at.city or "",
        state=at.state or "",
        postal=at.zip or "",
        country=at.country or "",
        latitude=at.latitude,
        longitude=at.longitude,
    )
    return None if made == Address() else made


_PHONES = ("MobilePhone", "Phone")


def contact_of(contacts: tuple[ContactRow, ...], location: int) -> Contact | None:
    """Return whom to call: the location's own contacts first, then the customer's.

    The memo of the number says whose it is.
    """
    ranked = sorted(contacts, key=lambda one: (one.location_id != location, one.id))
    phone = _first(ranked, *_PHONES)
    mail = _first(ranked, "Email")
    if phone is None and mail is None:
        return None
    memo = (phone and phone.memo) or (mail and mail.memo) or ""
    return Contact(
        name=" ".join(memo.split()),
        phone=(phone.value or "").strip() if phone else "",
        mail=(mail.value or "").strip() if mail else "",
    )


def _first(contacts: list[ContactRow], *types: str) -> ContactRow | None:
    """Return the first contact of the place that comes first, by the order of the types."""
    fits = [one for one in contacts if one.type in types and (one.value or "").strip()]
    if not fits:
        return None
    home = fits[0].location_id
    here = [one for one in fits if one.location_id == home]
    return min(here, key=lambda one: types.index(one.type))


def fields_of(parts: Parts, zone: str) -> tuple[dict[str, Value], str]:
    """Return the fields of an appointment, and which parts were not shown, "" being none.

    A part that was not shown gives no key: it was not read. Raises ValueError as `when_of`.
    """
    job, customer, location = parts.job, parts.customer, parts.location
    fields: dict[str, Value] = {
        "when": when_of(parts.appointment, zone, job),
        "window": window_of(parts.appointment, zone),
        "status": status_of(parts.appointment, job),
    }
    lacks: list[str] = []
    if job is None:
        lacks.append("the job")
    else:
        fields |= {
            "number": job.job_number or None,
            "title": title_of(job.summary) or None,
            "notes": notes_of(job.summary, parts.appointment.special_instructions) or None,
            "job_type": (parts.job_type.name if parts.job_type else "") or None,
        }
    if customer is None:
        lacks.append("the customer")
    else:
        fields["customer"] = customer.name or None
    if job is not None and customer is not None:
        fields["category"] = DO_NOT_SERVICE if customer.do_not_service else job.priority or None
    if location is None:
        lacks.append("the location")
    else:
        fields["location"] = address_of(location)
    if customer is not None and location is not None:
        fields["contact"] = contact_of(parts.contacts, location.id)
    if parts.assignments is not None:
        fields["people"] = people_of(parts.assignments, parts.technicians)
    return fields, _listed(lacks)


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


MARK_KEY = "truckroll"


def mark_key(appointment: int) -> str:
    """Return the key of the mark of a visit that was added to a job."""
    return f"{MARK_KEY}:{appointment}"


def out_key(appointment: int) -> str:
    """Return the key that says that the hub took a visit out, by cancelling its job."""
    return f"{MARK_KEY}-out:{appointment}"


def is_out(job: Job | None, appointment: Appointment) -> bool:
    """Tell whether the hub took a visit out and it still is: restored, it is there again."""
    if job is None or out_key(appointment.id) not in _kept(job):
        return False
    return status_of(appointment, job) == "cancelled"


def marked_visit(job: Job, mark: str) -> int | None:
    """Return the visit of a job that bears a mark, None where the job does not tell which.

    A mark is kept with its visit's id; until that is done, the only visit of a job that the hub
    made is the one.
    """
    own = [key for key, value in _kept(job).items() if value == mark and key != MARK_KEY]
    ids = [key.removeprefix(f"{MARK_KEY}:") for key in own]
    if ids and ids[0].isdecimal():
        return int(ids[0])
    return job.first_appointment_id if job.appointment_count == 1 else None


def mark_of(job: Job | None, appointment: Appointment) -> str | None:
    """Return the hub's mark of a visit, which its job keeps under the app's GUID."""
    if job is None:
        return None
    kept = _kept(job)
    own, first = kept.get(mark_key(appointment.id)), kept.get(MARK_KEY)
    if own is None and first and marked_visit(job, first) == appointment.id:
        own = first
    return own or None


def _kept(job: Job) -> dict[str, str | None]:
    return {one.key: one.value for one in job.external_data or ()}
