"""The tick: releases what is due to the engine, one process at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from truckroll.errands.fair import EACH_TENANT, fair
from truckroll.errands.ports import Errand, Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from truckroll.errands.ports import Due, Engine

EVERY_SECONDS = 1.0
_AHEAD = timedelta(seconds=EVERY_SECONDS)  # what is due before the next look is looked for then
SWEEP_SECONDS = 10.0
KEEP_SECONDS = 3600.0
PRUNED_AT_ONCE = 1000
JUMP_SECONDS = 30.0
log = logging.getLogger(__name__)


class Tick:
    """Looks every second, or when it is woken, for what is due.

    `look` is called at each look of the tick that is at work, and `sweep` now and then: they make
    due what the clock alone makes due. `jumped` is called where the wall clock leapt, or may have
    before this process began; and again when all errands have ended that went on just then, since
    they may have put down times of the old. Time between looks is counted by a clock that never
    leaps (F57).
    """

    def __init__(
        self,
        engine: Engine,
        due: Due,
        *,
        now: Callable[[], datetime],
        look: Callable[[], Awaitable[None]],
        sweep: Callable[[], Awaitable[None]],
        jumped: Callable[[], Awaitable[None]],
        steady: Callable[[], float] = time.monotonic,
        each: int = EACH_TENANT,
    ) -> None:
        self._engine = engine
        self._due = due
        self._now = now
        self._look = look
        self._sweep = sweep
        self._jumped = jumped
        self._steady = steady
        self._each = each
        self._accounts: dict[Errand, tuple[int, int]] = {}
        self._swept = float("-inf")
        self._pause = EVERY_SECONDS
        self._offset: float | None = None
        self._astride: set[Errand] = set()
        self.woken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until the event is set; a database that is away is waited for."""
        while not stop.is_set():
            try:
                await self.once()
            except Exception as error:  # noqa: BLE001 -- whatever it was, the next look may do
                log.warning("the tick failed and goes on: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self.woken.wait()
            self.woken.clear()

    async def once(self) -> list[Errand]:
        """Look once; return what was released. Nothing where another process ticks just then."""
        self._pause = EVERY_SECONDS
        async with self._due.alone() as mine:
            if not mine:
                return []
            await self._keep()
            going = await self._engine.going()
            await self._land(going)
            busy = [(one.kind, one.tenant, one.about) for one in going]
            now = self._now()
            found = await self._due.work(busy, at=now + _AHEAD, each=self._each)
            work = [Work(Errand(*row[:3]), row[4], row[3]) for row in found if row[4] <= now]
            soon = [(row[4] - now).total_seconds() for row in found if row[4] > now]
            self._pause = min(soon, default=EVERY_SECONDS)
            chosen = fair(work, going, self._accounts, each_tenant=self._each)
            known = set(going)
            kept = {one: where for one, where in self._accounts.items() if one in known}
            kept |= {one.errand: (one.errand.tenant, one.account) for one in work if one.account}
            self._accounts = kept
            return await self._engine.defer(chosen) if chosen else []

    async def _land(self, going: Sequence[Errand]) -> None:
        """Put right once more what errands left behind that went on while the clock leapt."""
        if not self._astride:
            return
        self._astride.intersection_update(going)
        if not self._astride:
            await self._jumped()

    async def _keep(self) -> None:
        """Do now and then what is to be done now and then."""
        now = self._steady()
        offset = self._now().timestamp() - now
        if self._offset is None or abs(offset - self._offset) > JUMP_SECONDS:
            self._astride = set(await self._engine.going())
            await self._jumped()
        self._offset = offset
        await self._look()
        if now - self._swept < SWEEP_SECONDS:
            return
        self._swept = now
        await self._sweep()
        await self._engine.prune(seconds=KEEP_SECONDS, most=PRUNED_AT_ONCE)
