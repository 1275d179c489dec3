"""Holding leases while something is done, and stopping when they are lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truckroll.sync.ports import Busy, Fenced

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from truckroll.sync.ports import Lease, Store

# A worker that hangs is taken over when its lease is over; one that died at once, by its session.
LEASE_SECONDS = 25.0
BEAT_SECONDS = 5.0
ROBBED_BEATS = 1.4  # within one a holder that is well asks for more time and hears that it lost
BUSY = "Another run of this recipe is at work. Wait until it is done."


def _steady() -> float:
    """Return seconds that go on while the machine sleeps, where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease is held, how often it is made longer, and the clock that counts it."""

    seconds: float = LEASE_SECONDS
    beat: float = BEAT_SECONDS
    clock: Callable[[], float] = _steady


TERMS = Terms()


def is_fenced(error: BaseException) -> bool:
    """Tell whether work ended since its lease was another's; tasks hand errors over in groups."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_fenced, error.exceptions))
    return isinstance(error, Fenced)


class Held:
    """Leases that are held, and the store that writes under them."""

    def __init__(self, store: Store, leases: Sequence[Lease], began: float, terms: Terms) -> None:
        self.leases = list(leases)
        self.store = store.under(leases)
        self._terms = terms
        self._until = began + terms.seconds
        self._calls: set[asyncio.Timeout] = set()

    @property
    def remainder(self) -> float:
        """Seconds for which the leases are surely ours."""
        return self._until - self._terms.clock()

    def extended(self, began: float) -> None:
        """Note that the leases were made longer by an exchange that began at an instant."""
        self._until = began + self._terms.seconds
        for call in self._calls:
            call.reschedule(asyncio.get_running_loop().time() + self.remainder)

    def lost(self) -> None:
        """Note that the leases are another's now."""
        self._until = self._terms.clock()
        for call in self._calls:
            call.reschedule(asyncio.get_running_loop().time())

    def _look(self) -> None:
        if self.remainder <= 0:
            raise Fenced

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Callable[[], None]]:
        """Let a write to a system be made within what remains of the leases; raises Fenced.

        Gives what looks again, and raises the same: before the later ones of several calls.
        """
        self._look()
        try:
            async with asyncio.timeout(self.remainder) as limit:
                self._calls.add(limit)
                try:
                    yield self._look
                finally:
                    self._calls.discard(limit)
        except TimeoutError:
            if limit.expired():
                raise Fenced from None
            raise


@asynccontextmanager
async def holding(
    store: Store, what: str, ids: Sequence[int], *, terms: Terms = TERMS
) -> AsyncIterator[Held]:
    """Take leases, make them longer while they are needed, and give them up at the end.

    What is not free of `ids` is left out: look at `leases`. Where the holder before may be well,
    since only the clock says that its time is over (it leapt), it is waited until that holder
    knows: no call of it goes on then.
    """
    began = terms.clock()
    held = Held(store, await store.take(what, ids, seconds=terms.seconds), began, terms)
    if not held.leases:
        yield held
        return
    beat = asyncio.create_task(_beat(store, held, terms))
    try:
        if any(one.robbed for one in held.leases):
            await asyncio.sleep(terms.beat * ROBBED_BEATS)
        yield held
    finally:
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat
        await _release(store, held.leases)


async def _beat(store: Store, held: Held, terms: Terms) -> None:
    while True:
        await asyncio.sleep(terms.beat)
        began = terms.clock()
        with contextlib.suppress(Exception):  # a database that is away: what remains goes on
            ours = await store.extend(held.leases, seconds=terms.seconds)
            if len(ours) < len(held.leases):
                held.lost()
                return
            held.extended(began)


async def _release(store: Store, leases: Sequence[Lease]) -> None:
    """Give leases up; where the database is away they end by themselves."""
    with contextlib.suppress(Exception):
        await store.release(leases)


@asynccontextmanager
async def alone(store: Store, recipe: int, *, terms: Terms = TERMS) -> AsyncIterator[Held]:
    """Hold a recipe's lease; raises Busy where another works on it."""
    async with holding(store, "recipe", [recipe], terms=terms) as held:
        if not held.leases:
            raise Busy(BUSY)
        yield held
