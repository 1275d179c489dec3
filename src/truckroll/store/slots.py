"""Claims on technicians' time: taken in one transaction, before any vendor is called."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from psycopg import AsyncCursor

from truckroll.dispatch.claims import Claimed, Occupied, Wish, clashes
from truckroll.store.base import Base, Row, named_sql, record_row, retried
from truckroll.store.performing import decode_step
from truckroll.store.touching import touching
from truckroll.sync.types import RecordRow, Step

SQL = named_sql("slots")

Reader = Callable[[Sequence[RecordRow]], Iterable[Occupied]]


class SlotsStore(Base):
    """Technicians' ids, what is seen of their time, and the claims on it."""

    async def technicians(self, names: Iterable[str]) -> dict[str, int]:
        """Return the stable ids of technicians, given to new names.

        A name whose calendar is that of a known one is the same technician.
        """
        wanted = sorted(set(names))
        async with self._transaction() as cursor:
            known = await _ids(cursor, wanted)
            new = [name for name in wanted if name not in known]
            for name in new:
                await cursor.execute(SQL["register"], {"name": name})
            return {**known, **await _ids(cursor, new)} if new else known

    async def observed_between(
        self, visits: Sequence[int], calendars: Sequence[int], start: datetime, end: datetime
    ) -> list[RecordRow]:
        """Return live records that may touch a stretch of time (aware UTC, end exclusive).

        Those of the scopes `visits`, and those of the scopes `calendars` that no link has. Every
        series that began before `end` is among them.
        """
        async with self._transaction() as cursor:
            return await _observed(cursor, visits, calendars, None, start, end)

    async def claims_between(
        self, technicians: Sequence[int], start: datetime, end: datetime, *, at: datetime
    ) -> list[Occupied]:
        """Return the claims of technicians that stand at an instant and touch a stretch of time."""
        async with self._transaction() as cursor:
            return await _claims(cursor, technicians, start, end, at)

    @retried
    async def claim(
        self,
        wishes: Sequence[Wish],
        *,
        at: datetime,
        expires: datetime,
        run: int = 0,
        travel: timedelta = timedelta(0),
        visits: Sequence[int] = (),
        calendars: Sequence[int] = (),
        names: Sequence[str] | None = None,
        read: Reader | None = None,
    ) -> Claimed:
        """Claim technicians' time for visits, all or none; nothing else has it until `expires`.

        In the way are other claims that stand at `at`, and what `read` makes of the records of
        the scopes `visits` and `calendars` (as `observed_between`; of visits those of the people
        called `names` alone, if given). These are read under the technicians' locks, so that
        nothing that was placed before is missed: a claim is released only after what it stood for
        has been stored. Earlier claims of the same visits on these technicians are given up.
        Vendors are called after this.
        """
        technicians = sorted({one.technician for one in wishes})
        start = min(one.begins for one in wishes) - travel
        end = max(one.ends for one in wishes) + travel
        async with self._transaction() as cursor:
            for one in technicians:
                lock = f"truckroll.technician {self._tenant} {one}"
                await cursor.execute(SQL["lock_technician"], {"lock": lock})
            taken = await _claims(cursor, technicians, start, end, at)
            if read is not None:
                taken += read(await _observed(cursor, visits, calendars, names, start, end))
            if found := clashes(wishes, taken, travel=travel):
                return Claimed(clashes=found)
            placed = [one.visit for one in wishes]
            await cursor.execute(SQL["expired"], {"technicians": technicians, "at": at})
            await cursor.execute(SQL["renounce"], {"technicians": technicians, "visits": placed})
            return await _insert(cursor, wishes, run, expires)

    async def release_claims(self, ids: Sequence[int]) -> None:
        """Give claims up: what they stood for was stored, or did not happen."""
        if ids:
            async with self._transaction() as cursor:
                await cursor.execute(SQL["release"], {"ids": list(ids)})

    async def links_of(self, mirror: int, records: Sequence[int]) -> dict[int, int]:
        """Return for records the link of a mirror that has them."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["links_of"], {"mirror": mirror, "records": list(records)})
            return {row[0]: row[1] async for row in cursor}

    async def happened(
        self, recipe: int, *, since: datetime, limit: int = 1000
    ) -> list[tuple[Step, datetime]]:
        """Return what passes of a recipe took out, moved or marked as cancelled, latest first.

        Undone runs' own steps, and those of decisions, are not among them.
        """
        async with self._transaction() as cursor:
            place = {"recipe": recipe, "since": since, "limit": limit}
            await cursor.execute(SQL["happened"], place)
            return [(decode_step(row[0]), row[1]) async for row in cursor]


async def _ids(cursor: AsyncCursor[Row], names: Sequence[str]) -> dict[str, int]:
    await cursor.execute(SQL["technicians"], {"names": list(names)})
    return {row[0]: row[1] async for row in cursor}


async def _observed(
    cursor: AsyncCursor[Row],
    visits: Sequence[int],
    calendars: Sequence[int],
    names: Sequence[str] | None,
    start: datetime,
    end: datetime,
) -> list[RecordRow]:
    query, place = touching(SQL["observed"], [*visits, *calendars], [(start, end)])
    whose = {"visits": list(visits), "names": None if names is None else list(names)}
    await cursor.execute(query, {**place, **whose})
    return [record_row(row) async for row in cursor]


async def _claims(
    cursor: AsyncCursor[Row],
    technicians: Sequence[int],
    start: datetime,
    end: datetime,
    at: datetime,
) -> list[Occupied]:
    place = {"technicians": list(technicians), "start": start, "end": end, "at": at}
    await cursor.execute(SQL["claims"], place)
    return [Occupied(row[1], row[2], row[3], row[4], row[5]) async for row in cursor]


async def _insert(
    cursor: AsyncCursor[Row], wishes: Sequence[Wish], run: int, expires: datetime
) -> Claimed:
    """Insert claims in the order of the locks; the table's constraint stands behind these."""
    ids = []
    for one in sorted(wishes, key=lambda one: (one.technician, one.begins)):
        place = {
            "technician": one.technician,
            "begins": one.begins,
            "ends": one.ends,
            "visit": one.visit,
            "ref": one.ref,
            "run": run,
            "expires": expires,
        }
        await cursor.execute(SQL["claim"], place)
        row = await cursor.fetchone()
        assert row is not None
        ids.append(int(row[0]))
    return Claimed(ids=tuple(ids))
