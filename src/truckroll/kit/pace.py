"""How fast an account may be asked, as a system's sheet says it; what a system asks to wait."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Literal

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


@dataclass(frozen=True)
class Limit:
    """What a system allows: `amount` of requests or points in any stretch of `per_seconds`.

    `of` says who shares it: an `account`; each `user` in whose name it acts; an `app` or an `ip`,
    whichever accounts and tenants use them, told apart by `key` (a client id). `burst` is how
    many may go at once after idle time, by default a twentieth of the amount; what a burst may
    take is put aside in the rate, so that no stretch of time ever holds more than `amount`.
    `bucket` is for a system that counts otherwise: by a bucket of that size, which `amount` in
    `per_seconds` refill; no stretch of time is counted then.
    """

    amount: float
    per_seconds: float = 1.0
    of: Literal["account", "user", "app", "ip"] = "account"
    unit: Literal["requests", "points"] = "requests"
    key: str = ""
    burst: float | None = None
    bucket: float | None = None

    @cached_property
    def at_once(self) -> float:
        """How many may go at once after idle time."""
        if self.bucket is not None:
            return max(1.0, self.bucket)
        wanted = self.amount / 20 if self.burst is None else self.burst
        return max(1.0, min(wanted, self.amount / 2))

    @cached_property
    def hold_seconds(self) -> float:
        """For how long a process may keep what it borrowed of the budget."""
        stretch = self.at_once * self.interval if self.bucket is not None else self.per_seconds
        return min(1.0, stretch / 20) if self.at_once > 1 else 0.0

    @cached_property
    def interval(self) -> float:
        """Seconds from one to the next at the full rate.

        A stretch holds at most `at_once - 1` and one more per interval; what is used later than
        it was taken lengthens the stretch by the hold.
        """
        if self.amount < 1 or self.bucket is not None:
            return self.per_seconds / self.amount
        return (self.per_seconds + self.hold_seconds) / (self.amount - self.at_once + 1)

    @cached_property
    def chunk(self) -> float:
        """How many are borrowed at one time: what the full rate uses up within the hold."""
        return max(1.0, math.floor(self.hold_seconds / self.interval))

    def budget(self, whom: str = "") -> str:
        """Return the name of the budget that a request in somebody's name draws on."""
        person = whom if self.of == "user" else ""
        return f"{self.of} {self.amount:g}/{self.per_seconds:g}s {self.unit} {self.key} {person}"


@dataclass(frozen=True, slots=True)
class Pace:
    """What an account allows: requests a second (None: unknown), at one time, and further limits.

    `per_second` is the simple form of one limit of the account.
    """

    per_second: float | None = None
    concurrency: int = 8
    limits: tuple[Limit, ...] = ()

    def all_limits(self) -> tuple[Limit, ...]:
        """Return all limits, the simple form among them."""
        simple = () if self.per_second is None else (Limit(self.per_second),)
        return (*simple, *self.limits)


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
