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

from simulation.company import MIRROR, RECIPE, Company
from simulation.loop import PROCESS, SimulatedLoop, StuckError
from simulation.plan import Plan, draw
from simulation.process import OverError, Process, StoreDoor
from simulation.systems import OUTSIDE, deliver
from support.nasty import T0
from truckroll.app.installed import make_job
from truckroll.errands import tick as ticking
from truckroll.errands import worker as working
from truckroll.errands.memory import Board
from truckroll.errands.ports import STALLED_SECONDS
from truckroll.store import memory_leases
from truckroll.store.memory_due import MemoryDesk
from truckroll.sync.leases import Terms, alone, is_fenced
from truckroll.sync.ports import Busy, Fenced
from truckroll.sync.run import Report, adopt, check, foresee, perform, recover, under

if TYPE_CHECKING:
    from datetime import datetime

    from simulation.plan import Act

EVERY_SECONDS, KEEP_SECONDS = ticking.EVERY_SECONDS, ticking.KEEP_SECONDS
SIMULATED_EVERY = 2.0  # half as many idle ticks: they are most of what a life would cost
LOOK_SECONDS = working.LOOK_SECONDS
BUSY_SECONDS = 20.0  # then nothing much happens any more, and the idle look around less often
CALM_SECONDS = 2400.0  # the longest back-off of failures that a life can pile up, and a poll
PROBE_SECONDS = 40.0
SESSION_SECONDS = 2.0  # until the database sees that a killed process's session is gone


class BrokenError(AssertionError):
    """Something did not hold."""


class World:
    """A simulated hub: tenants, processes, and all that they share."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
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
        self.desk = MemoryDesk({t: one.store for t, one in self.companies.items()}, self.now)
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
        self.loop.call_later(again, self._again, context=OUTSIDE)

    def _again(self) -> None:
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

    def asks(self, process: Process, name: str) -> None:
        """Look at what a process is about to ask of the engine."""
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
        answer = self.loop.create_future()
        with self.loop.process(process.name):
            self.loop.create_task(receiver(process, company, scope, delivery, answer))
        try:
            async with asyncio.timeout(10.0):
                taken = await answer
        except TimeoutError:
            return False
        if taken:
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
            self._look()
        await Calm(self).come()

    def _look(self) -> None:
        for one in self.companies.values():
            one.look()
        for status in ("todo", "doing"):
            keys = [one.errand.key for one in self.board.rows.values() if one.status == status]
            if len(keys) > len(set(keys)):
                self.broken(f"two of {keys} are {status} at once")
        if self.broke:
            raise BrokenError(self.broke)

    def _do(self, act: Act) -> None:
        tenant, index, user, *more = (*act.args, *(1, 0, 0)[len(act.args) :])
        company = self.companies[tenant] if tenant in self.companies else self.companies[1]
        for one in self.companies.values():
            one.world.at = self.now()
        self.tell(f"- {act.name} {act.args}")
        acting = getattr(self, "_act_" + act.name.replace(" ", "_"))
        acting(company, index, user, *more)

    def _target(self, company: Company, user: int) -> str:
        names = [name for name in company.ends if name != "a"]
        return names[user % len(names)]

    def _name(self, company: Company, user: int) -> str:
        return list(company.ends)[user % len(company.ends)]

    def _process(self, user: int) -> Process | None:
        live = self.live()
        return live[user % len(live)] if live else None

    # What people do

    def _act_make(self, company, index, user, crew=None) -> None:
        if index is True or len(company.a.records) < 5:
            company.make("a", crew if crew is not None else tuple(company.ends)[1:2])

    def _act_edit_source(self, company, index, user, field, _) -> None:
        company.edit("a", index, field)

    def _act_edit_target(self, company, index, user, field, _) -> None:
        company.edit(self._target(company, user), index, field)

    def _act_assign(self, company, index, user, crew) -> None:
        company.assign(index, crew)

    def _act_status(self, company, index, user, status) -> None:
        company.status(index, status)

    def _act_delete_source(self, company, index, user) -> None:
        company.delete("a", index)

    def _act_delete_target(self, company, index, user) -> None:
        company.delete(self._target(company, user), index)

    def _act_put_back(self, company, index, user) -> None:
        company.restore(self._name(company, user))

    def _act_twin(self, company, index, user, _) -> None:
        company.make(self._target(company, user), twin=index)

    def _act_answer(self, company, index, user, field, answer) -> None:
        company.answer(field, answer)

    def _act_now(self, company, index, user) -> None:
        self._ask(company, whole=False)

    def _act_whole(self, company, index, user) -> None:
        self._ask(company, whole=True)

    def _ask(self, company, *, whole: bool) -> None:
        scopes = list(company.store.scopes)
        _at_once(company.store.make_due(scopes, at=self.now(), whole=whole))

    def _act_confirm(self, company, index, user) -> None:
        process = self._process(user)
        if process is not None:
            with self.loop.process(process.name):
                self.loop.create_task(confirm(process, company))

    def _act_wipe(self, company, index, user) -> None:
        company.wipe("a")
        self.fire("everything deleted")

    def _act_save(self, company, index, user) -> None:
        self.saved = {t: one.store.saved() for t, one in self.companies.items()}

    # What goes wrong

    def _act_system(self, company, index, user, fate, times) -> None:
        company.wilds[self._name(company, user)].fates += [fate] * times

    def _act_outage(self, company, index, user, seconds) -> None:
        wild = company.wilds[self._name(company, user)]
        wild.goes_down()
        self.fire("outage")
        self.loop.call_later(seconds, wild.comes_up, context=OUTSIDE)

    def _act_refuse(self, company, index, user) -> None:
        company.fail(self._target(company, user), "refuse")
        self.fire("refuse")

    def _act_list_fails(self, company, index, user) -> None:
        company.fail(self._name(company, user), "list")
        self.fire("list fails")

    def _act_expire(self, company, index, user) -> None:
        company.expire(self._name(company, user))
        self.fire("cursor expired")

    def _act_sign_out(self, company, index, user) -> None:
        name = self._name(company, user)
        company.sign(name, out=True)
        self.fire("signed out")
        self.loop.call_later(25.0, self._sign_in, company, name, context=OUTSIDE)

    def _sign_in(self, company, name) -> None:
        company.sign(name, out=False)
        company.store.settings_count += 1

    def _act_stale(self, company, index, user) -> None:
        name = self._name(company, user)
        if company.ends[name].lag:
            company.remember(name)
            self.loop.call_later(8.0, company.lie, name, context=OUTSIDE)
            self.fire("stale list")

    def _act_deaf(self, company, index, user) -> None:
        company.deafen(self._name(company, user), 2)
        self.fire("deaf")

    def _act_kill(self, company, index, user, points, _) -> None:
        process = self._process(user)
        if process is not None:
            process.dies_in = points

    def _act_kill_all(self, company, index, user) -> None:
        for process in self.live():
            self.kill(process)

    def _act_end(self, company, index, user) -> None:
        process = self._process(user)
        if process is not None and len(self.live()) > 1:
            self.fire("end")
            process.end()
            self.loop.call_later(5.0, self._again, context=OUTSIDE)

    def _act_pause(self, company, index, user, seconds=1.0) -> None:
        process = self._process(user)
        if process is not None:
            self.pause(process, seconds)

    def _act_store(self, company, index, user, moment, times) -> None:
        process = self._process(user)
        if process is not None:
            process.store_fates += [moment] * times

    def _act_engine(self, company, index, user, moment, times) -> None:
        process = self._process(user)
        if process is not None:
            process.engine_fates += [moment] * times

    def _act_leap(self, company, index, user, seconds) -> None:
        self.leapt += timedelta(seconds=seconds)
        self.leapt_at = self.loop.now
        self.fire("clock leap")

    def _act_drift(self, company, index, user, seconds) -> None:
        process = self._process(user)
        if process is not None:
            process.offset = timedelta(seconds=seconds / 40)
            self.fire("clock drift")

    def _act_restore(self, company, index, user) -> None:
        if self.saved is None:
            return
        self.fire("backup restored")
        for process in self.live():
            self.kill(process, "restore", again=5.0)
            self.gone(process)
        for tenant, one in self.companies.items():
            one.store.restored(self.saved[tenant], self.now())
            one.went_back()
        self.board.rows.clear()


class Calm:
    """When the faults stop: all is at rest in a bounded time, all agree, and news goes through."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def come(self) -> None:
        world = self.world
        world.at_ease = True
        world.tell("the faults stop")
        for company in world.companies.values():
            company.calm()
            company.store.settings_count += 1
        for process in world.live():
            process.dies_in = 0
            process.store_fates, process.engine_fates = [], []
            process.offset = timedelta(0)
        if not world.live():
            world.begin()
        await self._rest(CALM_SECONDS)
        self._agree()
        await self._probe()
        await self._nothing_more()

    async def _rest(self, most: float, *, read: bool = True) -> None:
        """Wait until nothing is due; people answer the brakes meanwhile."""
        world = self.world
        began = world.loop.now
        while why := self._restless(began if read else -1.0):
            world._look()
            if world.loop.now - began > most:
                raise BrokenError(f"C1: not at rest after {most:g} s: {why}")
            for company in world.companies.values():
                recipe = company.store.recipe_rows[RECIPE]
                if "would" in recipe.trouble or "shows 0" in recipe.trouble:
                    await confirm(world.live()[0], company, inside=False)
            slowly = world.loop.now - began > BUSY_SECONDS
            ticking.EVERY_SECONDS = 15.0 if slowly else SIMULATED_EVERY
            working.LOOK_SECONDS = 15.0 if slowly else LOOK_SECONDS
            await asyncio.sleep(10.0 if slowly else 2.0)
        ticking.EVERY_SECONDS, working.LOOK_SECONDS = SIMULATED_EVERY, LOOK_SECONDS
        world._look()

    def _restless(self, since) -> str:
        world = self.world
        now = world.now()
        for company in world.companies.values():
            if why := company.restless(since, now):
                return why
        going = [
            row.errand.key
            for row in world.board.rows.values()
            if row.status != "succeeded" and row.status != "failed"
        ]
        return f"{going} wait" if going else ""

    def _agree(self) -> None:
        for company in self.world.companies.values():
            company.world.at = self.world.now()
            company.agree()

    async def _probe(self) -> None:
        """What changes now, with a push, is soon everywhere; also while its scope is read."""
        world = self.world
        for number, company in enumerate(world.companies.values()):
            if "a" not in company.pushing or not company.a.records:
                continue
            wild = company.wilds["a"]
            if (world.seed + number) % 2:
                before = wild.lists
                world._ask(company, whole=True)
                for _ in range(200):
                    if wild.lists > before:
                        break
                    await asyncio.sleep(0.01)
            id_ = min(company.a.records)
            value = company.value("title")
            company.world.at = world.now()
            company.type("a", id_, title=value)
            world.tell(f"probe {id_}")
            for _ in range(int(PROBE_SECONDS)):
                await asyncio.sleep(1.0)
                if company.mirrored("a", id_, "title", value):
                    break
            else:
                raise BrokenError(f"C1: a change of {id_} was not seen within {PROBE_SECONDS} s")
            world._look()

    async def _nothing_more(self) -> None:
        """A complete read of everything brings nothing to be written."""
        world = self.world
        await self._rest(900.0, read=False)
        before = {t: one.writes() for t, one in world.companies.items()}
        for company in world.companies.values():
            world._ask(company, whole=True)
        await self._rest(600.0)
        for tenant, company in world.companies.items():
            if company.writes() != before[tenant]:
                raise BrokenError(f"C1: tenant {tenant} was still being written to")
        self._agree()


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


async def confirm(process: Process, company: Company, *, inside: bool = True) -> None:
    """Let a person run `apply` and confirm what the brakes ask."""
    world = process.world
    company.confirmed_until = world.loop.now + 120.0
    world.tell(f"a person confirms for tenant {company.tenant}")
    if not inside:
        with world.loop.process(process.name):
            await world.loop.create_task(confirm(process, company))
        return
    known = process_known(process, company)
    try:
        async with alone(known.hub.store, RECIPE, terms=Terms(clock=world.now_steady)) as held:
            job = make_job(known.hub, company.installed, await known.hands(company.installed))
            job = under(job, held)
            run = await job.store.start_run(RECIPE, "apply")
            report = Report()
            await recover(job)
            await adopt(job, "source")
            _, foreseen = await foresee(job, report.waiting)
            report.stops = await check(
                job,
                report,
                (await foresee(job, report.waiting))[0],
                confirmed=10_000,
                hour=timedelta(hours=1),
            )
            await perform(job, run, report, foreseen=foreseen)
            await job.store.close_run(run)
        store = company.store
        for id_, row in store.scope_rows.items():
            store.scope_rows[id_] = _calmed(row)
        await known.hub.store.make_recipes_due([RECIPE], at=process.now())
    except (Busy, OperationalError):
        pass
    except Exception as error:
        if not is_fenced(error):
            raise


def _calmed(row):
    import msgspec

    return msgspec.structs.replace(row, emptied=0)


def process_known(process: Process, company: Company):
    """Return what a process knows of a tenant, for a person's command."""
    from simulation.process import HubKnown, HubResident

    hub = HubResident(process).hub(company.tenant)
    known = HubKnown(hub, 0, {RECIPE: company.installed})
    known.company = company
    return known


def _at_once(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


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


def simulate(plan: Plan | int) -> World:
    """Live through a plan, or through the plan of a seed; raises what did not hold."""
    if isinstance(plan, int):
        plan = draw(plan)
    world = World(plan)
    world.loop.set_exception_handler(lambda *_: None)
    log = logging.getLogger("truckroll")
    ear = _Ear(world)
    propagate = log.propagate
    log.addHandler(ear)
    log.propagate = False
    ticking.EVERY_SECONDS, ticking.KEEP_SECONDS = SIMULATED_EVERY, 60.0
    try:
        world.loop.run_until_complete(world.run())
    except StuckError as error:
        raise BrokenError(f"stuck: {error}") from error
    finally:
        ticking.EVERY_SECONDS, working.LOOK_SECONDS = EVERY_SECONDS, LOOK_SECONDS
        ticking.KEEP_SECONDS = KEEP_SECONDS
        _tear_down(world)
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


__all__ = ["MIRROR", "BrokenError", "OverError", "World", "simulate"]
