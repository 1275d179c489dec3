"""The whole hub in one thread on a virtual clock: its life, its faults, and what must hold."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import sys
import traceback
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from psycopg import OperationalError

from simulation.acts import Doing
from simulation.calm import Calm
from simulation.company import Company
from simulation.loop import PROCESS, BrokenError, SimulatedLoop, StuckError
from simulation.pace import simulated
from simulation.plan import Plan, draw
from simulation.process import Process, StoreDoor
from simulation.real import RealDesk
from simulation.systems import OUTSIDE, deliver
from support.nasty import T0
from truckroll.errands.memory import Board
from truckroll.errands.ports import STALLED_SECONDS
from truckroll.store import memory_leases
from truckroll.store.memory_due import MemoryDesk
from truckroll.sync.ports import Fenced

if TYPE_CHECKING:
    from datetime import datetime

    from simulation.plan import Act
    from support.real import Database

SESSION_SECONDS = 2.0  # until the database sees that a killed process's session is gone


class World:
    """A simulated hub: tenants, processes, and all that they share."""

    def __init__(self, plan: Plan, database: Database | None = None) -> None:
        self.plan = plan
        self.database = database
        self.seed = plan.seed
        self.chance = random.Random(f"world {plan.seed}")
        self.loop = SimulatedLoop(random.Random(f"order {plan.seed}"))
        self.leapt = timedelta(0)
        self._known = 0.0, T0
        self.leapt_at = -1.0
        self.over = False
        self.broke = ""
        self.fired: Counter[str] = Counter()
        self.trace: list[str] = []
        self.board = Board(self.now)
        self.companies = {
            number: Company(self, number, knobs)
            for number, knobs in enumerate(plan.tenants, start=1)
        }
        stores = {tenant: one.store for tenant, one in self.companies.items()}
        self.desk = RealDesk(database, stores) if database else MemoryDesk(stores, self.now)
        self.fenced = memory_leases._WRITES
        self.ticking = ""
        self.processes: list[Process] = []
        self.names = 0
        self.saved = None
        self.errands = 0
        self.at_ease = False
        for one in self.companies.values():
            one.store.now = self.now
            one.store.woken = self._wake_ticks

    # Clocks

    def now(self) -> datetime:
        """Return the database's wall clock."""
        if self.loop.now != self._known[0]:
            self._known = self.loop.now, T0 + timedelta(seconds=self.loop.now)
        return self._known[1] + self.leapt

    def now_steady(self) -> float:
        """Return seconds that never leap."""
        return self.loop.now

    # What is told

    def tell(self, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.loop.now:.3f} {what}")

    def fire(self, fault: str) -> None:
        """Count a fault that took effect."""
        self.fired[fault] += 1
        self.tell(f"! {fault}")

    def broken(self, text: str) -> None:
        """Note that something does not hold; the first one counts."""
        if not self.broke:
            self.broke = text
            self.tell(f"BROKEN {text}")

    @property
    def digest(self) -> str:
        """Return what tells one life from another."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    # Processes

    def here(self) -> Process:
        """Return the process that is at work."""
        name = PROCESS.get()
        return next(one for one in self.processes if one.name == name)

    def begin(self) -> None:
        """Start a process."""
        self.names += 1
        process = Process(self, f"p{self.names}")
        self.processes.append(process)
        self.tell(f"{process.name} starts")
        process.start()

    def live(self) -> list[Process]:
        """Return the processes that are not dead."""
        return [one for one in self.processes if one.alive]

    def kill(self, process: Process, where: str = "", again: float | None = None) -> None:
        """Kill a process; another is started later."""
        if not process.alive:
            return
        self.fire("kill")
        self.tell(f"{process.name} is killed at {where}")
        self.loop.kill(process.name)
        process.alive = False
        pause = self.chance.choice((0.0, SESSION_SECONDS))
        self.loop.call_later(pause, self.gone, process, context=OUTSIDE)
        again = self.chance.choice((0.0, 3.0, 12.0)) if again is None else again
        self.loop.call_later(again, self.again, context=OUTSIDE)

    def again(self) -> None:
        """Start a process in the place of another."""
        if not self.over:
            self.begin()

    def gone(self, process: Process) -> None:
        """Note that a process's sessions are gone: its locks are free."""
        process.alive = False
        if self.ticking == process.name:
            self.ticking = ""
        for one in self.companies.values():
            one.store.gone.add(process.name)

    def pause(self, process: Process, seconds: float) -> None:
        """Stop a process for so long; its sessions stay."""
        self.fire("pause")
        self.tell(f"{process.name} is paused for {seconds:g} s")
        self.loop.pause(process.name, seconds)
        process.paused_until = max(process.paused_until, self.loop.now + seconds)

    # What goes between processes

    def _wake_ticks(self) -> None:
        self._notify(lambda one: one.tick)

    def _notify(self, which) -> None:
        for process in self.live():
            one = which(process)
            if one is None:
                continue
            if not self.at_ease and self.chance.random() < 0.05:
                self.fire("notification lost")
                continue
            with self.loop.process(process.name):
                one.woken.set()

    def asks(self, name: str) -> None:
        """Look at what is about to be asked of the engine."""
        if name == "recover":
            self._doing = {row.id: row for row in self.board.rows.values() if row.status == "doing"}

    def answered(self, process: Process, name: str, args, result) -> None:
        """Look at what the engine answered."""
        if name == "defer" and result:
            self.tell(f"{process.name} releases {[one.key for one in result]}")
            self._notify(lambda one: one.worker)
        elif name == "take" and result is not None:
            self.errands += 1
            self.tell(f"{process.name} takes {result.errand.key}")
        elif name == "finish":
            self.tell(f"{process.name} ends {args[0].errand.key} {result}")
        elif name == "recover" and result:
            self.fire("take over")
            self._robbed()

    def _robbed(self) -> None:
        """Nothing is taken from a process that lives and says so."""
        for id_, row in self._doing.items():
            if row.status != "failed" or self.loop.now - self.leapt_at < 2 * STALLED_SECONDS:
                continue
            owner = next((one for one in self.processes if one.engine._worker == row.worker), None)
            if owner is None or not owner.alive or owner.dies_in < 0 or self._was_away(owner):
                continue
            self.broken(f"errand {id_} was taken from {owner.name}, which lives")

    def _was_away(self, process: Process) -> bool:
        return self.loop.now - max(process.paused_until, process.troubled_until) < STALLED_SECONDS

    def held_to_epochs(self, process: Process, twin, leases, name: str) -> None:
        """Whoever lost a lease writes nothing more."""
        if self.database is not None:
            return
        for one in leases:
            row = twin.lease_rows[one.what, one.id]
            if row.epoch != one.epoch:
                self.broken(f"F36: {process.name} wrote ({name}) under a lost lease of {one.what}")

    # Pushes

    def push(self, company: Company, scope: int) -> None:
        """Let a system tell of a change: soon or late, once or twice, or not at all."""
        delivery = b"%d" % company.next_push()
        luck = 1.0 if self.at_ease else self.chance.random()
        if luck < 0.1:
            self.fire("push lost")
            return
        times = 1
        if luck < 0.25:
            self.fire("push doubled")
            times = 2
        for _ in range(times):
            delay = 0.0 if self.at_ease else self.chance.choice((0.0, 0.0, 0.2, 3.0, 15.0))
            if delay > 1.0:
                self.fire("push late")
            self.loop.call_later(delay, self._send, company, scope, delivery, context=OUTSIDE)

    def _send(self, company: Company, scope: int, delivery: bytes) -> None:
        if not self.over:
            self.loop.create_task(deliver(self, company, scope, delivery))

    async def receive(self, company: Company, scope: int, delivery: bytes) -> bool:
        """Let some process take a push; return whether it was answered with success."""
        live = self.live()
        if not live:
            return False
        process = self.chance.choice(live)
        answer, restores = self.loop.create_future(), company.restores
        with self.loop.process(process.name):
            self.loop.create_task(receiver(process, company, scope, delivery, answer))
        try:
            async with asyncio.timeout(10.0):
                taken = await answer
        except TimeoutError:
            return False
        if taken and company.restores == restores:
            company.acked[delivery] = self.loop.now
        return taken

    # The life

    async def run(self) -> None:
        """Live through the plan, then calm down and hold everything to what must hold."""
        for _ in range(self.plan.processes):
            self.begin()
        for act in self.plan.acts:
            if act.after:
                await asyncio.sleep(act.after)
            self._do(act)
            self.look()
        await Calm(self).come()

    def look(self) -> None:
        """Check what must hold at any moment."""
        for one in self.companies.values():
            one.look()
        for status in ("todo", "doing"):
            keys = [one.errand.key for one in self.board.rows.values() if one.status == status]
            if len(keys) > len(set(keys)):
                self.broken(f"two of {keys} are {status} at once")
        if self.broke:
            raise BrokenError(self.broke)

    def _do(self, act: Act) -> None:
        for one in self.companies.values():
            one.world.at = self.now()
        self.tell(f"- {act.name} {act.args}")
        Doing(self, act).do()

    def leap(self, seconds: float) -> None:
        """Let the database's clock leap, and with it that of all machines."""
        self.leapt += timedelta(seconds=seconds)
        self.leapt_at = self.loop.now
        self.fire("clock leap")

    def restore(self, saved: dict[int, dict[str, object]]) -> None:
        """Put a backup in the place of the database, while nobody is at work."""
        self.fire("backup restored")
        for process in self.live():
            self.kill(process, "restore", again=5.0)
            self.gone(process)
        for tenant, one in self.companies.items():
            one.store.restored(saved[tenant], self.now())
            one.went_back()
        self.board.rows.clear()


async def receiver(process: Process, company: Company, scope: int, delivery: bytes, answer) -> None:
    """Keep a push and answer, as the web of a process does."""
    try:
        door = StoreDoor(process, company)
        await door.keep_push(delivery, [scope], at=process.now())
        taken = True
    except OperationalError:
        taken = False
    if not answer.done():
        answer.set_result(taken)


def _is_foreseen(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_foreseen, error.exceptions))
    return isinstance(error, OperationalError | Fenced)


class _Ear(logging.Handler):
    """Hears what the hub logs: a fault that nobody foresaw is one."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        expected = self._world.over or _is_foreseen(error)
        if error is not None and not expected:
            told = traceback.format_exception(error)
            self._world.broken(f"{record.getMessage()}: {''.join(told)[-1500:]}")


def simulate(plan: Plan | int, database: Database | None = None) -> World:
    """Live through a plan, or through the plan of a seed; raises what did not hold.

    With a `database` its tenants' stores are on PostgreSQL.
    """
    if isinstance(plan, int):
        plan = draw(plan)
    world = World(plan, database)
    world.loop.set_exception_handler(lambda *_: None)
    log = logging.getLogger("truckroll")
    ear = _Ear(world)
    propagate = log.propagate
    log.addHandler(ear)
    log.propagate = False
    try:
        with simulated():
            world.loop.run_until_complete(world.run())
    except StuckError as error:
        raise BrokenError(f"stuck: {error}") from error
    finally:
        _tear_down(world)
        if database is not None:
            for one in world.companies.values():
                one.store.quiet()
        log.removeHandler(ear)
        log.propagate = propagate
    if world.broke:
        raise BrokenError(world.broke)
    return world


def _tear_down(world: World) -> None:
    """Let what was left where it stood end without a word."""
    world.over = True
    told, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        world.loop.close()
        for task in list(world.loop._kept):
            coroutine = task.get_coro()
            for _ in range(5):
                with contextlib.suppress(BaseException):
                    coroutine.close()
                    break
        world.loop._kept.clear()
        world.loop._parked.clear()
        world.loop._ready.clear()
        world.loop._scheduled.clear()
    finally:
        sys.unraisablehook = told
