"""What goes on beside the work: flush the calls, look for reasons, tell whom it concerns."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import psycopg
from psycopg_pool import PoolTimeout

from truckroll.app import alerts, webhooks
from truckroll.app.hub import Hub, utc_now
from truckroll.app.logs import log
from truckroll.kit import watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from truckroll.app.observe import Meter
    from truckroll.store.open import Stores

TELL_SECONDS = 1.0
LOOK_SECONDS = 30.0  # a system that is down is told of within five minutes
EXPECT_ROUNDS = 10
PRUNE_SECONDS = 3600.0
_AT_ONCE = 4  # tenants at one time: each may hold a connection


@dataclass(slots=True)
class Watchman:
    """Who watches a process. `restart` makes scopes of a tenant due to be read.

    Any number of processes may have one: what is told is told once, and what is settled is
    settled under a lock.
    """

    stores: Stores
    home: Path
    meter: Meter
    restart: Callable[[int, Sequence[int]], Awaitable[None]] | None = None
    now: Callable[[], datetime] = utc_now
    _rounds: Iterator[int] = field(default_factory=count, repr=False)

    async def keep(self) -> None:
        """Flush, look, tell and prune until cancelled; what fails is logged and tried again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_again(self.look, LOOK_SECONDS))
            group.create_task(_again(self.tell, TELL_SECONDS))
            group.create_task(_again(self.prune, PRUNE_SECONDS))

    async def look(self) -> None:
        """Write the calls to the store, and settle the alerts of every tenant."""
        await self.meter.flush(self.stores)
        # What a read shows is known at once; which scopes nobody has read yet may come later.
        expect = next(self._rounds) % EXPECT_ROUNDS == 0
        await self._each(await self.stores.tenants(), partial(self._look, expect=expect))

    async def tell(self) -> None:
        """Send what is due: alerts and webhooks, of every tenant that has any."""
        await self._each(await self.stores.tenants_to_tell(self.now()), self._tell)

    async def prune(self) -> None:
        """Forget what is older than anybody asks for."""
        for tenant in await self.stores.tenants():
            await self.stores.of(tenant).prune_watch(at=self.now())

    async def _look(self, hub: Hub, tenant: int, *, expect: bool) -> None:
        async def restart(scopes: Sequence[int]) -> None:
            if self.restart is not None:
                await self.restart(tenant, scopes)

        wanted = restart if self.restart is not None else None
        await alerts.look(hub, wanted, expect=expect)

    async def _tell(self, hub: Hub, _tenant: int) -> None:
        await webhooks.deliver_due(hub)
        await alerts.deliver(hub)

    async def _each(
        self, tenants: Iterable[int], act: Callable[[Hub, int], Awaitable[None]]
    ) -> None:
        """Act for tenants, some at a time; the trouble of one is not that of the others."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(tenant: int) -> None:
            hub = Hub(self.home, self.stores.of(tenant), self.now)
            async with room:
                with watch.bound(tenant=tenant):
                    try:
                        await act(hub, tenant)
                    except Exception:  # noqa: BLE001 -- whoever watches must not fall himself
                        log(__name__).exception("the watch of a tenant failed")

        await asyncio.gather(*(one(tenant) for tenant in tenants))


async def _again(act: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        try:
            # The database may be away for a while: the next round finds everything as it was.
            with suppress(psycopg.OperationalError, PoolTimeout):
                await act()
        except Exception:  # noqa: BLE001 -- whoever watches must not fall himself
            log(__name__).exception("a round of the watch failed")
        await asyncio.sleep(seconds)
