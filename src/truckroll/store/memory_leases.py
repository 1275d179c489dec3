"""Leases of the in-memory twin, on a clock that the simulation turns."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec

from truckroll.sync.leases import alone
from truckroll.sync.ports import Fenced, Lease

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from truckroll.sync.ports import Store

# What is fenced on PostgreSQL is fenced here.
_WRITES = frozenset(
    {
        *("begin_listing", "store_page", "finish_listing", "set_cursor", "mark_gone", "adopt"),
        *("regroup", "journal", "attach", "finish", "start_run"),
        *("scope_read", "recipe_settled", "stumble"),
    }
)


class LeaseRow(msgspec.Struct):
    """A lease as it stands: `holder` is "" where it was given up."""

    epoch: int = 0
    holder: str = ""
    until: datetime = datetime.min.replace(tzinfo=UTC)
    deaths: int = 0
    hand: int = 0


class MemoryLeases:
    """Implements `sync.ports.Leases`; `holder` names the process, `gone` those that died."""

    _ids: Iterator[int]

    def __init__(self) -> None:
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.holder = "this process"
        self.gone: set[str] = set()
        self.lease_rows: dict[tuple[str, int], LeaseRow] = {}

    async def take(self, what: str, ids: Sequence[int], *, seconds: float) -> list[Lease]:
        """Take what is free of these, each with a new epoch; the others are left out."""
        now, taken = self.now(), []
        for id_ in sorted(set(ids)):
            row = self.lease_rows.setdefault((what, id_), LeaseRow())
            if row.holder and row.until >= now and row.holder not in self.gone:
                continue
            robbed = bool(row.holder) and row.holder not in self.gone
            row.deaths = row.deaths + 1 if row.holder else 0
            row.hand = row.hand if row.holder else 0
            row.epoch += 1
            row.holder, row.until = self.holder, now + timedelta(seconds=seconds)
            taken.append(
                Lease(
                    what=what,
                    id=id_,
                    epoch=row.epoch,
                    deaths=row.deaths,
                    hand=row.hand,
                    robbed=robbed,
                )
            )
        return taken

    async def extend(self, leases: Sequence[Lease], *, seconds: float) -> list[Lease]:
        """Hold them for so long from now; return those that are still ours."""
        ours = [one for one in leases if self._is_held(one)]
        for one in ours:
            self.lease_rows[one.what, one.id].until = self.now() + timedelta(seconds=seconds)
        return ours

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give up those that are still ours."""
        for one in leases:
            if self._is_held(one):
                self.lease_rows[one.what, one.id].holder = ""

    async def mark(self, lease: Lease, hand: int) -> None:
        """Note what is in hand, for whoever takes over if this process dies of it; 0: nothing."""
        if self.is_present(lease):
            self.lease_rows[lease.what, lease.id].hand = hand

    def under(self, leases: Sequence[Lease]) -> Store:
        """Return the store as the holder of these leases has it."""
        return cast("Store", _Fenced(self, tuple(leases)))

    @contextlib.asynccontextmanager
    async def run(self, recipe: int, kind: str) -> AsyncIterator[int]:
        """Hold the recipe's lease and give a run id; raises Busy where another runs."""
        async with alone(cast("Store", self), recipe):
            yield await self.start_run(recipe, kind)

    async def start_run(self, recipe: int, kind: str) -> int:
        """Return the id of a new run."""
        del recipe, kind
        return next(self._ids)

    async def close_run(self, run: int) -> None:
        """Do nothing: only what a run did is kept."""
        del run

    def _is_held(self, lease: Lease) -> bool:
        row = self.lease_rows[lease.what, lease.id]
        return bool(row.holder) and row.epoch == lease.epoch

    def is_present(self, lease: Lease) -> bool:
        """Tell whether nobody took it since."""
        return self.lease_rows[lease.what, lease.id].epoch == lease.epoch


class _Fenced:
    """A store whose writes of a pass are refused once a lease was taken by another."""

    def __init__(self, store: MemoryLeases, leases: tuple[Lease, ...]) -> None:
        self._store = store
        self._leases = leases

    def under(self, leases: Sequence[Lease]) -> Store:
        return cast("Store", _Fenced(self._store, (*self._leases, *leases)))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in _WRITES:
            return method

        async def fenced(*args: Any, **how: Any) -> Any:
            if not all(map(self._store.is_present, self._leases)):
                raise Fenced
            return await method(*args, **how)

        return fenced
