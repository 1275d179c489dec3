"""Runs: one of a recipe at a time, and what each of them did."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec

from truckroll.store.base import Base, to_json
from truckroll.store.performing import SQL, decode_step
from truckroll.sync.leases import alone
from truckroll.sync.types import Outcome, Step

if TYPE_CHECKING:
    from truckroll.sync.ports import Store

_BATCH = 500
_outcomes = msgspec.json.Decoder(Outcome)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a recipe. `ended_at` is None while it is at work, or if its process died.

    As long as it has not ended `done` is how many writes are done, of `planned` in its summary.
    """

    id: int
    recipe: int
    kind: str
    started_at: datetime
    ended_at: datetime | None
    summary: dict[str, Any]
    done: int = 0


class RunsStore(Base):
    """Implements `sync.ports.Runs`."""

    @asynccontextmanager
    async def run(self, recipe: int, kind: str) -> AsyncIterator[int]:
        """Hold the recipe's lease and give a run id; raises Busy where another runs.

        A process that dies gives the lease up with its session.
        """
        async with alone(cast("Store", self), recipe):
            run = await self.start_run(recipe, kind)
            try:
                yield run
            finally:
                await self.close_run(run)

    async def start_run(self, recipe: int, kind: str) -> int:
        """Note that a run begins and return its id; whoever does it holds the recipe's lease."""
        async with self._transaction(durable=False, fenced=True) as cursor:
            start = {"recipe": recipe, "kind": kind, "pid": os.getpid()}
            await cursor.execute(SQL["start_run"], start)
            made = await cursor.fetchone()
            assert made is not None
            return int(made[0])

    async def close_run(self, run: int) -> None:
        """Note that a run ended, if that is not noted yet."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["close_run"], {"run": run})

    async def plan_run(self, run: int, planned: int) -> None:
        """Note how many writes a run has before it."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["plan_run"], {"run": run, "planned": planned})

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
                    done=row[6],
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
