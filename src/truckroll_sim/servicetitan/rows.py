"""Rows of one kind by their number, found again by fields that never change."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truckroll_sim.kit.state import Table, Version

Row = dict[str, Any]


class Rows:
    """A table of the kit with whole numbers as keys, and an index.

    `indexed` names fields whose value a row keeps for ever; `having` finds rows by them.
    """

    def __init__(self, table: Table[Row], *indexed: str) -> None:
        self._table = table
        self._index: dict[str, dict[Any, list[int]]] = {name: defaultdict(list) for name in indexed}

    def __len__(self) -> int:
        return len(self._table)

    def put(self, row: Row) -> Row:
        """Store a new row, or a new version of one, and give it back."""
        if str(row["id"]) not in self._table:
            for name, index in self._index.items():
                index[row[name]].append(row["id"])
        return self._table.put(str(row["id"]), row).row

    def get(self, number: int) -> Row | None:
        """Return the row as it is now, also a deleted one; None for an unknown number."""
        return self._table.get(str(number))

    def having(self, field: str, value: object) -> list[Row]:
        """Return the rows of one value of an indexed field, as they are now."""
        found = (self.get(number) for number in self._index[field].get(value, ()))
        return [row for row in found if row is not None]

    def seen(self, lag_seconds: float = 0.0) -> Iterator[Row]:
        """Every row as a reader sees it who is so many seconds late, the oldest first."""
        return self._table.rows(lag_seconds)

    def changes(self, after: int, lag_seconds: float = 0.0) -> list[Version[Row]]:
        """Return what such a reader has seen change after a revision, in order."""
        seen = [one for one in self._table.versions(lag_seconds) if one.revision > after]
        return sorted(seen, key=lambda version: version.revision)

    def horizon(self, lag_seconds: float = 0.0) -> int:
        """Return the revision up to which such a reader has seen everything."""
        return self._table.horizon(lag_seconds)
