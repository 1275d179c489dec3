"""A worker: takes errands, does several at once, and says that it lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from truckroll.errands.ports import BEAT_SECONDS, CutShort, EngineAway
from truckroll.kit import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from truckroll.errands.ports import Engine, Errand, Registry, Taken

AT_ONCE = 8
LOOK_SECONDS = 5.0  # between looks, where no notification came
GRACE_SECONDS = 8.0
log = logging.getLogger(__name__)


class Worker:
    """Does errands until it is told to stop.

    `registry` says what to do for each kind. `ended` is called after each errand: what it made
    due is looked for at once. An errand handles its own failures; what it lets through is logged,
    and the errand ends as failed.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        *,
        at_once: int = AT_ONCE,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._room = asyncio.Semaphore(at_once)
        self._ended = ended
        self._doing: set[asyncio.Task[None]] = set()
        self._hands: set[int] = set()
        self._doubt = False
        self._taking = asyncio.Lock()
        self.woken = asyncio.Event()

    async def run(self, stop: asyncio.Event, *, grace: float = GRACE_SECONDS) -> None:
        """Work until the event is set; what is in hand may then go on for `grace` seconds.

        What is not done by then is cut short; its lease and its row are given back.
        """
        beat = asyncio.create_task(self._beat())
        try:
            while not stop.is_set():
                await self._room.acquire()
                taken = None if stop.is_set() else await self._take()
                if taken is not None:
                    task = asyncio.create_task(self._do(taken))
                    self._doing.add(task)
                    task.add_done_callback(self._doing.discard)
                    continue
                self._room.release()
                if not stop.is_set():
                    await self._wait()
        finally:
            await self._finish(grace)
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat
            with contextlib.suppress(EngineAway):
                await self._engine.leave()

    async def _take(self) -> Taken | None:
        try:
            async with self._taking:
                taken = await self._engine.take()
                if taken is not None:
                    self._hands.add(taken.id)
                return taken
        except EngineAway:
            self._doubt = True  # it may have been taken, and nobody would ever end it
            await asyncio.sleep(0.5)
            return None

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self.woken.wait()
        self.woken.clear()

    async def _do(self, taken: Taken) -> None:
        well = False
        try:
            with watch.bound(tenant=taken.errand.tenant, errand=taken.errand.kind):
                await self._registry[taken.errand.kind](taken.errand.tenant, taken.errand.about)
            well = True
        except CutShort as error:
            log.warning("errand %s was cut short: %s", taken.errand.key, error)
        except Exception:
            log.exception("errand %s failed", taken.errand.key)
        finally:
            watch.count("errands", kind=taken.errand.kind, result="done" if well else "failed")
            self._room.release()
            await self._end(taken, well=well)
            self._hands.discard(taken.id)
            self.woken.set()
            self._ended()

    async def _end(self, taken: Taken, *, well: bool) -> None:
        """Tell the engine, however long it is away: a row that never ends keeps its key."""
        pause = 0.2
        while True:
            try:
                await self._engine.finish(taken, well=well)
            except EngineAway:
                await asyncio.sleep(pause)
                pause = min(BEAT_SECONDS, pause * 2)
            else:
                return
        self._doubt = True

    async def _beat(self) -> None:
        while True:
            with contextlib.suppress(EngineAway):
                await self._engine.beat()
                if lost := await self._recovered():
                    log.warning("errands taken over from dead workers: %s", len(lost))
                    self._ended()
            await asyncio.sleep(BEAT_SECONDS)

    async def _recovered(self) -> list[Errand]:
        """Take over what nobody does; after a lost answer also what only seems to be in hand."""
        if not self._doubt:
            return await self._engine.recover()
        async with self._taking:
            lost = await self._engine.recover(hands=sorted(self._hands))
            self._doubt = False
        return lost

    async def _finish(self, grace: float) -> None:
        if self._doing:
            await asyncio.wait(self._doing, timeout=grace)
        for task in list(self._doing):
            task.cancel()
        if self._doing:
            await asyncio.wait(self._doing)
