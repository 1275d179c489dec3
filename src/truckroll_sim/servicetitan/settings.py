"""Settings and marketing: people, business units, tags, campaigns (sheet, 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truckroll_sim.kit.calls import Answer
from truckroll_sim.servicetitan.bodies import Campaign, Category
from truckroll_sim.servicetitan.listing import (
    IDS,
    STAMPS,
    Listing,
    among,
    holds,
    one,
    paged,
    plain,
    with_external,
)
from truckroll_sim.servicetitan.requests import Request, Route, shown

if TYPE_CHECKING:
    from truckroll_sim.servicetitan.rows import Row
    from truckroll_sim.servicetitan.tenant import Tenant

NAMED = {**IDS, **STAMPS, "name": holds("name")}
PEOPLE = {**NAMED, "userIds": among("userId")}
unit_view = with_external(plain())


def campaign_view(row: Row, request: Request) -> dict[str, Any]:
    """Return a campaign with its category."""
    category = request.tenant["categories"].get(row["_category"])
    part = {name: category[name] for name in ("id", "name", "active")} if category else None
    return {**shown(row, "createdOn"), "category": part}


def _campaign_fields(tenant: Tenant, body: Campaign) -> dict[str, Any]:
    tenant.wanted("business_units", body.business_unit_id, "BusinessUnitId")
    tenant.wanted("categories", body.category_id, "CategoryId")
    marks = {"_category": body.category_id, "_unit": body.business_unit_id, "_dnis": body.dnis}
    return {"name": body.name, "active": body.active, **marks}


def create_campaign(request: Request) -> Answer:
    """Make a campaign."""
    fields = _campaign_fields(request.tenant, request.read(Campaign))
    return Answer.json(campaign_view(request.tenant.add("campaigns", **fields), request))


def change_campaign(request: Request) -> Answer:
    """Change a campaign; every field has to be sent. The documents know no 404 here."""
    request.tenant.wanted("campaigns", request.id, "id", active=False)
    fields = _campaign_fields(request.tenant, request.read(Campaign))
    return Answer.json(
        campaign_view(request.tenant.edit("campaigns", request.id, **fields), request)
    )


def get_campaign(request: Request) -> Answer:
    """One campaign, also an inactive one; the documents know no 404 here."""
    row = request.tenant.wanted("campaigns", request.id, "id", active=False)
    return Answer.json(campaign_view(row, request))


def categories(request: Request) -> Answer:
    """Return the categories of campaigns."""
    rows = list(request.tenant["categories"].seen())
    return paged(request, rows, plain("createdOn", "modifiedOn"))


def create_category(request: Request) -> Answer:
    """Make a category; the answer is its id alone."""
    name = request.read(Category).name
    return Answer.json({"id": request.tenant.add("categories", name=name, type="Regular")["id"]})


def _lists(path: str, table: str, view: Any, where: Any) -> tuple[Route, Route]:
    listing = Listing(table, view, where, active=True)
    return Route("GET", path, listing), Route("GET", path + "/{id}", one(table, view))


ROUTES = (
    *_lists("settings/technicians", "technicians", plain(), PEOPLE),
    *_lists("settings/employees", "employees", plain(), PEOPLE),
    *_lists("settings/business-units", "business_units", unit_view, NAMED),
    Route("GET", "settings/tag-types", Listing("tag_types", plain(), STAMPS, active=True)),
    Route("GET", "marketing/campaigns", Listing("campaigns", campaign_view, NAMED, active=True)),
    Route("POST", "marketing/campaigns", create_campaign),
    Route("GET", "marketing/campaigns/{id}", get_campaign),
    Route("PATCH", "marketing/campaigns/{id}", change_campaign),
    Route("GET", "marketing/categories", categories),
    Route("POST", "marketing/categories", create_category),
)
