"""Leads, their notes, and the call reasons that they name (sheet, 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll_sim.kit.calls import Answer
from truckroll_sim.servicetitan import booking
from truckroll_sim.servicetitan.bodies import Dismissal, FollowUp, LeadPatch, NewLead, Note, utc
from truckroll_sim.servicetitan.crm import note_routes
from truckroll_sim.servicetitan.listing import (
    IDS,
    SORTABLE,
    STAMPS,
    Listing,
    Where,
    one,
    plain,
    same,
    sparse,
)
from truckroll_sim.servicetitan.requests import Request, Route, boolean, one_of
from truckroll_sim.servicetitan.tenant import API_USER, RefusalError, Tenant, invalid

if TYPE_CHECKING:
    from typing import Any

    from truckroll_sim.servicetitan.rows import Row

lead_view = sparse("active")
PARTS = {
    "campaignId": "campaigns",
    "customerId": "customers",
    "locationId": "locations",
    "businessUnitId": "business_units",
    "jobTypeId": "job_types",
    "callReasonId": "call_reasons",
}
FILTERS = {
    **IDS,
    **STAMPS,
    "customerId": same("customerId"),
    "status": same("status", one_of("Open", "Dismissed", "Converted")),
    "withoutCustomer": Where(boolean, lambda _, row, yes: ("customerId" not in row) == yes),
}


def _checked(tenant: Tenant, changes: dict[str, Any]) -> dict[str, Any]:
    for name, table in PARTS.items():
        if name in changes:
            tenant.wanted(table, changes[name], name[0].upper() + name[1:])
    return changes


def add_lead(tenant: Tenant, by: int = API_USER, **fields: Any) -> Row:
    """Put an open lead."""
    return tenant.add("leads", status="Open", createdById=by, **fields)


def create(request: Request) -> Answer:
    """Make a lead; its campaign has to be active."""
    fields = _checked(request.tenant, request.read(NewLead).given())
    row = add_lead(request.tenant, **{"priority": "Normal", **fields})
    return Answer.json(lead_view(row, request))


def change(request: Request) -> Answer:
    """Change a lead; the documents know no 404 here."""
    request.tenant.wanted("leads", request.id, "id")
    changes = _checked(request.tenant, request.read(LeadPatch).given())
    return Answer.json(lead_view(request.tenant.edit("leads", request.id, **changes), request))


def dismiss(request: Request) -> Answer:
    """Dismiss an open lead."""
    row, body = request.tenant.row("leads", request.id), request.read(Dismissal)
    if row["status"] != "Open":
        raise RefusalError(400, f"Lead is {row['status']} and cannot be dismissed.")
    reason = body.dismissing_reason_id
    request.tenant.edit("leads", request.id, status="Dismissed", dismissingReasonId=reason)
    return Answer(200)


def follow_up(request: Request) -> Answer:
    """Say when to ask again; a text becomes a note."""
    request.tenant.wanted("leads", request.id, "id")
    body = request.read(FollowUp)
    if body.follow_up_date <= request.tenant.now():
        raise invalid("FollowUpDate", "Follow-up date must be in the future.")
    request.tenant.edit("leads", request.id, followUpDate=utc(body.follow_up_date))
    answer = {"leadId": request.id, "pinToTop": False, **body.given()}
    if "text" in answer:
        note = Note(text=answer["text"], pin_to_top=body.pin_to_top)
        booking.write_note(request.tenant, "lead_notes", note, _owner=request.id)
    return Answer.json(answer)


ROUTES = (
    Route("GET", "crm/leads", Listing("leads", lead_view, FILTERS)),
    Route("POST", "crm/leads", create),
    Route("GET", "crm/leads/{id}", one("leads", lead_view)),
    Route("PATCH", "crm/leads/{id}", change),
    Route("POST", "crm/leads/{id}/dismiss", dismiss),
    Route("POST", "crm/leads/{id}/follow-up", follow_up),
    *note_routes("crm/leads", "leads", "lead_notes", removable=False),
    Route(
        "GET",
        "jbce/call-reasons",
        Listing("call_reasons", plain(), STAMPS, active=True, sorts=SORTABLE),
    ),
)
