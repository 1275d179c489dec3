"""Booking a job: its parts are checked, and job, invoice and first appointments made at once."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from truckroll_sim.servicetitan import work
from truckroll_sim.servicetitan.bodies import CustomField, NewAppointment, NewJob, Note, utc
from truckroll_sim.servicetitan.external import merged
from truckroll_sim.servicetitan.tenant import API_USER, RefusalError, Tenant, invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from truckroll_sim.servicetitan.bodies import FirstAppointment
    from truckroll_sim.servicetitan.rows import Row

#: A job's fields that name other rows, and their tables.
PARTS = {
    "customerId": "customers",
    "locationId": "locations",
    "businessUnitId": "business_units",
    "jobTypeId": "job_types",
    "campaignId": "campaigns",
}


def check_parts(tenant: Tenant, job: dict[str, Any], *, changed: Collection[str]) -> None:
    """Refuse with 400 a job whose parts do not exist, are inactive, or do not belong together."""
    for name, table in PARTS.items():
        if name in changed:
            tenant.wanted(table, job[name], name[0].upper() + name[1:])
    for number in job.get("tagTypeIds") or ():
        tenant.wanted("tag_types", number, "TagTypeIds", active=False)
    location = tenant.wanted("locations", job["locationId"], "LocationId", active=False)
    if location["customerId"] != job["customerId"]:
        raise invalid("LocationId", "The location does not belong to the customer.")


def custom_fields(fields: Iterable[CustomField] | None) -> list[dict[str, Any]]:
    """Return custom fields as a job shows them."""
    return [
        {"typeId": one.type_id, "name": f"Custom field {one.type_id}", "value": one.value or ""}
        for one in fields or ()
    ]


def _prepared(tenant: Tenant, body: FirstAppointment) -> dict[str, Any]:
    window = (utc(body.arrival_window_start), utc(body.arrival_window_end))
    start, end = utc(body.start), utc(body.end)
    work.check_times(start, end, window)
    crew = work.check_technicians(tenant, body.technician_ids or ())
    return {"start": start, "end": end, "window": window, "technicians": crew}


def book_job(
    tenant: Tenant, body: NewJob, by: int = API_USER, booking_id: int | None = None
) -> Row:
    """Make a job with its appointments and its invoice; all or nothing."""
    parts = {k: v for k, v in body.given().items() if k in PARTS or k == "tagTypeIds"}
    check_parts(tenant, parts, changed=parts)
    if not body.appointments:
        raise invalid("Appointments", "At least one appointment is required.")
    visits = [_prepared(tenant, one) for one in body.appointments]
    number, invoice = tenant.new_id(), tenant.new_id()
    job = tenant.add(
        "jobs",
        id=number,
        jobNumber=str(number),
        projectId=body.project_id,
        customerId=body.customer_id,
        locationId=body.location_id,
        jobStatus="Scheduled",
        completedOn=None,
        businessUnitId=body.business_unit_id,
        jobTypeId=body.job_type_id,
        priority=body.priority,
        campaignId=body.campaign_id,
        summary=body.summary,
        customFields=custom_fields(body.custom_fields),
        appointmentCount=0,
        firstAppointmentId=0,
        lastAppointmentId=0,
        recallForId=None,
        warrantyId=None,
        jobGeneratedLeadSource=body.job_generated_lead_source,
        noCharge=False,
        notificationsEnabled=True,
        createdById=by,
        tagTypeIds=body.tag_type_ids or [],
        leadCallId=None,
        bookingId=booking_id,
        soldById=body.sold_by_id,
        customerPo=body.customer_po or "",
        invoiceId=invoice,
        membershipId=None,
        total=0,
        _canceled=False,
        _external=merged({}, body.external_data),
    )
    rows = [work.add_appointment(tenant, job, **visit) for visit in visits]
    _book_log(tenant, rows[0], by)
    open_invoice(tenant, job, invoice)
    work.record(tenant, number, "Job Booked", by=by)
    work.settle(tenant, number)
    work.notice(tenant, "job booked", number)
    return tenant.row("jobs", number)


def _book_log(tenant: Tenant, visit: Row, by: int) -> None:
    tenant.add(
        "booked_logs",
        jobId=visit["jobId"],
        jobAppointmentId=visit["id"],
        start=visit["start"],
        arrivalWindowStart=visit["arrivalWindowStart"],
        arrivalWindowEnd=visit["arrivalWindowEnd"],
        createdById=by,
    )


def add_appointment(tenant: Tenant, body: NewAppointment) -> Row:
    """Put one more appointment on a job that is not closed."""
    job = tenant.wanted("jobs", body.job_id, "JobId")
    if job["jobStatus"] in ("Completed", "Canceled"):
        raise RefusalError(409, f"Job is {job['jobStatus']}, appointments cannot be added.")
    visit = _prepared(tenant, body)
    row = work.add_appointment(tenant, job, **visit, instructions=body.special_instructions)
    work.record(tenant, job["id"], "Appointment Added")
    work.settle(tenant, job["id"])
    return tenant.row("appointments", row["id"])


def write_note(tenant: Tenant, table: str, body: Note, by: int = API_USER, **owner: Any) -> Row:
    """Put a note on what `owner` names."""
    if not body.text.strip():
        raise invalid("Text", "Text is required.")
    pinned = bool(body.pin_to_top)
    return tenant.add(table, text=body.text, isPinned=pinned, createdById=by, **owner)


def open_invoice(tenant: Tenant, job: Row, number: int) -> Row:
    """Return the job's one invoice, empty and pending."""
    return tenant.add(
        "invoices",
        id=number,
        _job=job["id"],
        _status="Pending",
        _items=(),
        _tax=Decimal(0),
        _review="NeedsReview",
        _export=None,
        _summary=job["summary"],
        _dated=tenant.now(),
    )
