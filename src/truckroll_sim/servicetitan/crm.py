"""Customers and locations with their contacts and notes (sheet, 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, to_builtins

from truckroll_sim.kit.calls import Answer
from truckroll_sim.servicetitan import booking
from truckroll_sim.servicetitan.bodies import (
    Contact,
    ContactPatch,
    CustomerPatch,
    LocationPatch,
    NewCustomer,
    NewLocation,
    NewPlace,
    Note,
)
from truckroll_sim.servicetitan.external import merged
from truckroll_sim.servicetitan.listing import (
    ADDRESS,
    IDS,
    STAMPS,
    Listing,
    Where,
    among,
    holds,
    one,
    paged,
    plain,
    same,
    sparse,
    with_external,
)
from truckroll_sim.servicetitan.requests import Request, Route, given
from truckroll_sim.servicetitan.tenant import API_USER, Tenant, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truckroll_sim.servicetitan.listing import View
    from truckroll_sim.servicetitan.rows import Row

place_view = with_external(sparse())


@dataclass(frozen=True, slots=True)
class Kind:
    """Customer or location: its tables, and the field by which a contact names its owner."""

    path: str
    table: str
    contacts: str
    notes: str
    owner: str


CUSTOMER = Kind("customers", "customers", "customer_contacts", "customer_notes", "customerId")
LOCATION = Kind("locations", "locations", "location_contacts", "location_notes", "locationId")


def contact_view(*without: str) -> View:
    """Return a contact with the phone settings that the vendor's documents demand on each."""

    def shows(row: Row, _: Request) -> dict[str, Any]:
        number = row["value"] if row["type"] in ("Phone", "MobilePhone") else ""
        settings = {"phoneNumber": number, "doNotText": row["_no_texts"]}
        return {**given(row, "active", *without), "phoneSettings": settings}

    return shows


def _has_phone(kind: Kind) -> Where:
    def keeps(tenant: Tenant, row: Row, phone: str) -> bool:
        wanted = _digits(phone)
        rows = tenant.alive(kind.contacts, kind.owner, row["id"])
        return any(wanted and wanted in _digits(one["value"]) for one in rows)

    return Where(str, keeps)


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdecimal())


PLACE_FILTERS = {**IDS, **STAMPS, **ADDRESS, "name": holds("name")}
CUSTOMER_FILTERS = {**PLACE_FILTERS, "phone": _has_phone(CUSTOMER)}
LOCATION_FILTERS = {**PLACE_FILTERS, "customerId": same("customerId")}


def add_contact(tenant: Tenant, kind: Kind, owner: int, body: Contact) -> Row:
    """Put a contact; one of a location is also copied to its customer (sheet, 14)."""
    fields = {"type": body.type, "value": body.value, "memo": body.memo or None, "_no_texts": False}
    row = tenant.add(kind.contacts, **fields, **{kind.owner: owner})
    if kind is LOCATION:
        customer = tenant.row("locations", owner)["customerId"]
        known = tenant.alive("customer_contacts", "customerId", customer)
        if not any((c["type"], c["value"]) == (body.type, body.value) for c in known):
            add_contact(tenant, CUSTOMER, customer, body)
    return row


def add_location(tenant: Tenant, customer: int, body: NewPlace) -> Row:
    """Put a location of a customer with its contacts."""
    row = tenant.add(
        "locations",
        customerId=customer,
        name=body.name,
        address=to_builtins(body.address),
        customFields=booking.custom_fields(body.custom_fields),
        createdById=API_USER,
        mergedToId=None,
        zoneId=None,
        taxZoneId=None,
        tagTypeIds=body.tag_type_ids,
        _external=merged({}, body.external_data),
    )
    for contact in body.contacts:
        add_contact(tenant, LOCATION, row["id"], contact)
    return row


def add_customer(tenant: Tenant, body: NewCustomer) -> tuple[Row, list[Row]]:
    """Put a customer with its locations; at least one is needed."""
    if not body.locations:
        raise invalid("Locations", "At least one location is required.")
    row = tenant.add(
        "customers",
        name=body.name,
        type=body.type,
        address=to_builtins(body.address),
        customFields=booking.custom_fields(body.custom_fields),
        balance=0,
        tagTypeIds=body.tag_type_ids,
        doNotMail=body.do_not_mail,
        doNotService=body.do_not_service,
        createdById=API_USER,
        mergedToId=None,
        _external=merged({}, body.external_data),
    )
    for contact in body.contacts:
        add_contact(tenant, CUSTOMER, row["id"], contact)
    return row, [add_location(tenant, row["id"], place) for place in body.locations]


def _contacts(tenant: Tenant, kind: Kind, owner: int) -> list[dict[str, Any]]:
    rows = tenant.alive(kind.contacts, kind.owner, owner)
    return [given(row, "active", "createdOn", "modifiedOn", kind.owner) for row in rows]


def _created_place(row: Row, request: Request, kind: Kind, external: Any) -> dict[str, Any]:
    """Return a new customer or location as the answer to its create shows it."""
    tenant = request.tenant
    pairs = [] if external is UNSET else to_builtins(external.external_data)
    contacts = _contacts(tenant, kind, row["id"])
    return {**given(row), "externalData": pairs, "contacts": contacts}


def create_customer(request: Request) -> Answer:
    """Make a customer with its locations; a repeated call makes another one (sheet, 10)."""
    body = request.read(NewCustomer)
    row, places = add_customer(request.tenant, body)
    answer = _created_place(row, request, CUSTOMER, body.external_data)
    answer["locations"] = [
        _created_place(place, request, LOCATION, asked.external_data)
        for place, asked in zip(places, body.locations, strict=True)
    ]
    return Answer.json(answer)


def create_location(request: Request) -> Answer:
    """Make a location of a customer."""
    body = request.read(NewLocation)
    request.tenant.wanted("customers", body.customer_id, "CustomerId", active=False)
    row = add_location(request.tenant, body.customer_id, body)
    return Answer.json(_created_place(row, request, LOCATION, body.external_data))


def _patch(request: Request, table: str, body: CustomerPatch | LocationPatch) -> Answer:
    row = request.tenant.row(table, request.id)
    changes = body.given()
    for name in ("externalData", "customFields", "address"):
        changes.pop(name, None)
    if body.address is not UNSET:
        changes["address"] = to_builtins(body.address)
    if body.custom_fields is not UNSET:
        changes["customFields"] = booking.custom_fields(body.custom_fields)
    external = merged(row["_external"], body.external_data)
    row = request.tenant.edit(table, request.id, **changes, _external=external)
    return Answer.json(place_view(row, request))


def patch_customer(request: Request) -> Answer:
    """Change a customer; an address is taken whole."""
    return _patch(request, "customers", request.read(CustomerPatch))


def patch_location(request: Request) -> Answer:
    """Change a location, also whose it is."""
    body = request.read(LocationPatch)
    if body.customer_id is not UNSET:
        request.tenant.wanted("customers", body.customer_id, "CustomerId", active=False)
    return _patch(request, "locations", body)


def _contact_routes(kind: Kind) -> Iterable[Route]:
    path = f"crm/{kind.path}/{{id}}/contacts"
    view = contact_view(kind.owner)

    def several(request: Request) -> Answer:
        request.tenant.row(kind.table, request.id)
        return paged(request, request.tenant.alive(kind.contacts, kind.owner, request.id), view)

    def create(request: Request) -> Answer:
        request.tenant.row(kind.table, request.id)
        row = add_contact(request.tenant, kind, request.id, request.read(Contact))
        return Answer.json(view(row, request))

    def mine(request: Request) -> int:
        number = request.number("contactId")
        row = request.tenant.row(kind.contacts, number)
        if row[kind.owner] != request.id:
            request.tenant.row(kind.contacts, 0)
        return number

    def change(request: Request) -> Answer:
        number, body = mine(request), request.read(ContactPatch)
        row = request.tenant.edit(kind.contacts, number, **body.given())
        return Answer.json(view(row, request))

    def remove(request: Request) -> Answer:
        request.tenant.delete(kind.contacts, mine(request))
        return Answer(200)

    return (
        Route("GET", path, several),
        Route("POST", path, create),
        Route("PATCH", path + "/{contactId}", change),
        Route("DELETE", path + "/{contactId}", remove),
        Route("GET", f"crm/{kind.path}/contacts", _bulk_contacts(kind)),
    )


def _bulk_contacts(kind: Kind) -> Any:
    """Contacts of many owners; the vendor wants a filter, so as not to send them all."""
    name = f"{kind.owner}s"
    listing = Listing(kind.contacts, contact_view(), {**STAMPS, name: among(kind.owner)})

    def answer(request: Request) -> Answer:
        if not any(request.query.get(one) for one in (name, *STAMPS)):
            raise invalid(name, f"Either {name} or a date filter must be specified.")
        return listing(request)

    return answer


def note_routes(path: str, table: str, notes: str, *, removable: bool = True) -> tuple[Route, ...]:
    """Return the notes of what stands at a path; these have ids (sheet, 4)."""
    view = plain("active")

    def several(request: Request) -> Answer:
        request.tenant.row(table, request.id)
        return paged(request, request.tenant.alive(notes, "_owner", request.id), view)

    def create(request: Request) -> Answer:
        owner, body = request.tenant.row(table, request.id), request.read(Note)
        row = booking.write_note(request.tenant, notes, body, _owner=request.id)
        if body.add_to_locations:
            for place in request.tenant["locations"].seen():
                if place["customerId"] == owner["id"]:
                    booking.write_note(request.tenant, "location_notes", body, _owner=place["id"])
        if body.add_to_customer:
            booking.write_note(request.tenant, "customer_notes", body, _owner=owner["customerId"])
        return Answer.json(view(row, request))

    def remove(request: Request) -> Answer:
        request.tenant.row(table, request.id)
        request.tenant.delete(notes, request.number("noteId"))
        return Answer(200)

    routes = (
        Route("GET", path + "/{id}/notes", several),
        Route("POST", path + "/{id}/notes", create),
    )
    return (
        (*routes, Route("DELETE", path + "/{id}/notes/{noteId}", remove)) if removable else routes
    )


ROUTES = (
    Route("GET", "crm/customers", Listing("customers", place_view, CUSTOMER_FILTERS, active=True)),
    Route("POST", "crm/customers", create_customer),
    Route("GET", "crm/customers/{id}", one("customers", place_view)),
    Route("PATCH", "crm/customers/{id}", patch_customer),
    Route("GET", "crm/locations", Listing("locations", place_view, LOCATION_FILTERS, active=True)),
    Route("POST", "crm/locations", create_location),
    Route("GET", "crm/locations/{id}", one("locations", place_view)),
    Route("PATCH", "crm/locations/{id}", patch_location),
    *_contact_routes(CUSTOMER),
    *_contact_routes(LOCATION),
    *note_routes("crm/customers", "customers", "customer_notes"),
    *note_routes("crm/locations", "locations", "location_notes"),
)
