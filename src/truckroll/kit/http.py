"""HTTP out: the only door to the network (contract; the implementation follows).

The kit slice completes this module; the names and signatures below are fixed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds on everything that is read from a system."""

    body_bytes: int = 64 * 1024 * 1024
    inflate_ratio: int = 200
    pages: int = 10_000
    redirects: int = 5
    connect_seconds: float = 10.0
    total_seconds: float = 120.0


class Auth(Protocol):
    """Proves who we are; `headers` may fetch or refresh a token, `refused` learns of a 401."""

    async def headers(self) -> Mapping[str, str]: ...

    async def refused(self) -> bool:
        """Return whether a new attempt makes sense (a token was renewed)."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """What an account allows: requests a second (None: unknown) and at one time."""

    per_second: float | None = None
    concurrency: int = 8


@dataclass(frozen=True, slots=True)
class Transport:
    """How a system is reached: base address, proof of identity, pace and limits.

    `private` allows addresses inside the house (an account's choice by a person).
    `ca_file` adds a certificate authority of the person's own.
    """

    base_url: str
    auth: Auth | None = None
    pace: Pace = Pace()
    limits: Limits = field(default_factory=Limits)
    private: bool = False
    ca_file: str = ""
    same_host_redirects: bool = True


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read whole within the limits. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


class Http(Protocol):
    """Requests of one account: paced, counted, limited, and refused inside the house."""

    @property
    def calls(self) -> int:
        """Requests sent so far, every attempt counted."""
        ...

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        repeatable: bool | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 -- a bound on the whole exchange
    ) -> Response:
        """Send one request and return the answer, whatever its status below 500 but 401 and 429.

        `url` is absolute or relative to the transport's base. `repeatable` (default: by method;
        GET, HEAD, OPTIONS, PROPFIND, REPORT are) says that a lost answer may be asked for
        again; such a request is tried up to three times. Raises SignIn (401 after one renewed
        attempt), RetryLater (429, 503 and 5xx with their Retry-After; no connection),
        OutcomeUnknown (answer lost or 5xx where the request is not repeatable and was sent),
        GiveUp (address refused, certificate refused, unknown host).
        """
        ...
