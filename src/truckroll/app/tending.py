"""What is looked after beside the work: subscriptions are renewed, what is old is forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truckroll.app import journal, pushes
from truckroll.app.hub import Hub, utc_now
from truckroll.app.logs import log
from truckroll.app.subscriptions import renew_due
from truckroll.app.watchman import again
from truckroll.kit import watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

    from truckroll.store.open import Stores

RENEW_SECONDS = 60.0
FORGET_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Tending:
    """Looks after all tenants; of all processes one does each round.

    `address` is the hub's public address; without one nothing is subscribed, and the hub polls.
    """

    stores: Stores
    home: Path
    address: str
    now: Callable[[], datetime] = utc_now

    async def keep(self) -> None:
        """Look after everything until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(again(self.renew, RENEW_SECONDS))
            group.create_task(again(self.forget, FORGET_SECONDS))

    async def renew(self) -> None:
        """Make, renew and mend the subscriptions of every tenant."""
        # Where it has no address, the turn is for another process that has one.
        if self.address and await self.stores.turn("renew", RENEW_SECONDS - 1):
            await self._each(self._renew)

    async def forget(self) -> None:
        """Forget pushes, budgets and parts of the journal that nobody needs any more."""
        if await self.stores.turn("forget", FORGET_SECONDS - 1):
            await self._each(self._forget)

    async def _renew(self, hub: Hub) -> None:
        worked = await renew_due(hub, self.address)
        for says in worked.problems:
            log(__name__).warning("a subscription is in trouble", trouble=says)

    async def _forget(self, hub: Hub) -> None:
        await pushes.forget_old(hub)
        await journal.forget_old(hub)
        await hub.store.prune_budgets(hub.now())

    async def _each(self, act: Callable[[Hub], Awaitable[object]]) -> None:
        for tenant in await self.stores.tenants():
            with watch.bound(tenant=tenant):
                try:
                    await act(Hub(self.home, self.stores.of(tenant), self.now))
                except Exception:  # noqa: BLE001 -- the trouble of one tenant is not the others'
                    log(__name__).exception("a tenant could not be looked after")
