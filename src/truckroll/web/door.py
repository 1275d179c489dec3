"""Who tries tokens that are none: after so many from one address, nobody looks for a while."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

import msgspec
from litestar.exceptions import TooManyRequestsException

FAILURES_A_MINUTE = 30
_MINUTE = timedelta(minutes=1)
_MOST = 10_000
_PREFIX = 64  # of an IPv6 address: a customer of a provider has that much of it, or more


class _Tries(msgspec.Struct):
    failed: int
    until: datetime


class Door:
    """Counts failed sign-ins by address, in this process, for at most 10,000 addresses.

    A token has 256 random bits: this keeps the database from being asked, not tokens from being
    guessed. So a token that was good in the last minutes is let in from anywhere, and an office
    that shares an address with somebody who tries goes on working.
    """

    def __init__(self, now: Callable[[], datetime], *, most: int = FAILURES_A_MINUTE) -> None:
        self._now = now
        self._most = most
        self._tries: OrderedDict[str, _Tries] = OrderedDict()
        self._good: OrderedDict[bytes, datetime] = OrderedDict()

    def ask(self, address: str, token: bytes) -> None:
        """Raise 429 where too many sign-ins from an address failed; `token` is a digest."""
        good = self._good.get(token)
        if good is not None and good > self._now():
            return
        tries = self._tries.get(_place(address))
        if tries is None or tries.failed < self._most or tries.until <= self._now():
            return
        left = max(1, round((tries.until - self._now()).total_seconds()))
        raise TooManyRequestsException(
            "Too many calls from this address came without a good token; wait as long as the"
            " header Retry-After says.",
            headers={
                "Retry-After": str(left),
                "RateLimit-Policy": f"{self._most}; w=60",
                "RateLimit-Limit": str(self._most),
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": str(left),
            },
        )

    def failed(self, address: str, token: bytes) -> None:
        """Count a sign-in that failed."""
        self._good.pop(token, None)
        place, now = _place(address), self._now()
        tries = self._tries.get(place)
        if tries is None or tries.until <= now:
            tries = self._tries[place] = _Tries(0, now + _MINUTE)
        tries.failed += 1
        self._tries.move_to_end(place)
        if len(self._tries) > _MOST:
            self._tries.popitem(last=False)

    def passed(self, token: bytes) -> None:
        """Remember for a few minutes that a token is good; what it may is looked up each time."""
        self._good[token] = self._now() + 5 * _MINUTE
        self._good.move_to_end(token)
        if len(self._good) > _MOST:
            self._good.popitem(last=False)


def _place(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, _PREFIX), strict=False))
    return address
