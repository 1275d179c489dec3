"""The whole store of a tenant."""

from truckroll.store.accounts import AccountsStore
from truckroll.store.performing import PerformingStore
from truckroll.store.planning import PlanningStore
from truckroll.store.pushes import PushesStore
from truckroll.store.reading import ReadingStore
from truckroll.store.recipes import RecipesStore
from truckroll.store.runs import RunsStore
from truckroll.store.secret import Keyring
from truckroll.store.stories import StoriesStore
from truckroll.sync import ports


class Store(
    ReadingStore,
    PlanningStore,
    PerformingStore,
    RunsStore,
    AccountsStore,
    RecipesStore,
    StoriesStore,
    PushesStore,
):
    """Implements `sync.ports.Store`, and keeps accounts, recipes and stories beside it.

    Made by `truckroll.store.open.open_store`. Every method is one transaction of one tenant.
    """

    async def reseal(self, keyring: Keyring) -> int:
        """Seal everything that is sealed with the first key of `keyring`; return how many rows.

        For a change of keys: save `keyring` (`Keyring.rotated`), reseal, then save it `retired`.
        """
        return await self.reseal_subscriptions(keyring) + await super().reseal(keyring)


def _fulfils(store: Store) -> ports.Store:
    """Let the type checker prove that the ports are implemented."""
    return store
