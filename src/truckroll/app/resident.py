"""What a process that stays keeps between errands: compiled recipes and signed-in accounts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from truckroll.app import accounts
from truckroll.app.hub import Hub, utc_now
from truckroll.app.installed import Installed, hand, load_all
from truckroll.app.systems import connector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from truckroll.kit.contract import Session
    from truckroll.store.open import Stores
    from truckroll.sync.perform import Hand
    from truckroll.sync.ports import StoredScope


class Known:
    """A tenant's installed recipes as they were at one count of its settings."""

    def __init__(self, hub: Hub, settings: int, found: Mapping[int, Installed | str]) -> None:
        self.hub = hub
        self.settings = settings
        self.installed = {key: one for key, one in found.items() if isinstance(one, Installed)}
        self.broken = {key: one for key, one in found.items() if isinstance(one, str)}
        self.users = 0
        self._stack = AsyncExitStack()
        self._sessions: dict[int, Session] = {}
        self._signing: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def scopes(self) -> set[int]:
        """The scopes that any recipe uses."""
        return {one.id for recipe in self.installed.values() for one in _scopes(recipe)}

    def scopes_of(self, account: int) -> int:
        """Return how many scopes of an account any recipe uses."""
        found = (one for recipe in self.installed.values() for one in _scopes(recipe))
        return len({one.id for one in found if one.account == account})

    def uses(self, scope: int) -> list[Installed]:
        """Return the recipes that use a scope."""
        return [
            recipe
            for recipe in self.installed.values()
            if any(one.id == scope for one in _scopes(recipe))
        ]

    async def hands(self, recipe: Installed) -> dict[int, Hand]:
        """Return the hands for all accounts of a recipe."""
        ids = sorted({one.account for one in _scopes(recipe)})
        return {id_: await self.hand(recipe, id_) for id_ in ids}

    async def hand(self, recipe: Installed, account: int) -> Hand:
        """Return what is done in an account with; its session is opened when first needed."""
        async with self._signing[account]:
            named = recipe.accounts[account]
            if account not in self._sessions:
                whole = await accounts.one(self.hub, named.name)
                opened = accounts.shared_sign_in(self.hub, whole, connector(whole.system))
                self._sessions[account] = await self._stack.enter_async_context(opened)
            return hand(recipe, named, self._sessions[account])

    async def close(self) -> None:
        """Close the sessions."""
        await self._stack.aclose()


def _scopes(recipe: Installed) -> tuple[StoredScope, ...]:
    return (*recipe.sources, *recipe.targets)


class Resident:
    """Keeps what is known of each tenant until its settings change."""

    def __init__(
        self, home: Path, stores: Stores, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.home = home
        self.stores = stores
        self.now = now
        self._known: dict[int, Known] = {}
        self._loading: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def hub(self, tenant: int) -> Hub:
        """Return the hub of a tenant."""
        return Hub(home=self.home, store=self.stores.of(tenant), now=self.now)

    @asynccontextmanager
    async def known(self, tenant: int) -> AsyncIterator[Known]:
        """Give what is known of a tenant, loaded again if its settings changed."""
        one = await self._present(tenant)
        one.users += 1
        try:
            yield one
        finally:
            one.users -= 1
            await self._tidy(tenant, one)

    async def _present(self, tenant: int) -> Known:
        hub = self.hub(tenant)
        async with self._loading[tenant]:
            settings = await hub.store.settings()
            old = self._known.get(tenant)
            if old is not None and old.settings == settings:
                return old
            new = self._known[tenant] = Known(hub, settings, await load_all(hub))
        if old is not None:
            await self._tidy(tenant, old)
        return new

    async def _tidy(self, tenant: int, one: Known) -> None:
        """Close what is out of date and no errand uses any more."""
        if not one.users and self._known.get(tenant) is not one:
            await one.close()

    async def close(self) -> None:
        """Close all sessions."""
        for tenant in list(self._known):
            await self._known.pop(tenant).close()
