"""Runs: one of a recipe at a time, and what each of them did."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec

from truckroll.store.base import Base, to_json
from truckroll.store.performing import SQL, decode_step
from truckroll.sync.ports import Busy
from truckroll.sync.types import Outcome, Step

_BATCH = 500
_outcomes = msgspec.json.Decoder(Outcome)


def lock_name(tenant: int, recipe: int) -> str:
    """Return the name of the advisory lock that is held while a run of a recipe works."""
    return f"truckroll.recipe {tenant} {recipe}"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a recipe. `ended_at` is None while it is at work, or if its process died."""

    id: int
    recipe: int
    kind: str
    started_at: datetime
    ended_at: datetime | None
    summary: dict[str, Any]


class RunsStore(Base):
    """Implements `sync.ports.Runs`."""

    @asynccontextmanager
    async def run(self, recipe: int, kind: str) -> AsyncIterator[int]:
        """Hold the recipe's advisory lock and give a run id; raises Busy where another runs.

        The lock is the connection's: a process that dies gives it up.
        """
        lock = f"hashtextextended('{lock_name(self._tenant, recipe)}', 0)"
        take, leave = f"select pg_try_advisory_lock({lock})", f"select pg_advisory_unlock({lock})"
        async with self._connection(take.encode()) as (connection, held):
            row = await held.fetchone()
            if row is None or not row[0]:
                raise Busy("Another run of this recipe is at work. Wait until it is done.")
            try:
                async with self._transaction(durable=False) as cursor:
                    start = {"recipe": recipe, "kind": kind, "pid": os.getpid()}
                    await cursor.execute(SQL["start_run"], start)
                    made = await cursor.fetchone()
                    assert made is not None
                try:
                    yield int(made[0])
                finally:
                    async with self._transaction(durable=False) as cursor:
                        await cursor.execute(SQL["close_run"], {"run": made[0]})
            finally:
                await connection.execute(leave.encode())

    async def end_run(self, run: int, summary: Mapping[str, Any]) -> None:
        """Close a run with its counts."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["end_run"], {"run": run, "summary": to_json(dict(summary))})

    async def runs(
        self, recipe: int | None = None, *, before: int | None = None, limit: int = 20
    ) -> list[Run]:
        """Return the latest runs, of one recipe or of all, the newest first.

        With `before` only those of lower ids.
        """
        async with self._transaction() as cursor:
            place = {"recipe": recipe, "before": before, "limit": limit}
            await cursor.execute(SQL["runs"], place)
            return [
                Run(
                    id=row[0],
                    recipe=row[1],
                    kind=row[2],
                    started_at=row[3],
                    ended_at=row[4],
                    summary=msgspec.json.decode(row[5]) if row[5] is not None else {},
                )
                async for row in cursor
            ]

    async def steps_of(self, run: int) -> AsyncIterator[tuple[int, Step, Outcome | None]]:
        """Yield the steps of a run in the order they were done; open ones come last.

        Each batch is a transaction of its own.
        """
        async with self._transaction() as cursor:
            await cursor.execute(SQL["steps_done"], {"run": run})
            ids = [int(row[0]) async for row in cursor]
        for begin in range(0, len(ids), _BATCH):
            batch = ids[begin : begin + _BATCH]
            async with self._transaction() as cursor:
                await cursor.execute(SQL["steps_by_id"], {"ids": batch})
                rows = {row[0]: row async for row in cursor}
            for id_ in batch:
                _, step, outcome = rows[id_]
                known = _outcomes.decode(outcome) if outcome is not None else None
                yield id_, decode_step(step), known
