"""The whole store of a tenant."""

from truckroll.store.accounts import AccountsStore
from truckroll.store.performing import PerformingStore
from truckroll.store.planning import PlanningStore
from truckroll.store.reading import ReadingStore
from truckroll.store.recipes import RecipesStore
from truckroll.store.runs import RunsStore
from truckroll.store.stories import StoriesStore
from truckroll.store.zones import ZonesStore
from truckroll.sync import ports


class Store(
    ReadingStore,
    PlanningStore,
    PerformingStore,
    RunsStore,
    AccountsStore,
    RecipesStore,
    StoriesStore,
    ZonesStore,
):
    """Implements `sync.ports.Store`, and keeps accounts, recipes and stories beside it.

    Made by `truckroll.store.open.open_store`. Every method is one transaction of one tenant.
    """


def _fulfils(store: Store) -> ports.Store:
    """Let the type checker prove that the ports are implemented."""
    return store
