"""The tick: releases what is due to the engine, one process at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from truckroll.errands.fair import EACH_TENANT, fair
from truckroll.errands.ports import EngineAway, Errand, Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from truckroll.errands.ports import Due, Engine

EVERY_SECONDS = 1.0
SWEEP_SECONDS = 10.0
KEEP_SECONDS = 3600.0
PRUNED_AT_ONCE = 1000
JUMP_SECONDS = 30.0


class Tick:
    """Looks every second, or when it is woken, for what is due.

    `sweep` is called now and then, by the tick that is at work, for what no happening tells of:
    it makes things due. `jumped` is called where the wall clock leapt. Time between looks is
    counted by a clock that never leaps (F57).
    """

    def __init__(
        self,
        engine: Engine,
        due: Due,
        *,
        now: Callable[[], datetime],
        sweep: Callable[[], Awaitable[None]],
        jumped: Callable[[], Awaitable[None]],
        steady: Callable[[], float] = time.monotonic,
        each: int = EACH_TENANT,
    ) -> None:
        self._engine = engine
        self._due = due
        self._now = now
        self._sweep = sweep
        self._jumped = jumped
        self._steady = steady
        self._each = each
        self._accounts: dict[Errand, tuple[int, int]] = {}
        self._swept = float("-inf")
        self._offset: float | None = None
        self.woken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until the event is set; a database that is away is waited for."""
        while not stop.is_set():
            with contextlib.suppress(EngineAway):
                await self.once()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self.woken.wait()
            self.woken.clear()

    async def once(self) -> list[Errand]:
        """Look once; return what was released. Nothing where another process ticks just then."""
        async with self._due.alone() as mine:
            if not mine:
                return []
            await self._keep()
            going = await self._engine.going()
            busy = [(one.kind, one.tenant, one.about) for one in going]
            found = await self._due.work(busy, at=self._now(), each=self._each)
            work = [Work(Errand(*row[:3]), row[4], row[3]) for row in found]
            chosen = fair(work, going, self._accounts, each_tenant=self._each)
            known = set(going)
            kept = {one: where for one, where in self._accounts.items() if one in known}
            kept |= {one.errand: (one.errand.tenant, one.account) for one in work if one.account}
            self._accounts = kept
            return await self._engine.defer(chosen) if chosen else []

    async def _keep(self) -> None:
        """Do now and then what is to be done now and then."""
        now = self._steady()
        offset = self._now().timestamp() - now
        if self._offset is not None and abs(offset - self._offset) > JUMP_SECONDS:
            await self._jumped()
        self._offset = offset
        if now - self._swept < SWEEP_SECONDS:
            return
        self._swept = now
        await self._sweep()
        await self._engine.prune(seconds=KEEP_SECONDS, most=PRUNED_AT_ONCE)
