"""When the faults stop: all comes to rest, all agree, and news goes through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from simulation.acts import Doing
from simulation.company import RECIPE
from simulation.confirming import confirm
from simulation.loop import BrokenError
from simulation.pace import busy, idle
from simulation.plan import Act

if TYPE_CHECKING:
    from simulation.company import Company
    from simulation.world import World

BUSY_SECONDS = 20.0  # then nothing much happens any more, and the idle look around less often
CALM_SECONDS = 2400.0  # the longest back-off of failures that a life can pile up, and a poll
LEFT_ALONE_SECONDS = 7.5 * 3600.0  # the longest that what killed again and again is left alone
REST_SECONDS = 900.0
PROBE_SECONDS = 40
LANDS_SECONDS = 2.1  # the longest that what a dead process sent is under way
NEWS_SECONDS = 5.0  # until what somebody did last is on its way


class Calm:
    """When the faults stop: all is at rest in a bounded time, all agree, and news goes through."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def come(self) -> None:
        """Stop all faults, and hold the hub to what must hold then; raises BrokenError."""
        world = self.world
        world.at_ease = True
        world.tell("the faults stop")
        for company in world.companies.values():
            company.calm()
            company.store.settings_count += 1
        for process in world.live():
            process.calm()
        if not world.live():
            world.begin()
        away = max(one.paused_until for one in world.live())
        await asyncio.sleep(max(LANDS_SECONDS, away - world.loop.now))
        await self._rest(CALM_SECONDS)
        self._agree()
        await self._probe()
        await self._nothing_more()

    async def _rest(self, most: float, *, read: bool = True) -> None:
        """Wait until nothing is due; people answer the brakes meanwhile."""
        world = self.world
        began = world.loop.now
        last = began + most
        while why := self._restless(began if read else -1.0):
            world.look()
            if any(one.left_alone() for one in world.companies.values()):
                last = min(world.loop.now, began + LEFT_ALONE_SECONDS) + most
            if world.loop.now > last:
                raise BrokenError(f"C1: not at rest after {most:g} s: {why}")
            for company in world.companies.values():
                trouble = company.store.recipe_rows[RECIPE].trouble
                staying = [one for one in world.live() if not one.stop.is_set()]
                if staying and ("would" in trouble or "shows 0" in trouble):
                    await confirm(staying[0], company, inside=False)
            slowly = world.loop.now - began > BUSY_SECONDS
            (idle if slowly else busy)()
            await asyncio.sleep(10.0 if slowly else 2.0)
        busy()
        world.look()

    def _restless(self, since: float) -> str:
        world = self.world
        now = world.now()
        for company in world.companies.values():
            if why := company.restless(since, now):
                return why
        going = [row.errand.key for row in world.board.rows.values() if row.ended_at is None]
        return f"{going} wait" if going else ""

    def _agree(self) -> None:
        for company in self.world.companies.values():
            company.world.at = self.world.now()
            company.agree()

    async def _probe(self) -> None:
        """What changes now, with a push, is soon everywhere; also while its scope is read."""
        for number, company in enumerate(self.world.companies.values()):
            if "a" in company.pushing and company.a.records:
                if (self.world.seed + number) % 2:
                    await self._in_a_read(company)
                await self._news(company)
                self.world.look()

    async def _in_a_read(self, company: Company) -> None:
        """Wait until the source is being read."""
        wild = company.wilds["a"]
        before = wild.lists
        self._ask_all(company)
        for _ in range(200):
            if wild.lists > before:
                return
            await asyncio.sleep(0.01)

    async def _news(self, company: Company) -> None:
        id_, value = min(company.a.records), company.value("title")
        company.world.at = self.world.now()
        company.type("a", id_, title=value)
        self.world.tell(f"probe {id_}")
        for _ in range(PROBE_SECONDS):
            await asyncio.sleep(1.0)
            if company.mirrored("a", id_, "title", value):
                return
        raise BrokenError(f"C1: a change of {id_} was not seen within {PROBE_SECONDS} s")

    def _ask_all(self, company: Company) -> None:
        Doing(self.world, Act(0.0, "whole", (company.tenant, 0, 0))).do()

    async def _nothing_more(self) -> None:
        """A complete read of everything brings nothing to be written."""
        world = self.world
        await asyncio.sleep(NEWS_SECONDS)
        await self._rest(REST_SECONDS, read=False)
        before = {tenant: one.writes() for tenant, one in world.companies.items()}
        for company in world.companies.values():
            self._ask_all(company)
        await self._rest(REST_SECONDS)
        for tenant, company in world.companies.items():
            if company.writes() != before[tenant]:
                raise BrokenError(f"C1: tenant {tenant} was still being written to")
        self._agree()
