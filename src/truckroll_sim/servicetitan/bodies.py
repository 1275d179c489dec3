"""The request bodies, as the vendor's documents state them; what they do not name is refused.

Instants must carry an offset and are kept in UTC (sheet, 12). A field that is left out of a
PATCH is `UNSET`; `None` is taken only where the vendor's schema says nullable.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from truckroll_sim.servicetitan.tenant import RefusalError

B = TypeVar("B")
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Priority = Literal["Low", "Normal", "High", "Urgent"]
CustomerType = Literal["Residential", "Commercial"]
ContactType = Literal["Phone", "Email", "Fax", "MobilePhone"]
ShiftType = Literal["Normal", "OnCall", "TimeOff"]
Duration = Annotated[str, msgspec.Meta(pattern=r"^(\d+\.)?\d{2}:\d{2}:\d{2}$")]
Text = str | UnsetType
MaybeText = str | UnsetType | None
Flag = bool | UnsetType
Number = int | UnsetType
MaybeNumber = int | UnsetType | None
Moment = Instant | UnsetType
MaybeMoment = Instant | UnsetType | None


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A request body; the names on the wire are camelCase."""

    def given(self) -> dict[str, Any]:
        """Return what the request names, by wire name, instants in UTC."""
        named = zip(self.__struct_encode_fields__, self.__struct_fields__, strict=True)
        values = ((wire, getattr(self, name)) for wire, name in named)
        return {wire: utc(value) for wire, value in values if value is not UNSET}


def utc(value: Any) -> Any:
    """Return an instant in UTC; anything else as it is."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def read(raw: bytes, shape: type[B]) -> B:
    """Return the body in a shape; refused with 400 and the field's name when it does not fit."""
    try:
        return msgspec.json.decode(raw or b"{}", type=shape)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        missing = text.partition("field `")[2].rstrip("`")
        place = path.rstrip("`").lstrip(".")
        name = ".".join(part for part in (place, missing) if part) or "request"
        if missing == "campaignId" and text.startswith("Object missing"):
            # Third parties report 422 where a job or lead names no campaign (sheet, 13).
            raise RefusalError(422, "Campaign is required.", {name: [text]}) from None
        raise RefusalError(400, "One or more validation errors occurred.", {name: [text]}) from None
    except msgspec.DecodeError as error:
        errors = {"request": [str(error)]}
        raise RefusalError(400, "The request body is not valid JSON.", errors) from None


# --- shared ---


class Pair(Body, kw_only=True):
    """One item of external data; a null value takes it away where an update allows that."""

    key: str
    value: str | None = None


class ExternalData(Body, kw_only=True):
    """External data of one application."""

    application_guid: str
    external_data: list[Pair]
    patch_mode: Literal["Replace", "Merge"] | UnsetType | None = UNSET


class CustomField(Body, kw_only=True):
    """A custom field's value."""

    type_id: int
    value: str | None


class Reason(Body, kw_only=True):
    """Why something is held or cancelled."""

    reason_id: int
    memo: str


class Note(Body, kw_only=True):
    """A note; `add_to_locations` and `add_to_customer` copy it there."""

    text: str
    pin_to_top: bool | None = None
    add_to_locations: bool = False
    add_to_customer: bool = False


class Contact(Body, kw_only=True):
    """A contact of a customer, location or booking."""

    type: ContactType
    value: str
    memo: Text = UNSET


class ContactPatch(Body, kw_only=True):
    """A change of a contact."""

    type: ContactType | UnsetType = UNSET
    value: Text = UNSET
    memo: Text = UNSET


class Address(Body, kw_only=True):
    """An address as a create takes it."""

    street: str
    city: str
    state: str
    zip: str
    country: str
    unit: Text = UNSET
    latitude: float | UnsetType = UNSET
    longitude: float | UnsetType = UNSET


class WholeAddress(Body, kw_only=True):
    """An address as a change takes it: all six lines, since it overwrites all (sheet, 14)."""

    street: str
    unit: str
    city: str
    state: str
    zip: str
    country: str
    latitude: float | UnsetType = UNSET
    longitude: float | UnsetType = UNSET


# --- jpm ---


class FirstAppointment(Body, kw_only=True):
    """One of the appointments with which a job is booked."""

    start: Instant
    end: Instant
    arrival_window_start: Instant | None = None
    arrival_window_end: Instant | None = None
    technician_ids: list[int] | None = None


class NewJob(Body, kw_only=True):
    """POST /jobs, the job with its first appointments."""

    customer_id: int
    location_id: int
    business_unit_id: int
    job_type_id: int
    priority: Priority
    campaign_id: int
    appointments: list[FirstAppointment]
    project_id: int | None = None
    job_generated_lead_source: dict[str, int | None] | None = None
    summary: str | None = None
    custom_fields: list[CustomField] | None = None
    tag_type_ids: list[int] | None = None
    external_data: ExternalData | None = None
    invoice_signature_is_required: bool | None = None
    customer_po: str | None = None
    sold_by_id: int | None = None


class JobPatch(Body, kw_only=True):
    """PATCH /jobs/{id}."""

    customer_id: Number = UNSET
    location_id: Number = UNSET
    business_unit_id: Number = UNSET
    job_generated_lead_source: dict[str, int | None] | UnsetType = UNSET
    job_type_id: Number = UNSET
    priority: Priority | UnsetType = UNSET
    campaign_id: Number = UNSET
    summary: Text = UNSET
    should_update_invoice_items: Flag = UNSET
    custom_fields: list[CustomField] | UnsetType = UNSET
    tag_type_ids: list[int] | UnsetType = UNSET
    external_data: ExternalData | UnsetType = UNSET
    customer_po: Text = UNSET
    sold_by_id: MaybeNumber = UNSET


class Completion(Body, kw_only=True):
    """PUT /jobs/{id}/complete."""

    completed_on: Instant


class NewAppointment(FirstAppointment, kw_only=True):
    """POST /appointments."""

    job_id: int
    special_instructions: str | None = None


class Reschedule(Body, kw_only=True):
    """PATCH /appointments/{id}/reschedule."""

    start: Moment = UNSET
    end: Moment = UNSET
    arrival_window_start: MaybeMoment = UNSET
    arrival_window_end: MaybeMoment = UNSET


class Instructions(Body, kw_only=True):
    """PUT /appointments/{id}/special-instructions."""

    special_instructions: str


class JobType(Body, kw_only=True):
    """POST and PATCH /job-types; a create needs the name."""

    name: Text = UNSET
    business_unit_ids: list[int] | UnsetType | None = UNSET
    skills: list[str] | UnsetType | None = UNSET
    tag_type_ids: list[int] | UnsetType | None = UNSET
    priority: Priority | UnsetType | None = UNSET
    duration: MaybeNumber = UNSET
    sold_threshold: float | UnsetType | None = UNSET
    class_: MaybeText = msgspec.field(name="class", default=UNSET)
    summary: MaybeText = UNSET
    no_charge: bool | UnsetType | None = UNSET
    enforce_recurring_service_event_selection: bool | UnsetType | None = UNSET
    invoice_signatures_required: bool | UnsetType | None = UNSET
    external_data: ExternalData | UnsetType | None = UNSET


# --- dispatch ---


class Crew(Body, kw_only=True):
    """Technicians to put on an appointment, or to take off."""

    job_appointment_id: int
    technician_ids: list[int]


class NonJob(Body, kw_only=True):
    """POST and PUT /non-job-appointments; the duration is `hh:mm:ss`."""

    technician_id: int
    start: Instant
    duration: Duration
    name: str
    timesheet_code_id: int | None = None
    summary: str | None = None
    clear_dispatch_board: bool | None = None
    clear_technician_view: bool | None = None
    show_on_technician_schedule: bool | None = None
    remove_technician_from_capacity_planning: bool | None = None
    all_day: bool | None = None
    repeat: bool | None = None
    count_occurrences: int | None = None
    interval: int | None = None
    frequency: Literal["Daily", "Weekly", "Monthly", "Yearly"] | None = None
    end_type: Literal["Never", "After", "On"] | None = None
    end_on: Instant | None = None
    days_of_week: str | None = None


class NewShift(Body, kw_only=True):
    """POST /technician-shifts."""

    technician_ids: list[int]
    shift_type: ShiftType
    title: str
    start: Instant
    end: Instant
    repeat_type: Literal["Never", "Daily", "Weekly"]
    note: str | None = None
    timesheet_code_id: int | None = None
    repeat_end_date: Instant | None = None
    repeat_interval: int | None = None
    shift_days: str | None = None


class ShiftPatch(Body, kw_only=True):
    """PATCH /technician-shifts/{id}."""

    shift_type: ShiftType | UnsetType = UNSET
    title: Text = UNSET
    start: Moment = UNSET
    end: Moment = UNSET
    note: Text = UNSET
    timesheet_code_id: MaybeNumber = UNSET


class Span(Body, kw_only=True):
    """A span of time: the shifts to delete."""

    start: Instant
    end: Instant


class CapacityQuestion(Body, kw_only=True):
    """POST /capacity."""

    starts_on_or_after: Instant
    ends_on_or_before: Instant
    skill_based_availability: bool
    business_unit_ids: list[int] | None = None
    job_type_id: int | None = None


# --- crm ---


class NewPlace(Body, kw_only=True):
    """A location that is made together with its customer."""

    name: str
    address: Address
    contacts: list[Contact] = []
    custom_fields: list[CustomField] = []
    tag_type_ids: list[int] = []
    external_data: ExternalData | UnsetType = UNSET


class NewLocation(NewPlace, kw_only=True):
    """POST /locations."""

    customer_id: int


class NewCustomer(Body, kw_only=True):
    """POST /customers."""

    name: str
    address: Address
    locations: list[NewPlace]
    type: CustomerType = "Residential"
    do_not_mail: bool = False
    do_not_service: bool = False
    contacts: list[Contact] = []
    custom_fields: list[CustomField] = []
    tag_type_ids: list[int] = []
    external_data: ExternalData | UnsetType = UNSET


class CustomerPatch(Body, kw_only=True):
    """PATCH /customers/{id}."""

    name: Text = UNSET
    type: CustomerType | UnsetType = UNSET
    address: WholeAddress | UnsetType = UNSET
    custom_fields: list[CustomField] | UnsetType = UNSET
    external_data: ExternalData | UnsetType = UNSET
    do_not_mail: Flag = UNSET
    do_not_service: Flag = UNSET
    active: Flag = UNSET
    tag_type_ids: list[int] | UnsetType = UNSET


class LocationPatch(Body, kw_only=True):
    """PATCH /locations/{id}."""

    customer_id: Number = UNSET
    name: Text = UNSET
    address: WholeAddress | UnsetType = UNSET
    active: Flag = UNSET
    tax_zone_id: Number = UNSET
    custom_fields: list[CustomField] | UnsetType = UNSET
    tag_type_ids: list[int] | UnsetType = UNSET
    external_data: ExternalData | UnsetType = UNSET


class NewBooking(Body, kw_only=True):
    """POST /booking-provider/{provider}/bookings."""

    source: str
    name: str
    summary: str
    is_first_time_client: bool
    external_id: str
    address: Address | UnsetType = UNSET
    contacts: list[Contact] | UnsetType = UNSET
    customer_type: CustomerType | UnsetType = UNSET
    start: Moment = UNSET
    campaign_id: Number = UNSET
    business_unit_id: Number = UNSET
    job_type_id: Number = UNSET
    priority: Priority | UnsetType = UNSET
    uploaded_images: list[str] | UnsetType = UNSET
    is_send_confirmation_email: Flag = UNSET


class BookingPatch(Body, kw_only=True):
    """PATCH /booking-provider/{provider}/bookings/{id}."""

    source: Text = UNSET
    name: Text = UNSET
    summary: Text = UNSET
    is_first_time_client: Flag = UNSET
    external_id: Text = UNSET
    address: WholeAddress | UnsetType = UNSET
    customer_type: CustomerType | UnsetType = UNSET
    start: Moment = UNSET
    campaign_id: Number = UNSET
    business_unit_id: Number = UNSET
    job_type_id: Number = UNSET
    priority: Priority | UnsetType = UNSET
    uploaded_images: list[str] | UnsetType = UNSET


class NewLead(Body, kw_only=True):
    """POST /leads."""

    campaign_id: int
    summary: str
    customer_id: Number = UNSET
    location_id: Number = UNSET
    business_unit_id: Number = UNSET
    job_type_id: Number = UNSET
    tag_type_ids: list[int] | UnsetType = UNSET
    priority: Priority = "Normal"
    call_reason_id: Number = UNSET
    follow_up_date: Moment = UNSET


class LeadPatch(Body, kw_only=True):
    """PATCH /leads/{id}."""

    campaign_id: Number = UNSET
    priority: Priority | UnsetType = UNSET
    business_unit_id: Number = UNSET
    job_type_id: Number = UNSET


class Dismissal(Body, kw_only=True):
    """POST /leads/{id}/dismiss."""

    dismissing_reason_id: int


class FollowUp(Body, kw_only=True):
    """POST /leads/{id}/follow-up."""

    follow_up_date: Instant
    text: Text = UNSET
    pin_to_top: bool = False


# --- accounting and marketing ---


class Exported(Body, kw_only=True):
    """One row of POST /invoices/markasexported."""

    invoice_id: int
    external_id: str | None = None
    external_message: str | None = None


class Campaign(Body, kw_only=True):
    """POST and PATCH /campaigns; a change names everything too."""

    name: str
    business_unit_id: int
    category_id: int
    active: bool
    dnis: str | None = None


class Category(Body, kw_only=True):
    """POST /categories."""

    name: str
