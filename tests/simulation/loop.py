"""An event loop on a virtual clock: one seed, one order of everything.

Tasks of simulated processes run in one thread. Which of them goes on next is drawn; time moves
only when none can. A process is killed by never going on with any of its tasks (no `finally`
runs, as with kill -9), and paused by going on with them later.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

PROCESS: contextvars.ContextVar[str] = contextvars.ContextVar("PROCESS", default="world")
FOREVER = math.inf
_EARLY = 1e-6


class StuckError(Exception):
    """Nothing can go on, and no timer is set."""


class BrokenError(AssertionError):
    """Something did not hold in a simulated life."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs tasks in a drawn order on a clock of its own; `now` is in seconds from zero.

    `steps` counts how often one of them went on; `held` are processes that do not go on before
    an instant (FOREVER: killed). What is to be read of the world's time is `now` alone.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.now = 0.0
        self.steps = 0
        self.held: dict[str, float] = {}
        self._rng = rng
        self._parked: list[tuple[str, asyncio.Handle]] = []
        self._kept: set[asyncio.Task[object]] = set()
        self.set_task_factory(self._task)

    def time(self) -> float:
        """Return the virtual time."""
        return self.now

    @contextmanager
    def process(self, name: str) -> Iterator[None]:
        """Let what is started in this context belong to a process."""
        token = PROCESS.set(name)
        try:
            yield
        finally:
            PROCESS.reset(token)

    def kill(self, name: str) -> None:
        """Never go on with a process."""
        self.held[name] = FOREVER

    def pause(self, name: str, seconds: float) -> None:
        """Go on with a process only after so long; its timers ring late."""
        self.held[name] = max(self.held.get(name, 0.0), self.now + seconds)
        self.call_later(seconds, self._wake, context=contextvars.Context())

    def _wake(self) -> None:
        self._ready.extend(one for name, one in self._parked if not self._is_held(name))
        self._parked = [(name, one) for name, one in self._parked if self._is_held(name)]

    def _is_held(self, name: str) -> bool:
        # Timers ring up to their clock's resolution early.
        return self.now + _EARLY < self.held.get(name, 0.0)

    def _task(self, loop: SimulatedLoop, coro, **options) -> asyncio.Task[object]:
        task = asyncio.Task(coro, loop=loop, **options)
        task._log_destroy_pending = False  # killed ones are left where they stood
        self._kept.add(task)  # else the collector would run their `finally` at some moment
        task.add_done_callback(self._kept.discard)
        return task

    def _run_once(self) -> None:
        """Go on with one that can, drawn from all; let time pass where none can."""
        ready, timers = self._ready, self._scheduled
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
        if not ready:
            if not timers:
                raise StuckError("every task waits for another one")
            self.now = max(self.now, timers[0]._when)
        while timers and timers[0]._when <= self.now:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if not timer._cancelled:
                ready.append(timer)
        if not ready:
            return
        if len(ready) > 1:
            ready.rotate(int(self._rng.random() * len(ready)))
        handle = ready.popleft()
        if handle._cancelled:
            return
        name = handle._context.get(PROCESS, "world")
        if name in self.held and self._is_held(name):
            self._parked.append((name, handle))
            return
        self.steps += 1
        handle._run()

    # What the base class asks of one that has files and sockets

    def _process_events(self, event_list: list[object]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        """Nobody waits for files."""
