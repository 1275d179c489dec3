"""The timetable: when recipes are read or reconciled by the clock."""

from datetime import datetime

import msgspec

from truckroll.store.base import Base, named_sql

SQL = named_sql("timetable")


class TimetableRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row: at each instant of its schedule a recipe's scopes are read (`act`).

    `act` is read · reconcile (a complete read), `kind` cron · minutes · shift, `spec` is in the
    form of its kind, `zone` an IANA zone. `person` names the technician of a shift. `note` says
    what became of the last instant.
    """

    id: int
    recipe: int
    act: str
    kind: str
    spec: str
    zone: str
    next_at: datetime
    person: str = ""
    last_at: datetime | None = None
    note: str = ""


class TimetableStore(Base):
    """The timetable of a tenant."""

    async def timetable(self, id_: int | None = None) -> list[TimetableRow]:
        """Return all rows, the next one first; or the one with an id."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["rows"], {"id": id_})
            return [
                TimetableRow(
                    id=row[0],
                    recipe=row[1],
                    act=row[2],
                    kind=row[3],
                    spec=row[4],
                    zone=row[5],
                    person=row[6],
                    last_at=row[7],
                    next_at=row[8],
                    note=row[9],
                )
                async for row in cursor
            ]

    async def put_row(self, row: TimetableRow) -> int:
        """Add a row (its `id` does not count) or change the zone of the same one; return its id."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["put"], msgspec.structs.asdict(row))
            found = await cursor.fetchone()
        assert found is not None
        return int(found[0])

    async def remove_row(self, id_: int) -> bool:
        """Take a row out; return whether it was there."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["remove"], {"id": id_})
            return await cursor.fetchone() is not None

    async def row_ran(
        self, row: TimetableRow, *, at: datetime, next_at: datetime, note: str = ""
    ) -> bool:
        """Move a row on to its next instant; False where somebody did so already."""
        place = {"id": row.id, "due_at": row.next_at, "at": at, "next_at": next_at, "note": note}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["ran"], place)
            return await cursor.fetchone() is not None
