"""Lists: which rows, in what order, and which page of them (sheet, 4 and 6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from truckroll_sim.kit.calls import Answer
from truckroll_sim.servicetitan.requests import (
    Request,
    asked,
    boolean,
    given,
    guid,
    moment,
    numbers,
    one_of,
    shown,
    words,
)
from truckroll_sim.servicetitan.tenant import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from truckroll_sim.servicetitan.rows import Row
    from truckroll_sim.servicetitan.tenant import Tenant

FIRST_PAGE_SIZE = 50
MOST_ROWS = 5000
SORTABLE = {"Id": "id", "ModifiedOn": "modifiedOn", "CreatedOn": "createdOn"}
View: TypeAlias = "Callable[[Row, Request], dict[str, Any]]"


@dataclass(frozen=True, slots=True)
class Where:
    """A filter: how its value is read, and which rows it keeps.

    `few` says that it leaves few rows of many, so that it is asked first.
    """

    reader: Callable[[str], Any]
    keeps: Callable[[Tenant, Row, Any], bool]
    few: bool = False


def same(name: str, reader: Callable[[str], Any] = int) -> Where:
    """Keep rows whose field equals the value."""
    return Where(reader, lambda _, row, value: row.get(name) == value)


def among(name: str, reader: Callable[[str], Any] = numbers) -> Where:
    """Keep rows whose field is one of the values."""
    return Where(reader, lambda _, row, value: row.get(name) in value, few=True)


def since(name: str) -> Where:
    """Keep rows whose instant is at or after the value."""
    return Where(moment, lambda _, row, value: row[name] is not None and row[name] >= value)


def until(name: str) -> Where:
    """Keep rows whose instant is before the value."""
    return Where(moment, lambda _, row, value: row[name] is not None and row[name] < value)


def holds(name: str) -> Where:
    """Keep rows whose text contains the value, in any case."""
    return Where(str, lambda _, row, value: value.lower() in (row.get(name) or "").lower())


def overlaps(name: str) -> Where:
    """Keep rows whose list of ids has at least one of the values."""
    return Where(numbers, lambda _, row, value: not value.isdisjoint(row[name] or ()))


STAMPS: Mapping[str, Where] = {
    "createdBefore": until("createdOn"),
    "createdOnOrAfter": since("createdOn"),
    "modifiedBefore": until("modifiedOn"),
    "modifiedOnOrAfter": since("modifiedOn"),
}
IDS: Mapping[str, Where] = {"ids": among("id")}


def _line(part: str) -> Where:
    def keeps(_: Tenant, row: Row, value: str) -> bool:
        return str(row["address"].get(part, "")).lower() == value.lower()

    return Where(str, keeps)


ADDRESS: Mapping[str, Where] = {
    part: _line(part) for part in ("street", "unit", "city", "state", "zip", "country")
}


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of one table.

    `active` says that inactive rows are hidden unless ``active`` is asked for; `view` makes
    a row what the vendor shows; `sorts` are the sortable fields by the vendor's name.
    """

    table: str
    view: View
    where: Mapping[str, Where] = field(default_factory=dict)
    active: bool = False
    sorts: Mapping[str, str] = field(default_factory=lambda: SORTABLE)

    def __call__(self, request: Request) -> Answer:
        """Answer a list call."""
        return paged(request, self.rows(request), self.view)

    def rows(self, request: Request) -> list[Row]:
        """Return the rows that the query asks for, in order.

        A read by `ids` shows the rows as they are; any other trails by the tenant's lag.
        """
        lag = 0.0 if request.query.get("ids") else request.lag_seconds
        rows = self._kept(request, request.tenant[self.table].seen(lag), few=True)
        rows = [row for row in rows if "_deleted" not in row]
        if self.active:
            wanted = asked(request.query, "active", one_of("True", "False", "Any", "true", "false"))
            if wanted != "Any":
                shown_ones = (wanted or "True").lower() == "true"
                rows = [row for row in rows if row["active"] == shown_ones]
        rows = list(self._kept(request, rows, few=False))
        return ordered(by_external_data(request, rows), request.query, self.sorts)

    def _kept(self, request: Request, rows: Iterable[Row], *, few: bool) -> Iterable[Row]:
        """Return the rows that the filters of one kind keep."""
        for name, where in self.where.items():
            if where.few == few and (value := asked(request.query, name, where.reader)) is not None:
                rows = [row for row in rows if where.keeps(request.tenant, row, value)]
        return rows


def by_external_data(request: Request, rows: list[Row]) -> list[Row]:
    """Keep rows by key and values of an application's external data (sheet, 4 and 10)."""
    key = request.query.get("externalDataKey")
    values = asked(request.query, "externalDataValues", words)
    if not key and not values:
        return rows
    application = asked(request.query, "externalDataApplicationGuid", guid)
    if not (key and values and application):
        names = "externalDataApplicationGuid, externalDataKey and externalDataValues"
        raise invalid("externalDataKey", f"{names} must be provided together.")
    return [row for row in rows if row.get("_external", {}).get(application, {}).get(key) in values]


def ordered(rows: list[Row], query: Mapping[str, str], sorts: Mapping[str, str]) -> list[Row]:
    """Return the rows as ``sort=+Field`` has them; a plus not encoded arrives as a space."""
    text = query.get("sort")
    if not text:
        return rows
    sign, name = text[0], sorts.get(text[1:])
    if sign not in "+-" or name is None:
        known = ", ".join(sorts)
        raise invalid("sort", f"'{text}' is not valid: use +Field or -Field with {known}.")
    return sorted(rows, key=lambda row: (row[name], row["id"]), reverse=sign == "-")


def paged(request: Request, rows: Sequence[Row], view: View) -> Answer:
    """One page in the vendor's envelope; pages count from 1, a page has at most 5000 rows."""
    page = asked(request.query, "page", int)
    size = asked(request.query, "pageSize", int)
    page, size = (1 if page is None else page), (FIRST_PAGE_SIZE if size is None else size)
    if page < 1:
        raise invalid("page", "Page must be greater than or equal to 1.")
    if not 1 <= size <= MOST_ROWS:
        raise invalid("pageSize", f"Page size must be between 1 and {MOST_ROWS}.")
    part = rows[(page - 1) * size : page * size]
    answer: dict[str, Any] = {
        "page": page,
        "pageSize": size,
        "hasMore": page * size < len(rows),
        "data": [view(row, request) for row in part],
    }
    if asked(request.query, "includeTotal", boolean):
        answer["totalCount"] = len(rows)
    return Answer.json(answer)


def plain(*without: str) -> View:
    """Return a view that shows every field but the named ones."""
    return lambda row, _: shown(row, *without)


def sparse(*without: str) -> View:
    """Return a view without empty fields, for crm."""
    return lambda row, _: given(row, *without)


def with_external(view: View) -> View:
    """Return a view that adds the external data of the application that the call names."""

    def shows(row: Row, request: Request) -> dict[str, Any]:
        application = asked(request.query, "externalDataApplicationGuid", guid)
        pairs = row.get("_external", {}).get(application, {})
        return {
            **view(row, request),
            "externalData": [{"key": key, "value": value} for key, value in pairs.items()],
        }

    return shows


def one(table: str, view: View) -> Callable[[Request], Answer]:
    """Return the answer of a read by id, which never trails."""
    return lambda request: Answer.json(view(request.tenant.row(table, request.id), request))
