"""What happens in a simulated life: what people do, and what goes wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from simulation.confirming import confirm
from simulation.systems import OUTSIDE, at_once

if TYPE_CHECKING:
    from simulation.company import Company
    from simulation.plan import Act
    from simulation.process import Process
    from simulation.world import World

SIGNED_OUT_SECONDS = 25.0
STALE_SECONDS = 8.0


class Doing:
    """Something that happens: its tenant, and what it is about. `do` lets it happen."""

    def __init__(self, world: World, act: Act) -> None:
        tenant, self.index, self.user, *self.more = (*act.args, *(1, 0, 0)[len(act.args) :])
        self.world = world
        self.name = act.name
        self.company: Company = world.companies.get(tenant, world.companies[1])

    def do(self) -> None:
        """Let it happen; where it does not apply, nothing does."""
        getattr(self, self.name.replace(" ", "_"))()

    @property
    def target(self) -> str:
        names = [name for name in self.company.ends if name != "a"]
        return names[self.user % len(names)]

    @property
    def system(self) -> str:
        return list(self.company.ends)[self.user % len(self.company.ends)]

    @property
    def process(self) -> Process | None:
        live = self.world.live()
        return live[self.user % len(live)] if live else None

    # What people do

    def make(self) -> None:
        if self.index is True or len(self.company.a.records) < 5:
            crew = self.more[0] if self.more else tuple(self.company.ends)[1:2]
            self.company.make("a", crew)

    def edit_source(self) -> None:
        self.company.edit("a", self.index, self.more[0])

    def edit_target(self) -> None:
        self.company.edit(self.target, self.index, self.more[0])

    def assign(self) -> None:
        self.company.assign(self.index, self.more[0])

    def status(self) -> None:
        self.company.status(self.index, self.more[0])

    def delete_source(self) -> None:
        self.company.delete("a", self.index)

    def delete_target(self) -> None:
        self.company.delete(self.target, self.index)

    def put_back(self) -> None:
        self.company.restore(self.system)

    def twin(self) -> None:
        self.company.make(self.target, twin=self.index)

    def answer(self) -> None:
        self.company.answer(*self.more)

    def now(self) -> None:
        self.ask(whole=False)

    def whole(self) -> None:
        self.ask(whole=True)

    def ask(self, *, whole: bool) -> None:
        store = self.company.store
        at_once(store.make_due(list(store.scopes), at=self.world.now(), whole=whole))

    def confirm(self) -> None:
        if self.process is not None and not self.process.stop.is_set():
            self.process.host(confirm(self.process, self.company))

    def wipe(self) -> None:
        self.company.wipe("a")
        self.world.fire("everything deleted")

    def save(self) -> None:
        if self.world.database is not None:
            return  # a database is restored by tests/store/test_backup.py
        self.world.saved = {t: one.store.saved() for t, one in self.world.companies.items()}

    # What goes wrong with systems

    def fate(self) -> None:
        how, times = self.more
        self.company.wilds[self.system].fates += [how] * times

    def outage(self) -> None:
        wild = self.company.wilds[self.system]
        wild.goes_down()
        self.world.fire("outage")
        self.world.loop.call_later(self.more[0], wild.comes_up, context=OUTSIDE)

    def refuse(self) -> None:
        how = "lacking" if self.index % 2 else "refuse"
        self.company.fail(self.target, how)
        self.world.fire(how)

    def list_fails(self) -> None:
        self.company.fail(self.system, "list")
        self.world.fire("list fails")

    def expire(self) -> None:
        self.company.expire(self.system)
        self.world.fire("cursor expired")

    def sign_out(self) -> None:
        company, name = self.company, self.system
        company.sign(name, out=True)
        self.world.fire("signed out")

        def sign_in() -> None:
            company.sign(name, out=False)
            company.store.settings_count += 1

        self.world.loop.call_later(SIGNED_OUT_SECONDS, sign_in, context=OUTSIDE)

    def stale(self) -> None:
        name = self.system
        if self.company.ends[name].lag:
            self.company.remember(name)
            self.world.loop.call_later(STALE_SECONDS, self.company.lie, name, context=OUTSIDE)
            self.world.fire("stale list")

    def deaf(self) -> None:
        self.company.deafen(self.system, 2)
        self.world.fire("deaf")

    # What goes wrong with processes, the database and clocks

    def kill(self) -> None:
        if self.process is not None:
            self.process.dies_in, _ = self.more

    def kill_all(self) -> None:
        for process in self.world.live():
            self.world.kill(process)

    def end(self) -> None:
        if self.process is not None and len(self.world.live()) > 1:
            self.world.fire("end")
            self.process.end()
            self.world.loop.call_later(5.0, self.world.again, context=OUTSIDE)

    def pause(self) -> None:
        if self.process is not None:
            self.world.pause(self.process, self.more[0])

    def store(self) -> None:
        how, times = self.more
        if self.process is not None:
            self.process.store_fates += [how] * times

    def engine(self) -> None:
        how, times = self.more
        if self.process is not None:
            self.process.engine_fates += [how] * times

    def leap(self) -> None:
        self.world.leap(self.more[0])

    def drift(self) -> None:
        if self.process is not None:
            self.process.offset = timedelta(seconds=self.more[0] / 40)
            self.world.fire("clock drift")

    def backup(self) -> None:
        if self.world.saved is not None:
            self.world.restore(self.world.saved)
