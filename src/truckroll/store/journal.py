"""For how long the journal is kept: runs with what they wrote, and the stories of links."""

from datetime import datetime

from truckroll.store.base import Base, named_sql

SQL = named_sql("journal")
RUNS_AT_ONCE = 50
LINES_AT_ONCE = 2000


class JournalStore(Base):
    """What of the journal is kept, and forgetting the rest."""

    async def journal_days(self) -> int:
        """Return for how many days the journal is kept."""
        rows = await self._rows(SQL["days"])
        return int(rows[0][0])

    async def keep_journal(self, days: int) -> None:
        """Say for how many days the journal is kept."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["keep"], {"days": days})

    async def oldest_run(self) -> datetime | None:
        """Return when the oldest run began that is kept."""
        rows = await self._rows(SQL["oldest"])
        return rows[0][0] if rows else None

    async def forget_runs(self, *, before: datetime) -> int:
        """Forget some of the oldest runs, begun before an instant, with their writes.

        Returns how many; 0 when there are no more. A run with an open intent stays.
        """
        return await self._forget("forget_runs", RUNS_AT_ONCE, before)

    async def forget_lines(self, *, before: datetime) -> int:
        """Look through some of the oldest lines of stories; of each link the last one stays.

        Returns 0 when there are no more from before the instant.
        """
        return await self._forget("forget_lines", LINES_AT_ONCE, before)

    async def forget_counts(self, *, before: datetime) -> None:
        """Forget counts of writes that no brake looks at any more."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["forget_counts"], {"before": before})

    async def _forget(self, name: str, most: int, before: datetime) -> int:
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL[name], {"most": most, "before": before})
            return len(await cursor.fetchall())
