"""Jobs, appointments and assignments: what may become of them, and what that changes.

Appointment and job status follow from what happened (sheet, 11): a technician who works
makes the appointment Working and the job InProgress. The office's holds and cancellations
are kept as marks of their own, so that taking them back needs no memory of before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truckroll_sim.servicetitan.tenant import API_USER, RefusalError, Tenant, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from truckroll_sim.servicetitan.rows import Row

FINISHED = ("Done", "Canceled")


def record(tenant: Tenant, job_id: int, event: str, memo: str = "", by: int = API_USER) -> None:
    """Write one line of a job's history."""
    entry = {
        "id": tenant.new_id(),
        "employeeId": by,
        "eventType": event,
        "date": tenant.now(),
        "usedSchedulingTool": "Manual",
        "memo": memo,
    }
    known = tenant["job_histories"].get(job_id)
    if known is None:
        tenant.add("job_histories", id=job_id, history=[entry])
    else:
        tenant.edit("job_histories", job_id, history=[*known["history"], entry])


def appointments_of(tenant: Tenant, job_id: int) -> list[Row]:
    """Return the job's appointments, the earliest first."""
    rows = tenant.alive("appointments", "jobId", job_id)
    return sorted(rows, key=lambda row: (row["start"], row["id"]))


def crew(tenant: Tenant, appointment_id: int) -> list[Row]:
    """Return the active assignments of an appointment."""
    rows = tenant["assignments"].having("appointmentId", appointment_id)
    return [row for row in rows if row["active"]]


def settle(tenant: Tenant, job_id: int) -> None:
    """Let the job and its appointments follow what happened below them."""
    job = tenant.row("jobs", job_id)
    rows = []
    for row in appointments_of(tenant, job_id):
        status = _appointment_status(job, row, crew(tenant, row["id"]))
        rows.append(tenant.edit("appointments", row["id"], status=status))
    tenant.edit(
        "jobs",
        job_id,
        jobStatus=_job_status(job, [row["status"] for row in rows]),
        appointmentCount=len(rows),
        firstAppointmentId=rows[0]["id"],
        lastAppointmentId=rows[-1]["id"],
    )


def _appointment_status(job: Row, row: Row, assigned: Sequence[Row]) -> str:
    states = [one["status"] for one in assigned]
    if job["_canceled"]:
        return "Canceled" if row["status"] != "Done" else "Done"
    if states and all(state == "Done" for state in states):
        return "Done"
    if row["_held"]:
        return "Hold"
    return next((s for s in ("Working", "Dispatched") if s in states), "Scheduled")


def _job_status(job: Row, states: Sequence[str]) -> str:
    if job["_canceled"]:
        return "Canceled"
    if job["completedOn"] is not None:
        return "Completed"
    unfinished = [state for state in states if state not in FINISHED]
    if unfinished and all(state == "Hold" for state in unfinished):
        return "Hold"
    if "Working" in states or "Done" in states:
        return "InProgress"
    return "Dispatched" if "Dispatched" in states else "Scheduled"


def check_times(start: datetime, end: datetime, window: tuple[Any, Any]) -> None:
    """Refuse an appointment that ends before it starts, or half an arrival window."""
    if end <= start:
        raise invalid("End", "End must be later than start.")
    opens, closes = window
    if (opens is None) != (closes is None):
        raise invalid("ArrivalWindowEnd", "Arrival window needs both start and end.")
    if opens is not None and closes <= opens:
        raise invalid("ArrivalWindowEnd", "Arrival window end must be later than its start.")


def check_technicians(tenant: Tenant, numbers: Iterable[int]) -> list[Row]:
    """Return the technicians, each once; refused with 400 when one is unknown or inactive."""
    return [tenant.wanted("technicians", i, "TechnicianIds") for i in dict.fromkeys(numbers)]


def add_appointment(tenant: Tenant, job: Row, start: datetime, end: datetime, **more: Any) -> Row:
    """Put one appointment on a job; its number is the job's with a running suffix."""
    count = len(tenant["appointments"].having("jobId", job["id"])) + 1
    row = tenant.add(
        "appointments",
        jobId=job["id"],
        appointmentNumber=f"{job['jobNumber']}-{count}",
        start=start,
        end=end,
        arrivalWindowStart=more.get("window", (None, None))[0],
        arrivalWindowEnd=more.get("window", (None, None))[1],
        status="Scheduled",
        specialInstructions=more.get("instructions"),
        customerId=job["customerId"],
        unused=False,
        createdById=API_USER,
        isConfirmed=False,
        _held=False,
    )
    for technician in more.get("technicians", ()):
        _assign_one(tenant, row, technician)
    return row


def _assign_one(tenant: Tenant, appointment: Row, technician: Row) -> Row:
    return tenant.add(
        "assignments",
        technicianId=technician["id"],
        technicianName=technician["name"],
        assignedById=API_USER,
        assignedOn=tenant.now(),
        status="Scheduled",
        isPaused=False,
        jobId=appointment["jobId"],
        appointmentId=appointment["id"],
    )


def assign(tenant: Tenant, appointment_id: int, numbers: Sequence[int]) -> Row:
    """Add technicians to those already there; 409 when one is, or the visit is over."""
    row = tenant.wanted("appointments", appointment_id, "JobAppointmentId")
    technicians = check_technicians(tenant, numbers)
    if row["status"] in FINISHED:
        raise RefusalError(409, f"Appointment is {row['status']}, technicians cannot be assigned.")
    present = {one["technicianId"] for one in crew(tenant, appointment_id)}
    if again := [one["name"] for one in technicians if one["id"] in present]:
        raise RefusalError(409, f"Already assigned to this appointment: {', '.join(again)}.")
    for technician in technicians:
        _assign_one(tenant, row, technician)
        record(tenant, row["jobId"], "Technician Assigned", technician["name"])
    settle(tenant, row["jobId"])
    return tenant.row("appointments", appointment_id)


def unassign(tenant: Tenant, appointment_id: int, numbers: Sequence[int]) -> Row:
    """Take technicians off; 400 when one is not there or has already begun."""
    row = tenant.wanted("appointments", appointment_id, "JobAppointmentId")
    present = {one["technicianId"]: one for one in crew(tenant, appointment_id)}
    for number in numbers:
        if number not in present:
            raise invalid("TechnicianIds", f"Technician {number} is not assigned.")
        if present[number]["status"] in ("Working", "Done"):
            raise invalid("TechnicianIds", f"Technician {number} has already arrived.")
    for number in dict.fromkeys(numbers):
        tenant.edit("assignments", present[number]["id"], active=False)
        record(tenant, row["jobId"], "Technician Unassigned", present[number]["technicianName"])
    settle(tenant, row["jobId"])
    return tenant.row("appointments", appointment_id)


def open_appointment(tenant: Tenant, appointment_id: int, *barred: str) -> Row:
    """Return the appointment, refused with 409 when its status forbids the change."""
    row = tenant.row("appointments", appointment_id)
    if row["status"] in (*FINISHED, *barred):
        raise RefusalError(409, f"Appointment is {row['status']} and cannot be changed.")
    return row


def reschedule(tenant: Tenant, appointment_id: int, **times: Any) -> Row:
    """Move an appointment; what is not named stays. 409 once somebody works on it."""
    row = open_appointment(tenant, appointment_id, "Working")
    new = {**row, **times}
    check_times(new["start"], new["end"], (new["arrivalWindowStart"], new["arrivalWindowEnd"]))
    if all(row[name] == value for name, value in times.items()):
        return row
    tenant.edit("appointments", appointment_id, **times)
    record(tenant, row["jobId"], "Appointment Rescheduled")
    settle(tenant, row["jobId"])
    notice(tenant, "appointment moved", row["jobId"])
    return tenant.row("appointments", appointment_id)


def hold(tenant: Tenant, appointment_id: int, reason_id: int, memo: str) -> None:
    """Put one appointment on hold."""
    tenant.wanted("hold_reasons", reason_id, "ReasonId")
    row = open_appointment(tenant, appointment_id, "Hold")
    tenant.edit("appointments", appointment_id, _held=True)
    record(tenant, row["jobId"], "Appointment On Hold", memo)
    settle(tenant, row["jobId"])


def unhold(tenant: Tenant, appointment_id: int) -> None:
    """Take the hold off; 409 when there is none."""
    row = tenant.row("appointments", appointment_id)
    if row["status"] != "Hold":
        raise RefusalError(409, "Appointment is not on hold.")
    tenant.edit("appointments", appointment_id, _held=False)
    record(tenant, row["jobId"], "Appointment Hold Removed")
    settle(tenant, row["jobId"])


def delete_appointment(tenant: Tenant, appointment_id: int) -> None:
    """Delete an appointment that has not begun and is not the job's last (sheet, 4)."""
    row = open_appointment(tenant, appointment_id, "Working", "Dispatched")
    if len(appointments_of(tenant, row["jobId"])) == 1:
        raise RefusalError(409, "The last appointment of a job cannot be deleted.")
    for one in crew(tenant, appointment_id):
        tenant.edit("assignments", one["id"], active=False)
    tenant.delete("appointments", appointment_id)
    record(tenant, row["jobId"], "Appointment Deleted")
    settle(tenant, row["jobId"])


def cancel_job(tenant: Tenant, job_id: int, reason_id: int, memo: str, by: int = API_USER) -> None:
    """Cancel a job that is not completed; its appointments become Canceled."""
    tenant.wanted("cancel_reasons", reason_id, "ReasonId")
    job = tenant.row("jobs", job_id)
    if job["jobStatus"] in ("Completed", "Canceled"):
        raise invalid("Id", f"Job is {job['jobStatus']} and cannot be canceled.")
    tenant.edit("jobs", job_id, _canceled=True)
    tenant.add("canceled_logs", jobId=job_id, reasonId=reason_id, memo=memo, createdById=by)
    record(tenant, job_id, "Job Canceled", memo, by)
    settle(tenant, job_id)
    notice(tenant, "job canceled", job_id)


def restore_job(tenant: Tenant, job_id: int) -> None:
    """Take a cancellation back."""
    if not tenant.row("jobs", job_id)["_canceled"]:
        raise invalid("Id", "Job is not canceled.")
    tenant.edit("jobs", job_id, _canceled=False)
    for log in tenant.alive("canceled_logs", "jobId", job_id):
        tenant.edit("canceled_logs", log["id"], active=False)
    record(tenant, job_id, "Job Cancellation Removed")
    settle(tenant, job_id)


def hold_job(tenant: Tenant, job_id: int, reason_id: int, memo: str) -> None:
    """Put a job on hold, that is, all its unfinished appointments (sheet, 11)."""
    tenant.wanted("hold_reasons", reason_id, "ReasonId")
    job = tenant.row("jobs", job_id)
    if job["jobStatus"] not in ("Scheduled", "Dispatched", "InProgress"):
        raise invalid("Id", f"Job is {job['jobStatus']} and cannot be put on hold.")
    for row in appointments_of(tenant, job_id):
        if row["status"] not in FINISHED:
            tenant.edit("appointments", row["id"], _held=True)
    record(tenant, job_id, "Job On Hold", memo)
    settle(tenant, job_id)


def complete_job(tenant: Tenant, job_id: int, completed_on: datetime) -> None:
    """Complete a job; visits at which nobody was are left as unused."""
    job = tenant.row("jobs", job_id)
    if job["jobStatus"] in ("Completed", "Canceled"):
        raise RefusalError(409, f"Job is {job['jobStatus']} and cannot be completed.")
    rows = appointments_of(tenant, job_id)
    assigned = [one for row in rows for one in crew(tenant, row["id"])]
    if not assigned:
        raise RefusalError(409, "Job has no technician assigned and cannot be completed.")
    for one in assigned:
        tenant.edit("assignments", one["id"], status="Done", isPaused=False)
    for row in rows:
        tenant.edit("appointments", row["id"], unused=not crew(tenant, row["id"]), _held=False)
    tenant.edit("jobs", job_id, completedOn=completed_on)
    record(tenant, job_id, "Job Completed")
    settle(tenant, job_id)


def notice(tenant: Tenant, kind: str, job_id: int) -> None:
    """Tell the customer of a job, where the tenant is set to assume that the vendor does."""
    job = tenant.row("jobs", job_id)
    if not (tenant.habits.assumed_notices and job["notificationsEnabled"]):
        return
    for contact in tenant.alive("customer_contacts", "customerId", job["customerId"]):
        channel = {"Email": "email", "MobilePhone": "text"}.get(contact["type"])
        if channel:
            tenant.kit.outbox.tell(
                contact["value"], f"job {job['jobNumber']}", f"{kind} (assumed)", channel
            )
