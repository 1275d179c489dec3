"""Bookings: what a provider sends into the tenant's inbox (sheet, 4 and 11).

No call accepts or dismisses a booking: people do that in the vendor's screens, here over the
control plane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, to_builtins

from truckroll_sim.kit.calls import Answer
from truckroll_sim.servicetitan.bodies import BookingPatch, Contact, ContactPatch, NewBooking
from truckroll_sim.servicetitan.listing import IDS, STAMPS, Listing, one, paged, same, sparse
from truckroll_sim.servicetitan.requests import Request, Route, given
from truckroll_sim.servicetitan.tenant import RefusalError, Tenant

if TYPE_CHECKING:
    from truckroll_sim.servicetitan.rows import Row

booking_view = sparse("active")
contact_view = sparse("active", "createdOn")
FILTERS = {**IDS, **STAMPS, "externalId": same("externalId", str)}
#: Where a booking points to, and the table: what it names has to exist.
PARTS = {"campaignId": "campaigns", "businessUnitId": "business_units", "jobTypeId": "job_types"}


def _provider(request: Request) -> int:
    """Return the provider of the path; 404 for one that is not the app's."""
    number = request.number("provider")
    if number not in request.tenant.providers:
        raise RefusalError(404, f"Booking provider with ID {number} was not found.")
    return number


def _mine(request: Request) -> Row:
    row = request.tenant.row("bookings", request.id)
    if row["bookingProviderId"] != _provider(request):
        raise RefusalError(404, f"Booking with ID {request.id} was not found.")
    return row


def _changes(tenant: Tenant, body: NewBooking | BookingPatch) -> dict[str, Any]:
    changes = body.given()
    changes.pop("contacts", None)
    if body.address is not UNSET:
        changes["address"] = to_builtins(body.address)
    for name, table in PARTS.items():
        if name in changes:
            tenant.wanted(table, changes[name], name[0].upper() + name[1:], active=False)
    return changes


def create(request: Request) -> Answer:
    """Make a booking; the customer is mailed only where the booking asks for that."""
    tenant, provider, body = request.tenant, _provider(request), request.read(NewBooking)
    fields = {"start": tenant.now(), "isSendConfirmationEmail": False, **_changes(tenant, body)}
    row = tenant.add("bookings", **fields, status="New", bookingProviderId=provider)
    for contact in () if body.contacts is UNSET else body.contacts:
        _add_contact(tenant, row, contact)
        if row["isSendConfirmationEmail"] and contact.type == "Email":
            tenant.kit.outbox.tell(contact.value, f"booking {row['id']}", "booking confirmation")
    return Answer.json(booking_view(row, request))


def change(request: Request) -> Answer:
    """Change a booking that nobody has decided on yet; else 409."""
    row, body = _mine(request), request.read(BookingPatch)
    if row["status"] in ("Converted", "Dismissed"):
        raise RefusalError(409, f"Booking is {row['status']} and cannot be changed.")
    row = request.tenant.edit("bookings", request.id, **_changes(request.tenant, body))
    return Answer.json(booking_view(row, request))


def of_provider(request: Request) -> Answer:
    """Return the provider's own bookings."""
    provider = _provider(request)
    rows = [row for row in BOOKINGS.rows(request) if row["bookingProviderId"] == provider]
    return paged(request, rows, booking_view)


def _add_contact(tenant: Tenant, row: Row, body: Contact) -> Row:
    memo = "" if body.memo is UNSET else body.memo
    fields = {"type": body.type, "value": body.value, "memo": memo}
    return tenant.add("booking_contacts", _owner=row["id"], **fields)


def contacts(request: Request) -> Answer:
    """Return the contacts of a booking."""
    row = _mine(request) if "provider" in request.call.parts else None
    row = row or request.tenant.row("bookings", request.id)
    rows = request.tenant.alive("booking_contacts", "_owner", row["id"])
    return paged(request, rows, contact_view)


def create_contact(request: Request) -> Answer:
    """Put a contact on a booking."""
    row = _add_contact(request.tenant, _mine(request), request.read(Contact))
    return Answer.json(contact_view(row, request))


def change_contact(request: Request) -> Answer:
    """Change a contact; the answer has no id, as the vendor's document says."""
    _mine(request)
    number, body = request.number("contactId"), request.read(ContactPatch)
    row = request.tenant.edit("booking_contacts", number, **body.given())
    return Answer.json(given(row, "id", "active", "createdOn", "modifiedOn"))


def remove_contact(request: Request) -> Answer:
    """Take a contact off a booking."""
    _mine(request)
    request.tenant.delete("booking_contacts", request.number("contactId"))
    return Answer(200)


BOOKINGS = Listing("bookings", booking_view, FILTERS)
OWN = "crm/booking-provider/{provider}/bookings"
ROUTES = (
    Route("GET", "crm/bookings", BOOKINGS),
    Route("GET", "crm/bookings/{id}", one("bookings", booking_view)),
    Route("GET", "crm/bookings/{id}/contacts", contacts),
    Route("GET", OWN, of_provider),
    Route("POST", OWN, create),
    Route("GET", OWN + "/{id}", lambda request: Answer.json(booking_view(_mine(request), request))),
    Route("PATCH", OWN + "/{id}", change),
    Route("GET", OWN + "/{id}/contacts", contacts),
    Route("POST", OWN + "/{id}/contacts", create_contact),
    Route("PATCH", OWN + "/{id}/contacts/{contactId}", change_contact),
    Route("DELETE", OWN + "/{id}/contacts/{contactId}", remove_contact),
)
