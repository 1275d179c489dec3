"""A simulated process of the hub: the real worker, tick, errands and agenda behind doors.

Everything that a process asks of the store, the engine or a system goes through `point`: there it
may be killed, wait, or find the database away.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

from psycopg import OperationalError

from truckroll.app.agenda import Agenda
from truckroll.app.errands import Errands
from truckroll.app.hub import Hub
from truckroll.app.resident import Known, Resident
from truckroll.errands.memory import MemoryEngine
from truckroll.errands.ports import EngineAway
from truckroll.errands.tick import Tick
from truckroll.errands.worker import Worker
from truckroll.kit.contract import Session
from truckroll.sync.leases import Terms
from truckroll.sync.perform import Hand

if TYPE_CHECKING:
    from simulation.world import World

SLOW = 5.0
YIELDS = 0.06


class OverError(BaseException):
    """The world has ended; what is torn down then does nothing more."""


class Process:
    """One process. `dies_in` counts the points until it is killed."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.offset = timedelta(0)
        self.dies_in = 0
        self.store_fates: list[str] = []
        self.engine_fates: list[str] = []
        self.alive = True
        self.paused_until = self.troubled_until = -1.0
        self.chance = random.Random(f"{world.seed} {name}")
        self.stop = asyncio.Event()
        self.engine = MemoryEngine(world.board)
        self.tick: Tick | None = None
        self.worker: Worker | None = None
        self.guests: set[asyncio.Task] = set()

    def now(self):
        return self.world.now() + self.offset

    def start(self) -> None:
        with self.world.loop.process(self.name):
            self.task = self.world.loop.create_task(self._run())
            self.task.add_done_callback(self._ended)

    def _ended(self, task) -> None:
        if task.cancelled() or task.exception() is not None:
            self.world.broken(f"{self.name} ended: {task.exception()!r}")
        self.world.gone(self)

    async def _run(self) -> None:
        resident = HubResident(self)
        desk = DeskDoor(self)
        agenda = Agenda(resident, desk)
        errands = Errands(
            resident, chance=self.chance.random, terms=Terms(clock=self.world.now_steady)
        )
        engine = EngineDoor(self)
        self.tick = Tick(
            engine,
            desk,
            now=self.now,
            look=agenda.look,
            sweep=agenda.sweep,
            jumped=agenda.jumped,
            steady=self.world.now_steady,
        )
        self.worker = Worker(engine, errands.registry(), ended=self.tick.woken.set)
        tick = asyncio.create_task(self.tick.run(self.stop))
        try:
            await self.worker.run(self.stop)
        finally:
            await tick
            while self.guests:
                await asyncio.wait(self.guests)

    def host(self, work) -> asyncio.Task:
        """Let what a person does go on in this process, which ends after it."""
        with self.world.loop.process(self.name):
            task = self.world.loop.create_task(work)
        self.guests.add(task)
        task.add_done_callback(self.guests.discard)
        return task

    def calm(self) -> None:
        """Nothing goes wrong with it any more."""
        self.dies_in = 0
        self.store_fates, self.engine_fates = [], []
        self.offset = timedelta(0)

    def end(self) -> None:
        """Ask it to end, as a signal does."""
        self.stop.set()
        for one in (self.tick, self.worker):
            if one is not None:
                one.woken.set()

    async def point(self, where: str) -> None:
        """Be killed here, wait a little, or go on at once."""
        world = self.world
        if world.over:
            raise OverError
        if self.dies_in:
            self.dies_in -= 1
            if not self.dies_in:
                world.kill(self, where)
                await asyncio.sleep(0)  # for ever
        if world.chance.random() < YIELDS:
            await asyncio.sleep(world.chance.choice((0.0, 0.0, 0.01, 0.2)))

    async def trouble(self, fates: list[str], moment: str) -> bool:
        """Tell whether the database fails before or after the present operation."""
        if fates and fates[0] == "slow" and moment == "before":
            fates.pop(0)
            self.world.fire("slow store")
            await asyncio.sleep(SLOW)
        if fates and fates[0] == moment:
            fates.pop(0)
            self.troubled_until = self.world.loop.now
            return True
        return False


class StoreDoor:
    """The store of a tenant as a process has it."""

    def __init__(self, process: Process, company, store=None, leases=()) -> None:
        self.process = process
        self.company = company
        self._twin = company.store
        self._store = store or company.store
        self._leases = tuple(leases)

    def under(self, leases):
        store = self._twin.under((*self._leases, *leases))
        return StoreDoor(self.process, self.company, store, (*self._leases, *leases))

    def __getattr__(self, name: str):
        process, twin, store, leases = self.process, self._twin, self._store, self._leases
        world = process.world

        async def call(*args, **how):
            await process.point(name)
            if process.store_fates and await process.trouble(process.store_fates, "before"):
                world.fire("store fails")
                raise OperationalError("the server closed the connection")
            twin.holder = process.name
            if name == "scope":
                result = twin.scope(*args)
            else:
                result = await getattr(store, name)(*args, **how)
            if leases and name in world.fenced:
                world.held_to_epochs(process, twin, leases, name)
            if process.store_fates and await process.trouble(process.store_fates, "after"):
                world.fire("store answer lost")
                raise OperationalError("the server closed the connection")
            await process.point(name)
            return result

        self.__dict__[name] = call
        return call


class EngineDoor:
    """The engine as a process has it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._engine = process.engine

    def __getattr__(self, name: str):
        process, operation = self._process, getattr(self._engine, name)
        world = process.world

        async def call(*args, **how):
            await process.point(name)
            if process.engine_fates and await process.trouble(process.engine_fates, "before"):
                world.fire("engine fails")
                raise EngineAway("the server closed the connection")
            world.asks(name)
            result = await operation(*args, **how)
            world.answered(process, name, args, result)
            if process.engine_fates and await process.trouble(process.engine_fates, "after"):
                world.fire("engine answer lost")
                raise EngineAway("the server closed the connection")
            await process.point(name)
            return result

        self.__dict__[name] = call
        return call


class DeskDoor:
    """What is due over all tenants, as a process asks it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @asynccontextmanager
    async def alone(self):
        world = self._process.world
        await self._process.point("alone")
        if world.ticking:
            yield False
            return
        world.ticking = self._process.name
        try:
            yield True
        finally:
            if world.ticking == self._process.name:
                world.ticking = ""

    def __getattr__(self, name: str):
        process, operation = self._process, getattr(self._process.world.desk, name)

        async def call(*args, **how):
            await process.point(name)
            if process.store_fates and await process.trouble(process.store_fates, "before"):
                process.world.fire("store fails")
                raise OperationalError("the server closed the connection")
            return await operation(*args, **how)

        self.__dict__[name] = call
        return call


class HubKnown(Known):
    """What is known of a tenant; its accounts are signed in to simulated systems."""

    company = None

    async def hand(self, recipe, account: int) -> Hand:
        del recipe
        name = self.company.account_of[account]
        wild = self.company.wilds[name]
        session = Session(
            account=name,
            system="nasty",
            settings={"url": "https://calendars.example/"},
            http=SimpleNamespace(calls=wild.lists),
        )
        return Hand(session, wild.resource(), wild.nasty.name)


class HubResident(Resident):
    """Knows the simulated tenants by their stores' doors."""

    def __init__(self, process: Process) -> None:
        doors = {tenant: StoreDoor(process, one) for tenant, one in process.world.companies.items()}
        super().__init__(None, SimpleNamespace(of=doors.__getitem__), now=process.now)

    def hub(self, tenant: int) -> Hub:
        return Hub(home=self.home, store=self.stores.of(tenant), now=self.now)

    async def _present(self, tenant: int) -> Known:
        hub = self.hub(tenant)
        async with self._loading[tenant]:
            settings = await hub.store.settings()
            old = self._known.get(tenant)
            if old is not None and old.settings == settings:
                return old
            company = hub.store.company
            new = HubKnown(hub, settings, {company.installed.row.id: company.installed})
            new.company = company
            self._known[tenant] = new
            return new
