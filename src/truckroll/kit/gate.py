"""What every attempt of an account passes: its budgets, its pauses, its breaker, its turn.

A gate is shared by all that a process has open of an account; the budgets behind it are shared by
all processes, through a `Meter`. A gate borrows a few units at a time, so that a busy account
does not ask the meter for each.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, Protocol

from truckroll.kit import breaker
from truckroll.kit.breaker import Health, Why
from truckroll.kit.pace import REAL_TIME, Limit, Pace, Timing

# How old a process's knowledge of pauses and of the breaker may be.
_LOOK_SECONDS = 1.0
_LEAST_SLEEP, _NO_TIME = 0.05, 1e-6
_LANE: ContextVar[object] = ContextVar("lane", default=None)


@contextmanager
def lane(name: object) -> Iterator[None]:
    """Let what is asked within wait in a line of its own: lines of an account take turns."""
    token = _LANE.set(name)
    try:
        yield
    finally:
        _LANE.reset(token)


class HeldBackError(Exception):
    """An attempt may not go out for `seconds`: the budget, a pause, or the breaker has it wait.

    `passes` says that it is worth waiting for here: a pause, or a probe that is out.
    """

    def __init__(
        self, seconds: float, why: Why = "", says: str = "", *, passes: bool = False
    ) -> None:
        super().__init__(says)
        self.seconds = seconds
        self.why = why
        self.says = says
        self.passes = passes


class Want(NamedTuple):
    """Units of a limit's budget."""

    limit: Limit
    budget: str
    units: float


class Taken(NamedTuple):
    """What a meter gave: for each want the seconds until its first unit may be used.

    Where `why` says that nothing may go out, nothing was taken, and it is asked again after
    `wait` seconds. With `probe` the caller has the one probe of an open breaker, and must tell.
    """

    first: tuple[float, ...] = ()
    wait: float = 0.0
    why: Why = ""
    says: str = ""
    probe: bool = False
    probing: bool = False
    failures: int = 0
    shaky: bool = False


Change = Callable[[Health, datetime], Health]


class Meter(Protocol):
    """The budgets of an account and how it fares, for whoever works on it."""

    async def take(self, wants: Sequence[Want]) -> Taken:
        """Take units from all budgets, or from none where nothing may go out now."""
        ...

    async def give_back(self, wants: Sequence[Want]) -> None:
        """Put units back that were not used."""
        ...

    async def tell(self, change: Change) -> Health:
        """Change how the account fares, as one step for all processes; return what it is now."""
        ...


def first_of(want: Want, used_seconds: float) -> float:
    """Return the seconds until the first unit of a want may be used.

    `used_seconds` is how far ahead the budget is used up with this want (GCRA).
    """
    limit = want.limit
    before = used_seconds - want.units * limit.interval
    return before + (1.0 - limit.at_once) * limit.interval


class LocalMeter:
    """A meter for this process alone."""

    def __init__(self, timing: Timing = REAL_TIME) -> None:
        self._timing = timing
        self._used_to: dict[str, float] = {}
        self.health = Health()

    async def take(self, wants: Sequence[Want]) -> Taken:
        """See `Meter`."""
        found = breaker.verdict(self.health, self._at())
        if found.why:
            return Taken((), found.wait, found.why, self.health.says, probing=found.probing)
        if found.probe:
            self.health = breaker.probing(self.health, self._at())
        now = self._timing.monotonic()
        return Taken(
            tuple(first_of(want, self._use(want, now)) for want in wants),
            probe=found.probe,
            failures=self.health.failures,
            shaky=breaker.shaky(self.health, self._at()),
        )

    def _use(self, want: Want, now: float) -> float:
        begun = max(now, self._used_to.get(want.budget, now))
        self._used_to[want.budget] = begun + want.units * want.limit.interval
        return self._used_to[want.budget] - now

    async def give_back(self, wants: Sequence[Want]) -> None:
        """See `Meter`."""
        for want in wants:
            self._used_to[want.budget] -= want.units * want.limit.interval

    async def tell(self, change: Change) -> Health:
        """See `Meter`."""
        self.health = change(self.health, self._at())
        return self.health

    def _at(self) -> datetime:
        # Only differences matter here, and this clock is never set.
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=self._timing.monotonic())


@dataclass(slots=True)
class _Purse:
    """Borrowed units of one budget: `left`, the next at `next_at` (monotonic), then evenly."""

    next_at: float = 0.0
    left: float = 0.0
    since: float = -math.inf

    def drop_stale(self, limit: Limit, now: float) -> None:
        """Let go of units that were kept for too long: in time they have come back by itself."""
        kept_from = now - limit.hold_seconds
        late = kept_from - self.next_at
        if self.left and kept_from > self.since and late > 0:
            stale = math.ceil(late / limit.interval)
            self.next_at += stale * limit.interval
            self.left = max(0.0, self.left - stale)

    def spend(self, limit: Limit, units: float) -> float:
        """Take out units that are there; return when the last of them may be used."""
        ready = self.next_at + (units - 1.0) * limit.interval
        self.next_at += units * limit.interval
        self.left -= units
        return ready


class _Lines:
    """So many at one time; who waits stands in the line of its lane, and lines take turns."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._lines: dict[object, deque[asyncio.Future[None]]] = {}

    async def enter(self) -> None:
        """Wait for room and take it; `leave` gives it back."""
        if self._room > 0:
            self._room -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._lines.setdefault(_LANE.get(), deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.leave()  # the turn had come, and goes on to the next
            raise

    def leave(self) -> None:
        """Let the next in line come, or keep the room for whoever asks."""
        while self._lines:
            name, line = next(iter(self._lines.items()))
            del self._lines[name]
            mine = line.popleft()
            if line:
                self._lines[name] = line  # at the end: the other lines come first
            if not mine.done():
                mine.set_result(None)
                return
        self._room += 1


class Turn:
    """An attempt that is out; it tells once how its system answered."""

    def __init__(self, gate: "Gate", *, probe: bool) -> None:
        self._gate = gate
        self.probe = probe

    async def well(self) -> None:
        """Tell that the system answered."""
        if self.probe or self._gate.failures:
            await self._tell(partial(breaker.well, probe=self.probe))

    async def failed(self, says: str) -> None:
        """Tell that the system did not answer, or failed by itself; `says` is for people."""
        await self._tell(partial(breaker.failed, says=says, probe=self.probe))

    async def signed_out(self, says: str) -> None:
        """Tell that the system does not accept the sign-in any more; `says` is for people."""
        await self._tell(partial(breaker.signed_out, says=says))

    async def over(self) -> None:
        """Give the probe back where nothing was told."""
        if self.probe:
            await self._tell(breaker.released)

    async def _tell(self, change: Change) -> None:
        self.probe = False
        await self._gate.tell(change)


class Gate:
    """What every attempt of one account passes: never faster, never more at one time."""

    def __init__(self, pace: Pace, timing: Timing = REAL_TIME, meter: Meter | None = None) -> None:
        self.pace = pace
        self.failures = 0
        self.shaky = False
        self._timing = timing
        self._meter = meter or LocalMeter(timing)
        self._limits = pace.all_limits()
        self._lines = _Lines(pace.concurrency)
        self._purses: dict[str, tuple[Limit, _Purse]] = {}
        self._filling = asyncio.Lock()
        self._looked_at = -math.inf
        self._paused_until = -math.inf

    @property
    def paused(self) -> float:
        """Seconds for which the system has asked the account to wait, as far as known here."""
        return max(0.0, self._paused_until - self._timing.monotonic())

    async def pause(self, seconds: float) -> None:
        """Hold every further attempt of the account for so long; never shortens a pause."""
        until = self._timing.monotonic() + seconds
        self._paused_until = max(self._paused_until, until)
        await self.tell(partial(breaker.paused, seconds=seconds))

    async def tell(self, change: Change) -> None:
        """Change how the account fares, for all processes."""
        health = await self._meter.tell(change)
        self.failures = health.failures
        self._looked_at = -math.inf  # what it says now holds for the next attempt

    @asynccontextmanager
    async def turn(
        self,
        weight: float = 1,
        *,
        points: float = 0.0,
        whom: str = "",
        patience: float = math.inf,
    ) -> AsyncIterator[Turn]:
        """Wait for a turn and hold it while one attempt is out.

        `weight` is how many requests the system counts it as (the parts of a batch), `points`
        what it costs beside that, `whom` in whose name it goes. Raises HeldBackError where it
        would have to wait longer than `patience` seconds.
        """
        await self._lines.enter()
        try:
            turn = Turn(self, probe=await self._admitted(weight, points, whom, patience))
            try:
                yield turn
            finally:
                await turn.over()
        finally:
            self._lines.leave()

    async def spare(self, points: float, whom: str = "") -> None:
        """Put points back that an attempt was charged with in advance and did not cost."""
        wants = self._wants(0.0, points, whom)
        if wants:
            await self._meter.give_back(wants)

    async def close(self) -> None:
        """Put back what was borrowed and may still be used by others."""
        now, left = self._timing.monotonic(), []
        for budget, (limit, purse) in self._purses.items():
            purse.drop_stale(limit, now)
            if purse.left:
                left.append(Want(limit, budget, purse.left))
        self._purses.clear()
        if left:
            await self._meter.give_back(left)

    async def _admitted(self, weight: float, points: float, whom: str, patience: float) -> bool:
        """Wait until an attempt may go out; return whether it is the breaker's probe."""
        wants = self._wants(weight, points, whom)
        waited = 0.0
        while True:
            held, wait, probe = await self._reserve(wants, patience - waited)
            if held is None:
                wait = max(wait, self.paused)
                if wait > _NO_TIME:
                    await self._timing.sleep(wait)
                return probe
            if not held.passes or waited + held.seconds > patience:
                raise held
            waited += max(held.seconds, _LEAST_SLEEP)
            await self._timing.sleep(max(held.seconds, _LEAST_SLEEP))

    def _wants(self, weight: float, points: float, whom: str) -> list[Want]:
        units = {"requests": float(weight), "points": points}
        return [
            Want(limit, limit.budget(whom), units[limit.unit])
            for limit in self._limits
            if units[limit.unit] > 0
        ]

    async def _reserve(
        self, wants: Sequence[Want], patience: float
    ) -> tuple[HeldBackError | None, float, bool]:
        """Take units; return what holds them back, or when they are ready, and the probe."""
        async with self._filling:
            now = self._timing.monotonic()
            short = [self._missing(want, now) for want in wants]
            ask = [want for want in short if want is not None]
            taken = Taken()
            if ask or now >= self._looked_at + _LOOK_SECONDS:
                taken = await self._meter.take(ask)
                self.failures, self.shaky = taken.failures, taken.shaky
                if taken.why:
                    self._looked_at = -math.inf
                    passes = taken.why == "paused" or taken.probing
                    held = HeldBackError(taken.wait, taken.why, taken.says, passes=passes)
                    return held, 0.0, False
                self._looked_at = -math.inf if taken.probe else now
            ready = self._spend(wants, dict(zip(ask, taken.first, strict=True)), now)
            if (wait := max(0.0, ready - now)) <= patience:
                return None, wait, taken.probe
            await self._return(wants)
            if taken.probe:
                await self.tell(breaker.released)
            return HeldBackError(wait), 0.0, False

    async def _return(self, wants: Sequence[Want]) -> None:
        """Put back what a want took, and what was borrowed along with it."""
        back = []
        for want in wants:
            _, purse = self._purses[want.budget]
            back.append(want._replace(units=want.units + purse.left))
            purse.left = 0.0
        await self._meter.give_back(back)

    def _missing(self, want: Want, now: float) -> Want | None:
        """Return what must be borrowed for a want, if anything."""
        limit, purse = self._purses.setdefault(want.budget, (want.limit, _Purse()))
        purse.drop_stale(limit, now)
        if purse.left >= want.units:
            return None
        return want._replace(units=max(want.units - purse.left, limit.chunk))

    def _spend(self, wants: Sequence[Want], borrowed: dict[Want, float], now: float) -> float:
        """Take the units out of the purses; return when (monotonic) the last may be used."""
        fresh = {want.budget: (want.units, first) for want, first in borrowed.items()}
        ready = now
        for want in wants:
            limit, purse = self._purses[want.budget]
            units = want.units
            if want.budget in fresh:
                units -= purse.left
                purse.left, first = fresh[want.budget]
                purse.next_at, purse.since = now + first, now
            ready = max(ready, purse.spend(limit, units))
        return ready
