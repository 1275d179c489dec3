"""How often the idle look around in a simulated life: idle ticks are most of what it costs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from truckroll.errands import tick, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY, _KEEP, _LOOK = tick.EVERY_SECONDS, tick.KEEP_SECONDS, worker.LOOK_SECONDS
BUSY_EVERY = 2.0
IDLE_EVERY = 15.0
KEPT = 60.0


def busy() -> None:
    """Look around as often as a life needs in which much happens."""
    tick.EVERY_SECONDS, worker.LOOK_SECONDS = BUSY_EVERY, _LOOK


def idle() -> None:
    """Look around seldom: only what the clock makes due still happens."""
    tick.EVERY_SECONDS = worker.LOOK_SECONDS = IDLE_EVERY


@contextmanager
def simulated() -> Iterator[None]:
    """Look around as a simulated life does while the context lasts."""
    busy()
    tick.KEEP_SECONDS = KEPT
    try:
        yield
    finally:
        tick.EVERY_SECONDS, tick.KEEP_SECONDS, worker.LOOK_SECONDS = _EVERY, _KEEP, _LOOK
