"""Invoices: one for each job, listed and marked as exported (sheet, 4). Money is text here."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from truckroll_sim.kit.calls import Answer
from truckroll_sim.servicetitan.bodies import Exported
from truckroll_sim.servicetitan.listing import (
    IDS,
    STAMPS,
    Listing,
    Where,
    among,
    same,
    since,
    until,
)
from truckroll_sim.servicetitan.requests import Request, Route
from truckroll_sim.servicetitan.tenant import Tenant, invalid

if TYPE_CHECKING:
    from truckroll_sim.servicetitan.rows import Row

CENT = Decimal("0.01")
STATES = ("Pending", "Posted", "Exported")


def money(value: Decimal) -> str:
    """Return an amount as the vendor writes it."""
    return str(value.quantize(CENT))


def totals(row: Row) -> tuple[Decimal, Decimal]:
    """Subtotal and total of an invoice."""
    subtotal = sum((i["quantity"] * i["price"] for i in row["_items"]), Decimal(0))
    return subtotal, subtotal + row["_tax"]


def item_rows(tenant: Tenant, invoice: Row) -> list[dict[str, Any]]:
    """Return the items of an invoice as the vendor shows them."""
    return [_item(tenant, invoice, item, place) for place, item in enumerate(invoice["_items"], 1)]


def _item(tenant: Tenant, invoice: Row, item: Row, place: int) -> dict[str, Any]:
    empty = [
        "inventoryLocation",
        "generalLedgerAccount",
        "costOfSaleAccount",
        "assetAccount",
        "itemGroup",
        "soldHours",
        "serviceDate",
        "importId",
        "exportId",
        "inventoryStatus",
        "memberPrice",
        "technicianId",
        "installedEquipmentId",
        "createdById",
    ]
    cost = item.get("cost", Decimal(0))
    return {
        **dict.fromkeys(empty),
        "id": item["id"],
        "description": item["description"],
        "quantity": money(item["quantity"]),
        "cost": money(cost),
        "totalCost": money(cost * item["quantity"]),
        "price": money(item["price"]),
        "type": item["type"],
        "skuName": item["skuName"],
        "skuId": item["skuId"],
        "total": money(item["price"] * item["quantity"]),
        "inventory": False,
        "taxable": item["taxable"],
        "membershipTypeId": 0,
        "displayName": item["skuName"],
        "createdOn": invoice["createdOn"],
        "modifiedOn": invoice["modifiedOn"],
        "order": place,
        "businessUnit": _named(tenant, "business_units", _job(tenant, invoice)["businessUnitId"]),
        "displayInAmount": True,
        "addOn": False,
    }


def _job(tenant: Tenant, invoice: Row) -> Row:
    return tenant.row("jobs", invoice["_job"])


def _named(tenant: Tenant, table: str, number: int) -> dict[str, Any]:
    return {"id": number, "name": (tenant[table].get(number) or {}).get("name", "")}


def _address(tenant: Tenant, table: str, number: int) -> dict[str, Any]:
    address = (tenant[table].get(number) or {}).get("address", {})
    return {
        part: address.get(part) for part in ("street", "unit", "city", "state", "zip", "country")
    }


def invoice_row(row: Row, request: Request) -> dict[str, Any]:
    """Return an invoice as the vendor shows it; `referenceNumber` is its number."""
    tenant = request.tenant
    job = _job(tenant, row)
    subtotal, total = totals(row)
    kind = (tenant["job_types"].get(job["jobTypeId"]) or {}).get("name")
    empty = [
        "salesTaxCode",
        "invoiceType",
        "batch",
        "depositedOn",
        "adjustmentToId",
        "projectId",
        "royalty",
        "employeeInfo",
        "commissionEligibilityDate",
        "assignedTo",
        "discountTotal",
        "importId",
        "materialSkuId",
        "membershipId",
        "paidOn",
    ]
    return {
        **dict.fromkeys(empty),
        "id": row["id"],
        "syncStatus": row["_status"],
        "summary": row["_summary"],
        "referenceNumber": job["jobNumber"],
        "invoiceDate": row["_dated"],
        "dueDate": row["_dated"],
        "subTotal": money(subtotal),
        "salesTax": money(row["_tax"]),
        "total": money(total),
        "balance": money(total),
        "customer": _named(tenant, "customers", job["customerId"]),
        "customerAddress": _address(tenant, "customers", job["customerId"]),
        "location": _named(tenant, "locations", job["locationId"]),
        "locationAddress": _address(tenant, "locations", job["locationId"]),
        "businessUnit": _named(tenant, "business_units", job["businessUnitId"]),
        "termName": "Due Upon Receipt",
        "createdBy": "API",
        "createdOn": row["createdOn"],
        "modifiedOn": row["modifiedOn"],
        "job": {"id": job["id"], "number": job["jobNumber"], "type": kind},
        "sentStatus": "NotSent",
        "reviewStatus": row["_review"],
        "items": item_rows(tenant, row),
        "customFields": [],
        "active": row["active"],
        "exportId": row["_export"],
    }


def _of_job(name: str, reader: Any = int) -> Where:
    return Where(reader, lambda tenant, row, value: _job(tenant, row)[name] == value)


def _states(text: str) -> frozenset[str]:
    # The vendor wants one parameter for each status, no list of them.
    asked = frozenset(text.split("&"))
    if not asked <= set(STATES):
        raise ValueError(text)
    return asked


def _compared(keeps: Any) -> Where:
    return Where(Decimal, lambda _, row, value: keeps(totals(row)[1], value))


FILTERS = {
    **IDS,
    **STAMPS,
    "statuses": Where(_states, lambda _, row, asked: row["_status"] in asked),
    "jobId": same("_job"),
    "jobNumber": _of_job("jobNumber", str),
    "number": _of_job("jobNumber", str),
    "businessUnitId": _of_job("businessUnitId"),
    "customerId": _of_job("customerId"),
    "invoicedOnOrAfter": since("_dated"),
    "invoicedOnBefore": until("_dated"),
    "dueDateOnOrAfter": since("_dated"),
    "dueDateBefore": until("_dated"),
    "totalGreater": _compared(lambda total, least: total >= least),
    "totalLess": _compared(lambda total, most: total <= most),
    "reviewStatuses": among("_review", lambda text: frozenset(text.split("&"))),
}


def mark_exported(request: Request) -> Answer:
    """Mark invoices as exported, each for itself; one that is pending stays so."""
    return Answer.json([_mark(request.tenant, one) for one in request.read(list[Exported])])


def _mark(tenant: Tenant, one: Exported) -> dict[str, Any]:
    row, error = tenant["invoices"].get(one.invoice_id), None
    if row is None:
        error = f"Invoice with ID {one.invoice_id} was not found."
    elif row["_status"] == "Pending":
        error = "Invoice is Pending; only a posted invoice can be exported."
    else:
        tenant.edit("invoices", one.invoice_id, _status="Exported", _export=one.external_id)
    return {"invoiceId": one.invoice_id, "success": error is None, "errorMessage": error}


def add_item(tenant: Tenant, invoice: int, **item: Any) -> Row:
    """Put an item on an invoice, as the office does; the job's total follows."""
    row = tenant.row("invoices", invoice)
    quantity, price = Decimal(str(item.get("quantity", 1))), Decimal(str(item.get("price", 0)))
    if quantity <= 0:
        raise invalid("Quantity", "Quantity must be greater than 0.")
    made = {
        "id": tenant.new_id(),
        "description": item.get("description", ""),
        "quantity": quantity,
        "price": price,
        "type": item.get("type", "Service"),
        "skuName": item.get("skuName", "SERVICE"),
        "skuId": item.get("skuId", 1),
        "taxable": bool(item.get("taxable", False)),
    }
    row = tenant.edit("invoices", invoice, _items=(*row["_items"], made))
    tenant.edit("jobs", row["_job"], total=float(totals(row)[1]))
    return row


ROUTES = (
    Route("GET", "accounting/invoices", Listing("invoices", invoice_row, FILTERS)),
    Route("POST", "accounting/invoices/markasexported", mark_exported),
)
