"""Job planning and management: jobs, appointments, job types, reasons, notes (sheet, 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from truckroll_sim.kit.calls import Answer
from truckroll_sim.servicetitan import booking, work
from truckroll_sim.servicetitan.bodies import (
    Completion,
    Instructions,
    JobPatch,
    JobType,
    NewAppointment,
    NewJob,
    Note,
    Reason,
    Reschedule,
    utc,
)
from truckroll_sim.servicetitan.external import merged
from truckroll_sim.servicetitan.listing import (
    IDS,
    SORTABLE,
    STAMPS,
    Listing,
    Where,
    holds,
    one,
    overlaps,
    paged,
    plain,
    same,
    since,
    until,
    with_external,
)
from truckroll_sim.servicetitan.requests import (
    Request,
    Route,
    boolean,
    moment,
    numbers,
    one_of,
    shown,
)
from truckroll_sim.servicetitan.tenant import Tenant, invalid

if TYPE_CHECKING:
    from truckroll_sim.servicetitan.rows import Row

JOB_STATES = ("Scheduled", "Dispatched", "InProgress", "Hold", "Completed", "Canceled")
VISIT_STATES = ("Scheduled", "Dispatched", "Working", "Hold", "Done", "Canceled")
NOT_IN_NOTES = ("id", "jobId", "active")

job_view = with_external(plain("active"))
visit_view = plain("active")
type_view = with_external(plain())


def _any_visit(reader: Any, keeps: Any) -> Where:
    """Keep jobs with at least one appointment that fits."""
    return Where(
        reader,
        lambda tenant, row, value: any(
            keeps(tenant, visit, value) for visit in work.appointments_of(tenant, row["id"])
        ),
    )


def _has(tenant: Tenant, visit: Row, technician: int) -> bool:
    return any(one["technicianId"] == technician for one in work.crew(tenant, visit["id"]))


def _first_visit(keeps: Any) -> Where:
    return Where(
        moment, lambda tenant, row, value: keeps(work.appointments_of(tenant, row["id"])[0], value)
    )


JOB_FILTERS = {
    **IDS,
    **STAMPS,
    "number": same("jobNumber", str),
    "jobStatus": same("jobStatus", one_of(*JOB_STATES)),
    "priority": same("priority", str),
    **{
        name: same(name)
        for name in [
            "projectId",
            "bookingId",
            "customerId",
            "locationId",
            "soldById",
            "jobTypeId",
            "campaignId",
            "businessUnitId",
            "invoiceId",
        ]
    },
    "completedOnOrAfter": since("completedOn"),
    "completedBefore": until("completedOn"),
    "tagTypeIds": overlaps("tagTypeIds"),
    "technicianId": _any_visit(int, _has),
    "appointmentStatus": _any_visit(
        one_of(*VISIT_STATES), lambda _, v, state: v["status"] == state
    ),
    "appointmentStartsOnOrAfter": _any_visit(moment, lambda _, v, at: v["start"] >= at),
    "appointmentStartsBefore": _any_visit(moment, lambda _, v, at: v["start"] < at),
    "firstAppointmentStartsOnOrAfter": _first_visit(lambda visit, at: visit["start"] >= at),
    "firstAppointmentStartsBefore": _first_visit(lambda visit, at: visit["start"] < at),
    "hasUnusedAppointments": _any_visit(boolean, lambda _, v, wanted: v["unused"] == wanted),
}
VISIT_FILTERS = {
    **IDS,
    **STAMPS,
    "jobId": same("jobId"),
    "number": same("appointmentNumber", str),
    "status": same("status", one_of(*VISIT_STATES)),
    "startsOnOrAfter": since("start"),
    "startsBefore": until("start"),
    "technicianId": Where(int, _has),
    "customerId": same("customerId"),
    "unused": same("unused", boolean),
}
TYPE_FILTERS = {
    **IDS,
    **STAMPS,
    "name": holds("name"),
    "priority": same("priority", str),
    "minDuration": Where(int, lambda _, row, seconds: row["duration"] >= seconds),
    "maxDuration": Where(int, lambda _, row, seconds: row["duration"] <= seconds),
}


def create_job(request: Request) -> Answer:
    """Book a job with its first appointments."""
    return Answer.json(job_view(booking.book_job(request.tenant, request.read(NewJob)), request))


def patch_job(request: Request) -> Answer:
    """Change what the request names; times and technicians are not the job's."""
    job, body = request.tenant.row("jobs", request.id), request.read(JobPatch)
    changes = body.given()
    for name in ("externalData", "customFields", "shouldUpdateInvoiceItems"):
        changes.pop(name, None)
    booking.check_parts(request.tenant, {**job, **changes}, changed=changes)
    if body.custom_fields is not UNSET:
        changes["customFields"] = booking.custom_fields(body.custom_fields)
    external = merged(job["_external"], body.external_data)
    request.tenant.edit("jobs", request.id, **changes, _external=external)
    return Answer.json(job_view(request.tenant.row("jobs", request.id), request))


def cancel_job(request: Request) -> Answer:
    """Cancel; a job is never deleted."""
    body = request.read(Reason)
    work.cancel_job(request.tenant, request.id, body.reason_id, body.memo)
    return Answer(200)


def restore_job(request: Request) -> Answer:
    """Take a cancellation back; the documents know no 404 here."""
    if request.tenant["jobs"].get(request.id) is None:
        raise invalid("id", f"Job with ID {request.id} was not found.")
    work.restore_job(request.tenant, request.id)
    return Answer(200)


def hold_job(request: Request) -> Answer:
    """Put a job on hold."""
    body = request.read(Reason)
    work.hold_job(request.tenant, request.id, body.reason_id, body.memo)
    return Answer(200)


def complete_job(request: Request) -> Answer:
    """Complete a job."""
    work.complete_job(request.tenant, request.id, utc(request.read(Completion).completed_on))
    return Answer(200)


def job_notes(request: Request) -> Answer:
    """Return the notes of a job, without ids (sheet, 14)."""
    request.tenant.row("jobs", request.id)
    rows = request.tenant.alive("job_notes", "jobId", request.id)
    return paged(request, rows, plain(*NOT_IN_NOTES))


def add_job_note(request: Request) -> Answer:
    """Write a note; the answer has no id, the export feed has."""
    request.tenant.row("jobs", request.id)
    row = booking.write_note(request.tenant, "job_notes", request.read(Note), jobId=request.id)
    return Answer.json(shown(row, *NOT_IN_NOTES))


def job_history(request: Request) -> Answer:
    """All that happened to a job, not paged."""
    request.tenant.row("jobs", request.id)
    return Answer.json({"history": request.tenant.row("job_histories", request.id)["history"]})


def canceled_log(request: Request) -> Answer:
    """Return the cancellations of a job."""
    request.tenant.row("jobs", request.id)
    rows = request.tenant["canceled_logs"].having("jobId", request.id)
    return paged(request, rows, plain("modifiedOn"))


def booked_log(request: Request) -> Answer:
    """How a job was booked."""
    request.tenant.row("jobs", request.id)
    return Answer.json(
        shown(request.tenant["booked_logs"].having("jobId", request.id)[0], "modifiedOn")
    )


def cancel_reasons_of_jobs(request: Request) -> Answer:
    """For each job of `ids`, why it was cancelled."""
    wanted = numbers(request.query.get("ids") or "0")
    logs = [row for row in request.tenant["canceled_logs"].seen() if row["jobId"] in wanted]
    return paged(request, [row for row in logs if row["active"]], _job_reason)


def _job_reason(log: Row, request: Request) -> dict[str, Any]:
    reason = request.tenant["cancel_reasons"].get(log["reasonId"])
    named = {"jobId": log["jobId"], "reasonId": log["reasonId"], "text": log["memo"]}
    return {**named, "name": reason["name"] if reason else ""}


def add_appointment(request: Request) -> Answer:
    """Put one more appointment on a job."""
    row = booking.add_appointment(request.tenant, request.read(NewAppointment))
    return Answer.json(visit_view(row, request))


def reschedule(request: Request) -> Answer:
    """Move an appointment ("Update Appointment")."""
    row = work.reschedule(request.tenant, request.id, **request.read(Reschedule).given())
    return Answer.json(visit_view(row, request))


def instruct(request: Request) -> Answer:
    """Set the special instructions."""
    text = request.read(Instructions).special_instructions
    work.open_appointment(request.tenant, request.id)
    row = request.tenant.edit("appointments", request.id, specialInstructions=text)
    return Answer.json(visit_view(row, request))


def hold_appointment(request: Request) -> Answer:
    """Put an appointment on hold."""
    body = request.read(Reason)
    work.hold(request.tenant, request.id, body.reason_id, body.memo)
    return Answer(200)


def unhold_appointment(request: Request) -> Answer:
    """Take the hold off."""
    work.unhold(request.tenant, request.id)
    return Answer(200)


def _confirm(*, confirmed: bool) -> Any:
    def answer(request: Request) -> Answer:
        work.open_appointment(request.tenant, request.id)
        request.tenant.edit("appointments", request.id, isConfirmed=confirmed)
        return Answer(200)

    return answer


def delete_appointment(request: Request) -> Answer:
    """Delete an appointment, if it is neither begun nor the job's last."""
    work.delete_appointment(request.tenant, request.id)
    return Answer(200)


def create_job_type(request: Request) -> Answer:
    """Make a job type; its duration is in seconds."""
    body = request.read(JobType)
    if body.name is UNSET:
        raise invalid("name", "Name is required.")
    defaults = {
        "businessUnitIds": [],
        "skills": [],
        "tagTypeIds": [],
        "priority": "Normal",
        "duration": 3600,
        "soldThreshold": None,
        "class": "",
        "summary": "",
        "noCharge": False,
        "enforceRecurringServiceEventSelection": False,
        "invoiceSignaturesRequired": False,
    }
    named = {k: v for k, v in body.given().items() if v is not None and k != "externalData"}
    external = merged({}, body.external_data)
    row = request.tenant.add("job_types", **{**defaults, **named}, _external=external)
    return Answer.json(type_view(row, request))


def patch_job_type(request: Request) -> Answer:
    """Change a job type; the documents know no 404 here."""
    row, body = (
        request.tenant.wanted("job_types", request.id, "id", active=False),
        request.read(JobType),
    )
    changes = body.given()
    changes.pop("externalData", None)
    external = merged(row["_external"], body.external_data)
    row = request.tenant.edit("job_types", request.id, **changes, _external=external)
    return Answer.json(type_view(row, request))


def _reasons(table: str) -> Listing:
    return Listing(table, plain(), STAMPS, active=True)


by_priority = {**SORTABLE, "Priority": "priority"}
ROUTES = (
    Route("GET", "jpm/jobs", Listing("jobs", job_view, JOB_FILTERS, sorts=by_priority)),
    Route("POST", "jpm/jobs", create_job),
    Route("GET", "jpm/jobs/cancel-reasons", cancel_reasons_of_jobs),
    Route("GET", "jpm/jobs/{id}", one("jobs", job_view)),
    Route("PATCH", "jpm/jobs/{id}", patch_job),
    Route("PUT", "jpm/jobs/{id}/cancel", cancel_job),
    Route("PUT", "jpm/jobs/{id}/remove-cancellation", restore_job),
    Route("PUT", "jpm/jobs/{id}/hold", hold_job),
    Route("PUT", "jpm/jobs/{id}/complete", complete_job),
    Route("GET", "jpm/jobs/{id}/notes", job_notes),
    Route("POST", "jpm/jobs/{id}/notes", add_job_note),
    Route("GET", "jpm/jobs/{id}/history", job_history),
    Route("GET", "jpm/jobs/{id}/canceled-log", canceled_log),
    Route("GET", "jpm/jobs/{id}/booked-log", booked_log),
    Route("GET", "jpm/job-types", Listing("job_types", type_view, TYPE_FILTERS, active=True)),
    Route("POST", "jpm/job-types", create_job_type),
    Route("GET", "jpm/job-types/{id}", one("job_types", type_view)),
    Route("PATCH", "jpm/job-types/{id}", patch_job_type),
    Route("GET", "jpm/job-cancel-reasons", _reasons("cancel_reasons")),
    Route("GET", "jpm/job-hold-reasons", _reasons("hold_reasons")),
    Route("GET", "jpm/appointments", Listing("appointments", visit_view, VISIT_FILTERS)),
    Route("POST", "jpm/appointments", add_appointment),
    Route("GET", "jpm/appointments/{id}", one("appointments", visit_view)),
    Route("DELETE", "jpm/appointments/{id}", delete_appointment),
    Route("PATCH", "jpm/appointments/{id}/reschedule", reschedule),
    Route("PUT", "jpm/appointments/{id}/hold", hold_appointment),
    Route("DELETE", "jpm/appointments/{id}/hold", unhold_appointment),
    Route("PUT", "jpm/appointments/{id}/special-instructions", instruct),
    Route("PUT", "jpm/appointments/{id}/confirmation", _confirm(confirmed=True)),
    Route("DELETE", "jpm/appointments/{id}/confirmation", _confirm(confirmed=False)),
)
