"""The in-memory twin of the engine, on a clock that the simulation turns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from truckroll.errands.ports import STALLED_SECONDS, Errand, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime


@dataclass(slots=True)
class Row:
    """An errand in the engine. `status` is todo · doing · succeeded · failed."""

    id: int
    errand: Errand
    status: str = "todo"
    worker: int = 0
    ended_at: datetime | None = None


@dataclass(slots=True)
class Board:
    """What all workers of a simulated hub share."""

    now: Callable[[], datetime]
    rows: dict[int, Row] = field(default_factory=dict)
    heard: dict[int, datetime] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    workers: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class MemoryEngine:
    """Implements `ports.Engine` for one worker of a board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._worker = 0

    async def defer(self, errands: Sequence[Errand]) -> list[Errand]:
        """Let errands wait; return those that did not wait already."""
        new = []
        for errand in errands:
            if not any(row.errand == errand for row in self._in("todo")):
                id_ = next(self._board.numbers)
                self._board.rows[id_] = Row(id_, errand)
                new.append(errand)
        return new

    async def take(self) -> Taken | None:
        """Take the errand that waits longest and whose key does not run."""
        if self._worker not in self._board.heard:
            await self.beat()
        running = {row.errand for row in self._in("doing")}
        for row in self._in("todo"):
            if row.errand not in running:
                row.status, row.worker = "doing", self._worker
                return Taken(row.id, row.errand)
        return None

    async def finish(self, taken: Taken, *, well: bool = True) -> bool:
        """Note that an errand ended; False where it was taken from this worker meanwhile."""
        row = self._board.rows.get(taken.id)
        if row is None or row.status != "doing":
            return False
        self._end(row, "succeeded" if well else "failed")
        return True

    async def recover(
        self, *, seconds: float = STALLED_SECONDS, hands: Sequence[int] | None = None
    ) -> list[Errand]:
        """End as failed what dead workers were doing, and return it; also what is not in hand."""
        now, long = self._board.now(), timedelta(seconds=seconds)
        heard = {worker: at for worker, at in self._board.heard.items() if abs(now - at) <= long}
        self._board.heard = heard
        lost = [
            row
            for row in self._in("doing")
            if row.worker not in heard
            or (hands is not None and row.worker == self._worker and row.id not in hands)
        ]
        for row in lost:
            self._end(row, "failed")
        return [row.errand for row in lost]

    async def beat(self) -> None:
        """Say that this worker lives."""
        if self._worker not in self._board.heard:
            self._worker = next(self._board.workers)
        self._board.heard[self._worker] = self._board.now()

    async def going(self) -> list[Errand]:
        """Return what waits or runs."""
        return [row.errand for row in (*self._in("doing"), *self._in("todo"))]

    async def prune(self, *, seconds: float, most: int) -> int:
        """Forget at most so many errands that ended longer ago; return how many."""
        old = self._board.now() - timedelta(seconds=seconds)
        rows = self._board.rows.values()
        ended = [row.id for row in rows if row.ended_at is not None and row.ended_at < old]
        for id_ in ended[:most]:
            del self._board.rows[id_]
        return len(ended[:most])

    async def leave(self) -> None:
        """Say that this worker ends."""
        self._board.heard.pop(self._worker, None)

    def _in(self, status: str) -> list[Row]:
        return [row for row in self._board.rows.values() if row.status == status]

    def _end(self, row: Row, status: str) -> None:
        row.status, row.ended_at = status, self._board.now()
