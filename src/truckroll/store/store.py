"""The whole store of a tenant."""

from truckroll.store.accounts import AccountsStore
from truckroll.store.alerts import AlertsStore
from truckroll.store.audit import AuditStore
from truckroll.store.due import DueStore
from truckroll.store.grants import GrantsStore
from truckroll.store.journal import JournalStore
from truckroll.store.leases import LeasesStore
from truckroll.store.members import MembersStore
from truckroll.store.pace import PaceStore
from truckroll.store.performing import PerformingStore
from truckroll.store.planning import PlanningStore
from truckroll.store.pushes import PushesStore
from truckroll.store.reading import ReadingStore
from truckroll.store.recipes import RecipesStore
from truckroll.store.replies import RepliesStore
from truckroll.store.runs import RunsStore
from truckroll.store.secret import Keyring
from truckroll.store.slots import SlotsStore
from truckroll.store.stories import StoriesStore
from truckroll.store.tenants import TenantsStore
from truckroll.store.timetable import TimetableStore
from truckroll.store.watch import WatchStore
from truckroll.store.webhooks import WebhooksStore
from truckroll.store.zones import ZonesStore
from truckroll.sync import ports


class Store(
    ReadingStore,
    PlanningStore,
    PerformingStore,
    RunsStore,
    JournalStore,
    AccountsStore,
    RecipesStore,
    StoriesStore,
    LeasesStore,
    DueStore,
    TimetableStore,
    PaceStore,
    GrantsStore,
    PushesStore,
    TenantsStore,
    MembersStore,
    AuditStore,
    RepliesStore,
    SlotsStore,
    WatchStore,
    AlertsStore,
    WebhooksStore,
    ZonesStore,
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
