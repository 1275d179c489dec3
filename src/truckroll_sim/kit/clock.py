"""The time in the box: it flows or stands still, and can be set and advanced."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """Aware UTC time. Flows with the machine's monotonic clock unless `frozen`.

    `at` is where it begins; without it, it begins now. A clock that begins `at` a given time is
    frozen unless `frozen=False` says otherwise.
    """

    def __init__(self, at: datetime | None = None, *, frozen: bool | None = None) -> None:
        self._frozen = (at is not None) if frozen is None else frozen
        self._base = at.astimezone(UTC) if at else datetime.now(UTC)
        self._since = time.monotonic()
        self._moved = asyncio.Event()

    @property
    def frozen(self) -> bool:
        """Whether time stands still until it is set or advanced."""
        return self._frozen

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        if self._frozen:
            return self._base
        return self._base + timedelta(seconds=time.monotonic() - self._since)

    def set(self, at: datetime) -> None:
        """Jump to an aware instant, forwards or backwards."""
        self._base, self._since = at.astimezone(UTC), time.monotonic()
        self._wake()

    def advance(self, seconds: float) -> None:
        """Go on by this many seconds."""
        self.set(self.now() + timedelta(seconds=seconds))

    def freeze(self, *, frozen: bool) -> None:
        """Stop the clock where it stands, or let it flow from there."""
        self._base, self._since, self._frozen = self.now(), time.monotonic(), frozen
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Wait until this many seconds have passed on this clock."""
        until = self.now() + timedelta(seconds=seconds)
        while (left := (until - self.now()).total_seconds()) > 0:
            moved = self._moved
            try:
                await asyncio.wait_for(moved.wait(), None if self._frozen else left)
            except TimeoutError:
                continue

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


class SkewedClock:
    """A vendor's own reading of the box's clock: off by what `skew_seconds` says just now."""

    def __init__(self, clock: Clock, skew_seconds: Callable[[], float]) -> None:
        self.box = clock
        self._skew_seconds = skew_seconds

    def now(self) -> datetime:
        """Return the instant that this vendor takes for the present one, aware, in UTC."""
        return self.box.now() + timedelta(seconds=self._skew_seconds())

    async def sleep(self, seconds: float) -> None:
        """Wait until this many seconds have passed."""
        await self.box.sleep(seconds)


def stamp(at: datetime) -> str:
    """Return an instant as RFC 3339 text in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
