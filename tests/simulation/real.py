"""A tenant's store on PostgreSQL behind what a simulated life asks of the twin.

Each call is over when it returns (support.real), so a life has one order here too. Leases count
by the virtual clock and name simulated processes: their statements are told both.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from unittest.mock import patch

from support.chaos import Keeping
from support.real import Real
from truckroll.store.due import SQL as DUE
from truckroll.store.due import DueDesk
from truckroll.store.leases import SQL as LEASES
from truckroll.sync.ports import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.real import Database

_WAKING = {"make_due", "make_recipes_due", "scope_read", "watch", "store_page", "finish"}
_GONE = b"pg_try_advisory_xact_lock_shared(hashtextextended('truckroll.holder ' || l.holder, 0))"
TAKE = (
    LEASES["take"]
    .replace(b"clock_timestamp()", b"%(now)s::timestamptz")
    .replace(_GONE, b"l.holder = any(%(gone)s::text[])")
)
EXTEND = LEASES["extend"].replace(b"clock_timestamp()", b"%(now)s::timestamptz")
QUIET = (
    "update scope set due_at = null",
    "update recipe set due_at = null",
    "update workspace set watched = settings",
    "update link set due = false, look_at = null",
)


class RealTwin(Keeping, Real):
    """Implements what a life asks of `Twin`, save backups; its records are not looked into."""

    def __init__(self, database: Database) -> None:
        Real.__init__(self, database)
        Keeping.__init__(self)
        del self.accepted
        self.holder = ""
        self.gone: set[str] = set()
        self.pushes: dict[bytes, int] = {}
        self.planned: Counter[tuple[int, str, str]] = Counter()
        self.read_at: dict[int, float] = {}
        self.begun: dict[int, float] = {}
        self.woken: Callable[[], None] = lambda: None
        self.now = self.steady = None
        self.lease_rows: dict[tuple[str, int], object] = {}
        self.robbed_at: dict[tuple[str, int], float] = {}

    def __getattr__(self, name: str):
        return self.over(self._store, name)

    def over(self, store, name: str):
        """Return an operation of a store of this tenant."""
        method = getattr(store, name)

        async def call(*args, **how):
            result = self._wait(method(*args, **how))
            if name == "journal":
                self._count(result)
                self.journalled(result, args[1])
            elif name == "scope_read":
                self.read_at[args[0]] = self.begun.get(args[0], -1.0)
            elif name == "begin_listing":
                self.begun[args[0]] = self.steady()
            if name in _WAKING:
                self.woken()
            return result

        return call

    def _count(self, opened) -> None:
        for one in opened:
            act = one.step.op if one.step.op in ("create", "update") else "remove"
            self.planned[one.step.scope, act, one.step.external_id or one.step.create_key] += 1

    def under(self, leases: Sequence[Lease]) -> Under:
        """Return the store as the holder of leases has it."""
        return Under(self, leases)

    async def keep_push(self, delivery: bytes, scopes: Sequence[int], *, at) -> str:
        """Keep a push once and make its scopes due."""
        if delivery in self.pushes:
            self.pushes[delivery] += 1
            return "doubled"
        self.pushes[delivery] = 0
        read = [id_ for id_ in scopes if self.scope_rows[id_].due_at is not None]
        await self.make_due(read, at=at)
        return "new"

    async def take(self, what: str, ids: Sequence[int], *, seconds: float) -> list[Lease]:
        row = {"what": what, "ids": sorted(set(ids)), "holder": self.holder, "seconds": seconds}
        found = self._wait(self._asked(TAKE, {**row, **self._moment()}))
        return [
            Lease(what=what, id=id_, epoch=epoch, deaths=deaths, hand=hand, robbed=robbed)
            for id_, epoch, deaths, hand, robbed in found
        ]

    async def extend(self, leases: Sequence[Lease], *, seconds: float) -> list[Lease]:
        row = {
            "whats": [one.what for one in leases],
            "ids": [one.id for one in leases],
            "epochs": [one.epoch for one in leases],
            "seconds": seconds,
        }
        ours = set(self._wait(self._asked(EXTEND, {**row, **self._moment()})))
        return [one for one in leases if (one.what, one.id) in ours]

    async def clamp_due(self, *, at, longest: int) -> None:
        moment = f"'{self.now().isoformat()}'::timestamptz".encode()
        clamp = DUE["clamp_leases"].replace(b"clock_timestamp()", moment)
        with patch.dict(DUE, clamp_leases=clamp):
            self._wait(self._store.clamp_due(at=at, longest=longest))

    def _moment(self) -> dict[str, object]:
        return {"now": self.now(), "gone": sorted(self.gone)}

    async def _asked(self, statement: bytes, row: dict[str, object]):
        async with self._store._transaction() as cursor:
            await cursor.execute(statement, row)
            return await cursor.fetchall()

    # What a life looks at

    @property
    def scope_rows(self):
        ids = list(self.scopes)
        return self._remember("scope agendas", lambda: self._store.scope_agendas(ids))

    @property
    def recipe_rows(self):
        return {1: self._remember("recipe agenda", lambda: self._store.recipe_agenda(1))}

    @property
    def settings_count(self) -> int:
        return self._remember("settings", self._store.settings)

    @settings_count.setter
    def settings_count(self, count: int) -> None:
        self.write("update workspace set settings = %s", [(count,)])

    def quiet(self) -> None:
        """Leave nothing due when a life is over: the next one is in the same database."""
        for statement in QUIET:
            self.write(statement, [()])


class Under:
    """A store under leases: what it writes is refused once one of them was taken by another."""

    def __init__(self, real: RealTwin, leases: Sequence[Lease]) -> None:
        self._real = real
        self._leases = tuple(leases)
        self._store = real._store.under(leases)

    def under(self, leases: Sequence[Lease]) -> Under:
        return Under(self._real, (*self._leases, *leases))

    def __getattr__(self, name: str):
        if name in ("take", "extend", "scope"):
            return getattr(self._real, name)
        return self._real.over(self._store, name)


class RealDesk:
    """What is due over the tenants of a life; it gives them the numbers 1 and 2."""

    def __init__(self, database: Database, stores: dict[int, RealTwin]) -> None:
        first = stores[1]._store
        self._desk = DueDesk(first._pool, first._keyring)
        self._database = database
        self._real = {number: one._store._tenant for number, one in stores.items()}
        self._numbers = {tenant: number for number, tenant in self._real.items()}

    async def work(self, going, *, at, each):
        asked = [(kind, self._real[number], id_) for kind, number, id_ in going]
        found = self._database.wait(self._desk.work(asked, at=at, each=each))
        mine = [row for row in found if row[1] in self._numbers]
        return [(row[0], self._numbers[row[1]], *row[2:]) for row in mine]

    async def loose_recipes(self):
        found = self._database.wait(self._desk.loose_recipes())
        return [(self._numbers[t], recipe) for t, recipe in found if t in self._numbers]

    async def restless(self):
        found = self._database.wait(self._desk.restless())
        return [self._numbers[tenant] for tenant in found if tenant in self._numbers]

    async def rows(self, *, at, most):
        del at, most
        return []

    async def tenants(self):
        return sorted(self._real)
