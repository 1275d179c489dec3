"""Export feeds: every row that changed since a token, also inactive and deleted ones (sheet, 5).

A token names a revision of the tenant. With `includeRecentChanges` the feed does not trail,
but its last token still stands where the trailing feed ends: what is fresher comes again, as
the vendor warns. The vendor states no life time of a token; a test can end them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truckroll_sim.kit.calls import Answer
from truckroll_sim.kit.paging import seal, unseal
from truckroll_sim.servicetitan.accounting import invoice_row, item_rows
from truckroll_sim.servicetitan.bookings import booking_view
from truckroll_sim.servicetitan.crm import contact_view, place_view
from truckroll_sim.servicetitan.leads import lead_view
from truckroll_sim.servicetitan.listing import View, plain
from truckroll_sim.servicetitan.requests import (
    Request,
    Route,
    asked,
    boolean,
    moment,
    one_of,
    shown,
)
from truckroll_sim.servicetitan.tenant import invalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from truckroll_sim.servicetitan.rows import Row


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader of a feed stands: after which revision, and up to where for good."""

    after: int
    settled: int

    def next(self, last: int | None, horizon: int) -> Place:
        """Return where the next read begins, `last` being the page's last if more follow."""
        if last is None:
            settled = max(self.settled, horizon)
            return Place(settled, settled)
        return Place(last, max(self.settled, min(last, horizon)))


@dataclass(frozen=True, slots=True)
class Feed:
    """The export feed of a table; `views` turns a row into the rows that the feed shows."""

    name: str
    table: str
    views: Callable[[Row, Request], list[dict[str, Any]]]

    def __call__(self, request: Request) -> Answer:
        """Answer a read of the feed."""
        table, tenant = request.tenant[self.table], request.tenant
        begin, since = self._begin(request)
        recent = asked(request.query, "includeRecentChanges", boolean)
        horizon = table.horizon(request.lag_seconds)  # first: what comes meanwhile is told again
        changes = table.changes(begin.after, 0.0 if recent else request.lag_seconds)
        if since is not None:
            changes = [one for one in changes if one.row["modifiedOn"] >= since]
        page = changes[: tenant.habits.feed_page]
        more = len(changes) > len(page)
        ends = begin.next(page[-1].revision if more else None, horizon)
        answer = {
            "hasMore": more,
            "continueFrom": seal([self.name, tenant.feed_epoch, ends.after, ends.settled]),
            "data": [shows for one in page for shows in self.views(one.row, request)],
        }
        return Answer.json(answer)

    def _begin(self, request: Request) -> tuple[Place, datetime | None]:
        text = request.query.get("from")
        if not text:
            return Place(0, 0), None
        try:
            return Place(0, 0), moment(text)
        except ValueError:
            return self._place(request, text), None

    def _place(self, request: Request, token: str) -> Place:
        try:
            name, epoch, after, settled = unseal(token)
        except (ValueError, TypeError):
            name, epoch, after, settled = "", 0, 0, 0
        gone = request.tenant.kit.faults.strikes("cursor", request.call)
        if gone or name != self.name or epoch != request.tenant.feed_epoch:
            raise invalid("from", "The continuation token is not valid.")
        return Place(after, settled)


def _as(view: View) -> Callable[[Row, Request], list[dict[str, Any]]]:
    """Return views for a feed that shows the list's row and whether it is active."""
    return lambda row, request: [{**view(row, request), "active": row["active"]}]


def _job(row: Row, _: Request) -> dict[str, Any]:
    return {**shown(row), "externalData": []}


def _place(row: Row, request: Request) -> dict[str, Any]:
    return {**place_view(row, request), "externalData": []}


def _history(row: Row, _: Request) -> list[dict[str, Any]]:
    lines = [{k: v for k, v in line.items() if k != "memo"} for line in row["history"]]
    return [{"jobId": row["id"], "history": lines}]


def _unit(row: Row, _: Request) -> dict[str, Any]:
    return {**shown(row), "externalData": []}


def _assignments(row: Row, request: Request) -> list[dict[str, Any]]:
    wanted = asked(request.query, "active", one_of("True", "False", "Any", "true", "false"))
    hidden = wanted and wanted != "Any" and (wanted.lower() == "true") != row["active"]
    return [] if hidden else [shown(row, "createdOn")]


def _items(row: Row, request: Request) -> list[dict[str, Any]]:
    extra = {"active": row["active"], "invoiceId": row["id"]}
    return [{**item, **extra} for item in item_rows(request.tenant, row)]


FEEDS = {
    "jpm": (
        Feed("jobs", "jobs", _as(_job)),
        Feed("appointments", "appointments", _as(plain())),
        Feed("job-notes", "job_notes", _as(plain())),
        Feed("job-canceled-logs", "canceled_logs", _as(plain("modifiedOn"))),
        Feed("job-history", "job_histories", _history),
    ),
    "crm": (
        Feed("bookings", "bookings", _as(booking_view)),
        Feed("customers", "customers", _as(_place)),
        Feed("customers/contacts", "customer_contacts", _as(contact_view())),
        Feed("locations", "locations", _as(_place)),
        Feed("locations/contacts", "location_contacts", _as(contact_view())),
        Feed("leads", "leads", _as(lead_view)),
    ),
    "dispatch": (Feed("appointment-assignments", "assignments", _assignments),),
    "accounting": (
        Feed("invoices", "invoices", _as(invoice_row)),
        Feed("invoice-items", "invoices", _items),
    ),
    "settings": (
        Feed("technicians", "technicians", _as(plain())),
        Feed("employees", "employees", _as(plain())),
        Feed("business-units", "business_units", _as(_unit)),
        Feed("tag-types", "tag_types", _as(plain())),
    ),
}

ROUTES = tuple(
    Route("GET", f"{module}/export/{feed.name}", feed)
    for module, feeds in FEEDS.items()
    for feed in feeds
)
