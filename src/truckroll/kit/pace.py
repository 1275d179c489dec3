"""How fast an account may be asked: requests a second, at one time, pauses asked for."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_PAUSE = timedelta(hours=24)


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock, the waiting and the chance of a client, so that tests need no time.

    `monotonic` counts seconds, `now` is an aware UTC instant, `chance` is in [0, 1).
    """

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


REAL_TIME = Timing()


@dataclass(frozen=True, slots=True)
class Pace:
    """What an account allows: requests a second (None: unknown) and at one time."""

    per_second: float | None = None
    concurrency: int = 8


def retry_after(value: str | None, *, now: datetime, date: str | None = None) -> timedelta | None:
    """Return how long a system asks to wait, or None where it does not say so readably.

    `value` is a Retry-After header: seconds, also with a fraction (Microsoft Graph), or an HTTP
    date (RFC 9110 section 10.2.3), which is measured against the answer's own `date` header
    where there is one, so that a wrong clock on either side does no harm. The past is no wait;
    more than a day counts as a day.
    """
    text = (value or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until = _http_date(text)
        if until is None:
            return None
        seconds = (until - ((_http_date(date) if date else None) or now)).total_seconds()
    if not math.isfinite(seconds):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_PAUSE.total_seconds()))


def _http_date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def backoff(attempt: int, chance: float, *, first: float = 0.5, cap: float = 30.0) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (from 1).

    Doubles each time up to `cap`; half of it is chance, so that many do not return as one.
    """
    ceiling = min(cap, first * 2.0 ** min(attempt - 1, 32))
    return ceiling * (0.5 + chance / 2)


def jittered(wait: timedelta, chance: float) -> float:
    """Return a wait in seconds, never shorter than asked for and up to a tenth longer."""
    return wait.total_seconds() * (1 + chance / 10)


class Gate:
    """What every request of one account passes: never faster, never more at one time.

    `per_second` None is no known limit. A burst of one second's worth is allowed.
    """

    def __init__(
        self, per_second: float | None, concurrency: int, timing: Timing = REAL_TIME
    ) -> None:
        self._per_second = per_second
        self._timing = timing
        self._slots = asyncio.Semaphore(concurrency)
        self._burst = max(1.0, per_second or 1.0)
        self._tokens = self._burst
        self._filled_at = timing.monotonic()
        self._paused_until = -math.inf

    @property
    def paused(self) -> float:
        """Seconds for which the system has asked the account to wait, still to come."""
        return max(0.0, self._paused_until - self._timing.monotonic())

    def pause(self, seconds: float) -> None:
        """Hold every further request of the account for so long; never shortens a pause."""
        self._paused_until = max(self._paused_until, self._timing.monotonic() + seconds)

    @asynccontextmanager
    async def turn(self, weight: int = 1) -> AsyncIterator[None]:
        """Wait for a turn and hold it while one request is out.

        `weight` is how many requests the system counts it as (the parts of a batch).
        """
        async with self._slots:
            wait = max(self._reserve(weight), self.paused)
            if wait > 0:
                await self._timing.sleep(wait)
            yield

    def _reserve(self, weight: int) -> float:
        """Take tokens, which may lie in the future; return the seconds until they are there."""
        if self._per_second is None:
            return 0.0
        now = self._timing.monotonic()
        grown = (now - self._filled_at) * self._per_second
        self._tokens = min(self._burst, self._tokens + grown) - weight
        self._filled_at = now
        return max(0.0, -self._tokens / self._per_second)
