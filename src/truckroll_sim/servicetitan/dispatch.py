"""Dispatch: who goes where, what else they do, their shifts, free capacity (sheet, 4)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from truckroll_sim.kit.calls import Answer
from truckroll_sim.servicetitan import work
from truckroll_sim.servicetitan.bodies import (
    CapacityQuestion,
    Crew,
    NewShift,
    NonJob,
    ShiftPatch,
    Span,
    utc,
)
from truckroll_sim.servicetitan.listing import (
    IDS,
    STAMPS,
    Listing,
    Where,
    among,
    holds,
    one,
    plain,
    same,
    since,
)
from truckroll_sim.servicetitan.requests import Request, Route, boolean, moment, one_of, shown
from truckroll_sim.servicetitan.tenant import API_USER, Tenant, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from truckroll_sim.servicetitan.rows import Row

LONGEST_REPEAT = timedelta(days=365)
TIMESHEET_CODE = 901
#: What an appointment shows in this module.
VISIT_FIELDS = [
    "id",
    "jobId",
    "appointmentNumber",
    "start",
    "end",
    "arrivalWindowStart",
    "arrivalWindowEnd",
    "status",
    "specialInstructions",
    "createdOn",
    "modifiedOn",
]

ASSIGNMENT_FILTERS = {
    **IDS,
    **STAMPS,
    "appointmentIds": among("appointmentId"),
    "jobId": same("jobId"),
}
EVENT_FILTERS = {
    **IDS,
    **STAMPS,
    "technicianId": same("technicianId"),
    "startsOnOrAfter": since("start"),
    "startsOnOrBefore": Where(moment, lambda _, row, at: row["start"] <= at),
    "timesheetCodeId": same("timesheetCodeId"),
    "activeOnly": Where(boolean, lambda _, row, only: row["active"] or not only),
    "showOnTechnicianSchedule": same("showOnTechnicianSchedule", boolean),
}
SHIFT_FILTERS = {
    **STAMPS,
    "startsOnOrAfter": since("start"),
    "endsOnOrBefore": Where(moment, lambda _, row, at: row["end"] <= at),
    "shiftType": same("shiftType", one_of("Normal", "OnCall", "TimeOff")),
    "technicianId": same("technicianId"),
    "titleContains": holds("title"),
    "noteContains": holds("note"),
}


def _crew(change: Any) -> Any:
    def answer(request: Request) -> Answer:
        body = request.read(Crew)
        if not body.technician_ids:
            raise invalid("TechnicianIds", "At least one technician is required.")
        row = change(request.tenant, body.job_appointment_id, body.technician_ids)
        return Answer.json({name: row[name] for name in VISIT_FIELDS})

    return answer


# --- events that are no job ---


def _event_fields(tenant: Tenant, body: NonJob) -> dict[str, Any]:
    tenant.wanted("technicians", body.technician_id, "TechnicianId")
    fields = body.given()
    flags = [
        "clearDispatchBoard",
        "clearTechnicianView",
        "showOnTechnicianSchedule",
        "allDay",
        "removeTechnicianFromCapacityPlanning",
    ]
    fields |= {name: bool(fields[name]) for name in flags}
    fields["summary"] = body.summary or ""
    fields["timesheetCodeId"] = body.timesheet_code_id or TIMESHEET_CODE
    repeat = [
        "repeat",
        "countOccurrences",
        "interval",
        "frequency",
        "endType",
        "endOn",
        "daysOfWeek",
    ]
    fields["_repeat"] = {name: fields.pop(name) for name in repeat}
    return fields


def create_event(request: Request) -> Answer:
    """Make a non-job event; how it repeats is told by this answer alone, no read shows it."""
    fields = _event_fields(request.tenant, request.read(NonJob))
    row = request.tenant.add("non_job_appointments", **fields, createdById=API_USER)
    repeat = {**row["_repeat"], "daysOfWeek": row["_repeat"]["daysOfWeek"] or ""}
    return Answer.json({**shown(row, "modifiedOn"), **repeat})


def _event(request: Request) -> Row:
    # The documents know no 404 on read and change, so an unknown id is a 400.
    return request.tenant.wanted("non_job_appointments", request.id, "id", active=False)


def get_event(request: Request) -> Answer:
    """One event."""
    return Answer.json(shown(_event(request), "modifiedOn"))


def put_event(request: Request) -> Answer:
    """Replace an event."""
    _event(request)
    fields = _event_fields(request.tenant, request.read(NonJob))
    row = request.tenant.edit("non_job_appointments", request.id, **fields)
    return Answer.json(shown(row, "modifiedOn"))


def delete_event(request: Request) -> Answer:
    """Delete an event."""
    request.tenant.row("non_job_appointments", request.id)
    request.tenant.delete("non_job_appointments", request.id)
    return Answer.json({"message": "Non-job appointment deleted.", "id": request.id})


# --- shifts ---


def _days(body: NewShift) -> Iterator[timedelta]:
    """By how much each shift of a repeated one is later than the first."""
    yield timedelta(0)
    if body.repeat_type == "Never":
        return
    if body.repeat_end_date is None:
        raise invalid("RepeatEndDate", "Repeat end date is required for a repeated shift.")
    last = min(body.repeat_end_date - body.start, LONGEST_REPEAT)
    every = body.repeat_interval or 1
    if body.repeat_type == "Daily":
        steps = [timedelta(days=every * n) for n in range(1, 366)]
    else:
        names = {name.strip()[:3].lower() for name in (body.shift_days or "").split(",")} - {""}
        week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        days = [timedelta(days=n) for n in range(1, 366)]
        own = week[body.start.weekday()]
        steps = [
            day
            for day in days
            if week[(body.start + day).weekday()] in (names or {own})
            and ((day.days + body.start.weekday()) // 7) % every == 0
        ]
    yield from (step for step in steps if step <= last)


def create_shifts(request: Request) -> Answer:
    """Make a shift for each technician, and for each day on which it repeats."""
    tenant, body = request.tenant, request.read(NewShift)
    technicians = work.check_technicians(tenant, body.technician_ids)
    _check_span(body.start, body.end)
    rows = [
        tenant.add(
            "shifts",
            shiftType=body.shift_type,
            title=body.title,
            note=body.note,
            technicianId=technician["id"],
            start=utc(body.start + later),
            end=utc(body.end + later),
            timesheetCodeId=body.timesheet_code_id,
        )
        for technician in technicians
        for later in _days(body)
    ]
    return Answer.json({"created": bool(rows), "technicianShifts": [shown(row) for row in rows]})


def _check_span(start: datetime, end: datetime) -> None:
    if end <= start:
        raise invalid("End", "End must be later than start.")


def patch_shift(request: Request) -> Answer:
    """Change one shift."""
    row, body = request.tenant.row("shifts", request.id), request.read(ShiftPatch)
    changes = body.given()
    new = {**row, **changes}
    _check_span(new["start"], new["end"])
    row = request.tenant.edit("shifts", request.id, **changes)
    return Answer.json({"technicianShifts": [shown(row)]})


def delete_shift(request: Request) -> Answer:
    """Delete one shift."""
    request.tenant.row("shifts", request.id)
    request.tenant.delete("shifts", request.id)
    return Answer.json({"message": "Technician shift deleted.", "id": request.id})


def delete_shifts(request: Request) -> Answer:
    """Delete the shifts that lie within a span."""
    body = request.read(Span)
    alive = [row for row in request.tenant["shifts"].seen() if "_deleted" not in row]
    gone = [row["id"] for row in alive if body.start <= row["start"] and row["end"] <= body.end]
    for number in gone:
        request.tenant.delete("shifts", number)
    return Answer.json({"message": f"{len(gone)} technician shifts deleted.", "deletedIds": gone})


# --- capacity ---


def capacity(request: Request) -> Answer:
    """One availability over the asked span: hours of shifts, and those that are not taken.

    The vendor splits the span by its capacity rules, which it does not publish.
    """
    body, tenant = request.read(CapacityQuestion), request.tenant
    start, end = utc(body.starts_on_or_after), utc(body.ends_on_or_before)
    _check_span(start, end)
    units = set(body.business_unit_ids or ())
    people = [
        row
        for row in tenant["technicians"].seen()
        if row["active"] and (not units or row["businessUnitId"] in units)
    ]
    total = {row["id"]: _hours(_shifts(tenant, row["id"]), start, end) for row in people}
    taken = {row["id"]: _hours(_visits(tenant, row["id"]), start, end) for row in people}
    spare = {number: max(hours - taken[number], 0.0) for number, hours in total.items()}
    technicians = [
        {
            "id": row["id"],
            "name": row["name"],
            "status": "Available" if spare[row["id"]] > 0 else "Unavailable",
            "hasRequiredSkills": True if body.skill_based_availability else None,
        }
        for row in people
    ]
    availability = {
        "start": start,
        "end": end,
        "startUtc": start,
        "endUtc": end,
        "businessUnitIds": sorted(units or {row["businessUnitId"] for row in people}),
        "totalAvailability": sum(total.values()),
        "openAvailability": sum(spare.values()),
        "technicians": technicians,
        "isAvailable": any(spare.values()),
        "isExceedingIdealBookingPercentage": False,
    }
    return Answer.json({"timeStamp": tenant.now(), "availabilities": [availability]})


def _shifts(tenant: Tenant, technician: int) -> list[Row]:
    rows = tenant["shifts"].seen()
    return [
        row
        for row in rows
        if row["active"] and row["technicianId"] == technician and row["shiftType"] != "TimeOff"
    ]


def _visits(tenant: Tenant, technician: int) -> list[Row]:
    rows = (row for row in tenant["assignments"].seen() if row["active"])
    numbers = [row["appointmentId"] for row in rows if row["technicianId"] == technician]
    visits = [tenant["appointments"].get(number) for number in numbers]
    return [row for row in visits if row and row["active"] and row["status"] != "Canceled"]


def _hours(rows: list[Row], start: datetime, end: datetime) -> float:
    spans = [min(row["end"], end) - max(row["start"], start) for row in rows]
    return float(sum(max(span, timedelta(0)).total_seconds() for span in spans) / 3600)


ASSIGNMENTS = "dispatch/appointment-assignments"
EVENTS = "dispatch/non-job-appointments"
SHIFTS = "dispatch/technician-shifts"
ROUTES = (
    Route(
        "GET",
        ASSIGNMENTS,
        Listing("assignments", plain("createdOn"), ASSIGNMENT_FILTERS, active=True),
    ),
    Route("POST", ASSIGNMENTS + "/assign-technicians", _crew(work.assign)),
    Route("POST", ASSIGNMENTS + "/unassign-technicians", _crew(work.unassign)),
    Route("GET", EVENTS, Listing("non_job_appointments", plain(), EVENT_FILTERS)),
    Route("POST", EVENTS, create_event),
    Route("GET", EVENTS + "/{id}", get_event),
    Route("PUT", EVENTS + "/{id}", put_event),
    Route("DELETE", EVENTS + "/{id}", delete_event),
    Route("GET", SHIFTS, Listing("shifts", plain(), SHIFT_FILTERS, active=True)),
    Route("POST", SHIFTS, create_shifts),
    Route("GET", SHIFTS + "/{id}", one("shifts", plain())),
    Route("PATCH", SHIFTS + "/{id}", patch_shift),
    Route("DELETE", SHIFTS + "/{id}", delete_shift),
    Route("POST", SHIFTS + "/bulk-delete", delete_shifts),
    Route("POST", "dispatch/capacity", capacity),
)
