"""One ServiceTitan tenant: its tables, and how a row comes into them and changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from truckroll_sim.servicetitan.rows import Row, Rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from truckroll_sim.kit.system import Kit

#: The tables, and the fields by which their rows are found.
TABLES: dict[str, tuple[str, ...]] = {
    "jobs": (),
    "appointments": ("jobId",),
    "assignments": ("appointmentId",),
    "job_notes": ("jobId",),
    "job_histories": (),
    "canceled_logs": ("jobId",),
    "booked_logs": ("jobId",),
    "job_types": (),
    "cancel_reasons": (),
    "hold_reasons": (),
    "customers": (),
    "customer_contacts": ("customerId",),
    "customer_notes": ("_owner",),
    "locations": (),
    "location_contacts": ("locationId",),
    "location_notes": ("_owner",),
    "bookings": (),
    "booking_contacts": ("_owner",),
    "leads": (),
    "lead_notes": ("_owner",),
    "call_reasons": (),
    "technicians": (),
    "employees": (),
    "business_units": (),
    "tag_types": (),
    "campaigns": (),
    "categories": (),
    "invoices": ("_job",),
    "attachments": ("_job",),
    "non_job_appointments": (),
    "shifts": (),
}

FIRST_ID = 61_840_001
API_USER = 77
OFFICE_USER = 78


class RefusalError(Exception):
    """The vendor says no: status, title, and per field what is wrong (sheet, 13)."""

    def __init__(
        self, status: int, title: str, errors: Mapping[str, list[str]] | None = None
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.errors = dict(errors or {})


def invalid(name: str, text: str) -> RefusalError:
    """Return a refusal with status 400 that names one field."""
    return RefusalError(400, "One or more validation errors occurred.", {name: [text]})


@dataclass(slots=True)
class Habits:
    """What the vendor does not state, as settings of a test.

    `feed_page` is the number of rows on a page of an export feed. `calls_a_second` is the
    vendor's limit per app and tenant (sheet, 8; 0: none), held to while the clock flows.
    `assumed_notices` also puts messages into the outbox for a booked or moved visit and a
    cancelled job: the sheet does not say whether the API sends them, a job only carries
    `notificationsEnabled`, so they are off unless a test wants the worst. `token_seconds` is
    how long a token lasts.
    """

    feed_page: int = 500
    calls_a_second: int = 60
    assumed_notices: bool = False
    token_seconds: int = 900


@dataclass
class Tenant:
    """The state of one tenant on its kit.

    `providers` are the booking providers issued to the app; `feed_epoch` rises when the tokens
    of the export feeds are forgotten.
    """

    number: int
    kit: Kit
    habits: Habits = field(default_factory=Habits)
    providers: frozenset[int] = frozenset({7001})
    feed_epoch: int = 1
    tables: dict[str, Rows] = field(init=False)

    def __post_init__(self) -> None:
        self.tables = {name: Rows(self.kit.table(), *keys) for name, keys in TABLES.items()}

    def __getitem__(self, name: str) -> Rows:
        return self.tables[name]

    def now(self) -> datetime:
        """Return the vendor's time, aware, in UTC."""
        return self.kit.clock.now()

    def new_id(self) -> int:
        """Return the next id; ids of all kinds come from one sequence."""
        return self.kit.ids.number("id", FIRST_ID)

    def add(self, table: str, **fields: Any) -> Row:
        """Put a new row with its id (a new one unless it is given), `createdOn`, `modifiedOn`."""
        now = self.now()
        stamps = {"active": True, "createdOn": now, "modifiedOn": now}
        number = fields.get("id") or self.new_id()
        return self.tables[table].put({**stamps, **fields, "id": number})

    def edit(self, table: str, row_id: int, **changes: Any) -> Row:
        """Put a changed row; nothing is written when nothing differs."""
        row = self.row(table, row_id)
        if all(name in row and row[name] == value for name, value in changes.items()):
            return row
        return self.tables[table].put({**row, **changes, "modifiedOn": self.now()})

    def delete(self, table: str, row_id: int) -> Row:
        """Take a row out of lists and reads; the feeds go on showing it as not active."""
        return self.edit(table, row_id, active=False, _deleted=True)

    def row(self, table: str, row_id: int) -> Row:
        """Return the row as it is now; refused with 404 when it is unknown or deleted."""
        row = self.tables[table].get(row_id)
        if row is None or "_deleted" in row:
            raise RefusalError(404, f"{_called(table)} with ID {row_id} was not found.")
        return row

    def wanted(self, table: str, row_id: int, name: str, *, active: bool = True) -> Row:
        """Return the row that a request names in a field; refused with 400 if it cannot be used."""
        row = self.tables[table].get(row_id)
        if row is None or "_deleted" in row or (active and not row["active"]):
            raise invalid(name, f"{_called(table)} with ID {row_id} does not exist or is inactive.")
        return row

    def alive(self, table: str, name: str, value: object) -> list[Row]:
        """Return the rows of an indexed value that were not deleted."""
        return [row for row in self.tables[table].having(name, value) if "_deleted" not in row]


def _called(table: str) -> str:
    return table.removesuffix("s").replace("_", " ").capitalize()
