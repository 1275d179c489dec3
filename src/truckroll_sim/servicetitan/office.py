"""What people do in the vendor's screens and mobile app, over the control plane.

No API call makes a technician arrive, or accepts a booking (sheet, 1): only these acts do.
Each takes a JSON object with the ids it names, and answers with the rows it changed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from truckroll_sim.servicetitan import accounting, booking, crm, forms, leads, work
from truckroll_sim.servicetitan.bodies import NewAppointment, NewCustomer, NewJob, Note, utc
from truckroll_sim.servicetitan.requests import moment, shown
from truckroll_sim.servicetitan.tenant import OFFICE_USER, TABLES, RefusalError, Tenant, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truckroll_sim.servicetitan.rows import Row

Body = dict[str, Any]
Act = Callable[[Body], Any]
Deed = Callable[[Tenant, Body], Any]


# --- technicians, with the mobile app ---


def _mine(tenant: Tenant, body: Body, *states: str) -> list[Row]:
    """Return the assignments that an act is about: one technician's, or the whole crew's."""
    visit = tenant.row("appointments", body["appointmentId"])
    if visit["status"] in ("Canceled", "Hold"):
        raise invalid("appointmentId", f"the visit is {visit['status']}")
    rows = work.crew(tenant, visit["id"])
    who = body.get("technicianId")
    rows = [row for row in rows if who in (None, row["technicianId"]) and row["status"] in states]
    if not rows:
        raise invalid("technicianId", f"nobody there whose assignment is {' or '.join(states)}")
    return rows


def _step(states: tuple[str, ...], event: str, **changes: Any) -> Deed:
    def deed(tenant: Tenant, body: Body) -> Any:
        rows = _mine(tenant, body, *states)
        for row in rows:
            tenant.edit("assignments", row["id"], **changes)
            work.record(tenant, row["jobId"], event, row["technicianName"], row["technicianId"])
        work.settle(tenant, rows[0]["jobId"])
        return _visit(tenant, body["appointmentId"])

    return deed


def done(tenant: Tenant, body: Body) -> Any:
    """Done: with the last visit of a job done, the job is completed, unless `complete` is false."""
    answer = _step(("Working",), "Technician Done", status="Done", isPaused=False)(tenant, body)
    job = tenant.row("jobs", answer["appointment"]["jobId"])
    states = {row["status"] for row in work.appointments_of(tenant, job["id"])}
    if states <= set(work.FINISHED) and body.get("complete", True):
        work.complete_job(tenant, job["id"], tenant.now())
    return _visit(tenant, body["appointmentId"])


def _visit(tenant: Tenant, appointment_id: int) -> dict[str, Any]:
    row = tenant.row("appointments", appointment_id)
    crew = [shown(one) for one in work.crew(tenant, appointment_id)]
    job = shown(tenant.row("jobs", row["jobId"]))
    return {"appointment": shown(row), "assignments": crew, "job": job}


# --- the office ---


def book(tenant: Tenant, body: Body) -> Any:
    """Book a job in the office; the body is that of the API's create."""
    return shown(booking.book_job(tenant, msgspec.convert(body, NewJob), OFFICE_USER))


def add_visit(tenant: Tenant, body: Body) -> Any:
    """Put one more visit on a job; the body is that of the API's create."""
    return shown(booking.add_appointment(tenant, msgspec.convert(body, NewAppointment)))


def reschedule(tenant: Tenant, body: Body) -> Any:
    """Drag a visit on the board: `appointmentId`, and `start`, `end` or both."""
    names = ("start", "end", "arrivalWindowStart", "arrivalWindowEnd")
    times = {name: moment(body[name]) if body[name] else None for name in names if name in body}
    work.reschedule(tenant, body["appointmentId"], **times)
    return _visit(tenant, body["appointmentId"])


def assign(tenant: Tenant, body: Body) -> Any:
    """Set who goes: `technicianIds` take the place of those who are there."""
    number, wanted = body["appointmentId"], set(body["technicianIds"])
    present = {row["technicianId"] for row in work.crew(tenant, number)}
    if gone := present - wanted:
        work.unassign(tenant, number, sorted(gone))
    if new := wanted - present:
        work.assign(tenant, number, sorted(new))
    return _visit(tenant, number)


def cancel(tenant: Tenant, body: Body) -> Any:
    """Cancel a job: `jobId`, and perhaps `reasonId` and `memo`."""
    reason = body.get("reasonId") or next(tenant["cancel_reasons"].seen())["id"]
    work.cancel_job(tenant, body["jobId"], reason, body.get("memo", ""), OFFICE_USER)
    return shown(tenant.row("jobs", body["jobId"]))


def delete_visit(tenant: Tenant, body: Body) -> Any:
    """Delete a visit from its job."""
    work.delete_appointment(tenant, body["appointmentId"])
    return {}


def _decide(status: str, *before: str) -> Deed:
    def deed(tenant: Tenant, body: Body) -> Any:
        row = tenant.row("bookings", body["bookingId"])
        if row["status"] not in before:
            raise invalid("bookingId", f"the booking is {row['status']} already")
        changes = {"status": status}
        if status == "Dismissed":
            changes["dismissingReasonId"] = body.get("reasonId", 1)
        return shown(tenant.edit("bookings", row["id"], **changes))

    return deed


def convert_booking(tenant: Tenant, body: Body) -> Any:
    """Book a job from a booking: `bookingId`, and `job` as the API's create takes it."""
    row = tenant.row("bookings", body["bookingId"])
    if row["status"] not in ("New", "Accepted"):
        raise invalid("bookingId", f"the booking is {row['status']} already")
    shape = msgspec.convert(body["job"], NewJob)
    job = booking.book_job(tenant, shape, OFFICE_USER, booking_id=row["id"])
    tenant.edit("bookings", row["id"], status="Converted", jobId=job["id"])
    return shown(job)


def unbooked_call(tenant: Tenant, body: Body) -> Any:
    """Make a lead of a call that was not booked: `campaignId`, `callReasonId`, `summary`."""
    fields = {"priority": "Normal", "summary": "", "callId": tenant.new_id(), **body}
    return shown(leads.add_lead(tenant, OFFICE_USER, **fields))


def merge_customers(tenant: Tenant, body: Body) -> Any:
    """Merge the customer `fromId` into `intoId`: its locations and jobs go over (sheet, 5)."""
    gone, kept = body["fromId"], tenant.row("customers", body["intoId"])["id"]
    for table in ("locations", "jobs", "appointments"):
        for row in list(tenant[table].seen()):
            if row["customerId"] == gone:
                tenant.edit(table, row["id"], customerId=kept)
    return shown(tenant.edit("customers", gone, mergedToId=kept, active=False))


def add_customer(tenant: Tenant, body: Body) -> Any:
    """Make a customer as the API's create does."""
    row, places = crm.add_customer(tenant, msgspec.convert(body, NewCustomer))
    return {**shown(row), "locations": [shown(place) for place in places]}


def write_note(tenant: Tenant, body: Body) -> Any:
    """Write a note on a job: `jobId`, `text`."""
    tenant.row("jobs", body["jobId"])
    note = Note(text=body["text"])
    return shown(booking.write_note(tenant, "job_notes", note, OFFICE_USER, jobId=body["jobId"]))


def attach(tenant: Tenant, body: Body) -> Any:
    """Put a text file on a job: `jobId`, `fileName`, `text`."""
    content = body.get("text", "").encode()
    return shown(forms.attach(tenant, body["jobId"], body["fileName"], content, "text/plain"))


def add_item(tenant: Tenant, body: Body) -> Any:
    """Put an item on a job's invoice: `jobId`, `description`, `quantity`, `price`."""
    item = {name: value for name, value in body.items() if name != "jobId"}
    accounting.add_item(tenant, tenant.row("jobs", body["jobId"])["invoiceId"], **item)
    return shown(tenant.row("jobs", body["jobId"]))


def _invoice(status: str, *before: str) -> Deed:
    def deed(tenant: Tenant, body: Body) -> Any:
        invoice = tenant.row("invoices", tenant.row("jobs", body["jobId"])["invoiceId"])
        if invoice["_status"] not in before:
            raise invalid("jobId", f"the invoice is {invoice['_status']}")
        tenant.edit("invoices", invoice["id"], _status=status)
        return {"id": invoice["id"], "syncStatus": status}

    return deed


def habits(tenant: Tenant, body: Body) -> Any:
    """Set what the vendor does not state; see `tenant.Habits`."""
    for name, value in body.items():
        if name not in tenant.habits.__slots__:
            known = ", ".join(tenant.habits.__slots__)
            raise invalid(name, f"there is no such habit; there are: {known}")
        setattr(tenant.habits, name, value)
    return {name: getattr(tenant.habits, name) for name in tenant.habits.__slots__}


def forget_feed_tokens(tenant: Tenant, _: Body) -> Any:
    """Make all tokens of the export feeds invalid."""
    tenant.feed_epoch += 1
    return {}


DEEDS: Mapping[str, Deed] = {
    "dispatch": _step(("Scheduled",), "Technician Dispatched", status="Dispatched"),
    "arrive": _step(("Scheduled", "Dispatched"), "Technician Arrived", status="Working"),
    "pause": _step(("Working",), "Technician Paused", isPaused=True),
    "resume": _step(("Working",), "Technician Resumed", isPaused=False),
    "done": done,
    "book": book,
    "add_visit": add_visit,
    "reschedule": reschedule,
    "assign": assign,
    "cancel": cancel,
    "delete_visit": delete_visit,
    "accept_booking": _decide("Accepted", "New"),
    "dismiss_booking": _decide("Dismissed", "New", "Accepted"),
    "convert_booking": convert_booking,
    "unbooked_call": unbooked_call,
    "merge_customers": merge_customers,
    "add_customer": add_customer,
    "write_note": write_note,
    "attach": attach,
    "add_item": add_item,
    "post_invoice": _invoice("Posted", "Pending"),
    "export_invoice": _invoice("Exported", "Posted"),
    "habits": habits,
    "forget_feed_tokens": forget_feed_tokens,
}


#: What is made by more than putting a row.
MADE: Mapping[str, Deed] = {
    "jobs": book,
    "appointments": add_visit,
    "customers": add_customer,
    "job_notes": write_note,
    "attachments": attach,
}


def acts(tenant: Tenant) -> dict[str, Act]:
    """All acts of people, bound to a tenant."""
    return {name: _bound(deed, tenant) for name, deed in DEEDS.items()}


def _bound(deed: Deed, tenant: Tenant) -> Act:
    return lambda body: _in_words(lambda: deed(tenant, body))


def _in_words(deed: Callable[[], Any]) -> Any:
    """Return the deed's answer; a refusal as what the control plane tells in a sentence."""
    try:
        return deed()
    except KeyError as missing:
        raise ValueError(f"the act needs {missing.args[0]}") from missing
    except msgspec.ValidationError as slip:
        raise ValueError(str(slip)) from slip
    except RefusalError as refused:
        told = "; ".join(
            [refused.title, *(text for texts in refused.errors.values() for text in texts)]
        )
        raise (KeyError if refused.status == 404 else ValueError)(told) from refused  # noqa: PLR2004 - HTTP's own number


class Desk:
    """The rows of a table as a person sees and changes them, field by field."""

    def __init__(self, tenant: Tenant, table: str) -> None:
        self._tenant = tenant
        self._table = table

    def list(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        """All rows but the deleted ones."""
        del options
        return [shown(row) for row in self._tenant[self._table].seen() if "_deleted" not in row]

    def get(self, key: str, options: Mapping[str, str]) -> dict[str, Any]:
        """One row."""
        del options
        return shown(_in_words(lambda: self._tenant.row(self._table, int(key))))

    def add(self, fields: dict[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
        """Return a new row: the fields, and for the rest those of the table's newest one.

        Jobs, appointments and customers are made as the API makes them.
        """
        del options
        if self._table in MADE:
            return dict(_in_words(lambda: MADE[self._table](self._tenant, fields)))
        rows = list(self._tenant[self._table].seen())
        like = {k: v for k, v in rows[-1].items() if k != "id"} if rows else {}
        fresh = {"createdOn": self._tenant.now(), "modifiedOn": self._tenant.now(), "active": True}
        made = {**like, **fresh, **self._read(like, fields)}
        return shown(self._tenant.add(self._table, **made))

    def edit(self, key: str, fields: dict[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
        """Change fields of a row."""
        del options

        def deed() -> Row:
            row = self._tenant.row(self._table, int(key))
            if unknown := set(fields) - set(row):
                raise invalid(
                    ", ".join(sorted(unknown)), f"there is no such field in {self._table}"
                )
            return self._tenant.edit(self._table, row["id"], **self._read(row, fields))

        return shown(_in_words(deed))

    def remove(self, key: str, options: Mapping[str, str]) -> None:
        """Delete a row."""
        del options
        if self._table == "appointments":
            _in_words(lambda: work.delete_appointment(self._tenant, int(key)))
        else:
            _in_words(lambda: self._tenant.delete(self._table, int(key)))

    def _read(self, row: Row, fields: dict[str, Any]) -> dict[str, Any]:
        read = {k: moment(v) if isinstance(row.get(k), datetime) else v for k, v in fields.items()}
        return {k: utc(v) for k, v in read.items()}


def desks(tenant: Tenant) -> dict[str, Desk]:
    """Return a desk for each table."""
    return {table: Desk(tenant, table) for table in TABLES}
