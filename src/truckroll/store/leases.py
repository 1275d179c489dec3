"""Leases: who works on a recipe or reads a scope, over all processes."""

from collections.abc import Sequence

from truckroll.store.base import Base, named_sql, retried
from truckroll.store.pulse import pulse_of
from truckroll.sync.ports import Lease

SQL = named_sql("leases")


class LeasesStore(Base):
    """Implements `sync.ports.Leases`. The database's clock alone counts."""

    @retried
    async def take(self, what: str, ids: Sequence[int], *, seconds: float) -> list[Lease]:
        """Take what is free of these, each with a new epoch; the others are left out.

        Free is what nobody holds, whose time is over, or whose holder's session is gone. Waits
        for open transactions that are fenced by the former epoch.
        """
        holder = await pulse_of(self._pool).beat()
        row = {"what": what, "ids": sorted(set(ids)), "holder": holder, "seconds": seconds}
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["take"], row)
            return [
                Lease(what=what, id=row[0], epoch=row[1], deaths=row[2], hand=row[3], robbed=row[4])
                for row in await cursor.fetchall()
            ]

    async def extend(self, leases: Sequence[Lease], *, seconds: float) -> list[Lease]:
        """Hold them for so long from now; return those that are still ours."""
        await pulse_of(self._pool).beat()
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["extend"], {**_columns(leases), "seconds": seconds})
            ours = {(row[0], row[1]) async for row in cursor}
        return [one for one in leases if (one.what, one.id) in ours]

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give up those that are still ours."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["release"], _columns(leases))

    async def mark(self, lease: Lease, hand: int) -> None:
        """Note what is in hand, for whoever takes over if this process dies of it; 0: nothing."""
        row = {"what": lease.what, "id": lease.id, "epoch": lease.epoch, "hand": hand}
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["mark"], row)


def _columns(leases: Sequence[Lease]) -> dict[str, list[object]]:
    return {
        "whats": [one.what for one in leases],
        "ids": [one.id for one in leases],
        "epochs": [one.epoch for one in leases],
    }
