"""How a system is reached, as values: what a connector declares, and what it is given to ask."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, runtime_checkable

import msgspec
from yarl import URL

from truckroll.kit import outcomes
from truckroll.kit.answers import Response
from truckroll.kit.batch import Batch
from truckroll.kit.grants import Grants
from truckroll.kit.pace import Pace


class Limits(msgspec.Struct, frozen=True):
    """Bounds on everything that is read from a system.

    `total_seconds` bounds one attempt. `tries` is how often a repeatable request is sent.
    `patience_seconds` is how long a request waits for itself when the system asks for a pause;
    a longer pause is the caller's.
    """

    body_bytes: int = 64 * 1024 * 1024
    inflate_ratio: int = 200
    pages: int = 10_000
    redirects: int = 5
    connect_seconds: float = 10.0
    total_seconds: float = 120.0
    tries: int = 3
    patience_seconds: float = 30.0


class Auth(Protocol):
    """Proves who we are; `headers` may fetch or refresh a token, `refused` learns of a 401."""

    async def headers(self) -> Mapping[str, str]:
        """Return the headers that go with every request."""
        ...

    async def refused(self) -> bool:
        """Return whether a new attempt makes sense (a token was renewed)."""
        ...


@runtime_checkable
class QueryAuth(Protocol):
    """An Auth that (also) proves itself in the address, as some systems want their key."""

    async def query(self) -> Mapping[str, str]:
        """Return what is added to the query of each request."""
        ...


@runtime_checkable
class ActingAuth(Protocol):
    """An Auth that can also prove that we act in the name of others (delegation)."""

    def acting(self, whom: str) -> Auth:
        """Return the proof for acting in the name of a person (their mail address)."""
        ...


@runtime_checkable
class KeepsTokens(Protocol):
    """An Auth with tokens that are worth keeping, and sharing with other processes."""

    def keep_in(self, grants: Grants) -> None:
        """Keep the tokens there from now on."""
        ...


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request costs where a system counts points beside requests. Pure.

    `asks` gives the most that a request (method, address, body) may cost; `took` what it cost
    after all, as the answer says it, None where it does not.
    """

    asks: Callable[[str, URL, bytes], float]
    took: Callable[[Response], float | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Transport:
    """How a system is reached: base address, proof of identity, pace and limits.

    `private` allows addresses inside the house (an account's choice by a person), `ca_file` adds a
    certificate authority of the person's own. `same_host_redirects` keeps redirects within the
    registrable domain; where it is False they may leave it, but the proof of identity does not go
    along. `also` are further addresses of the same system that may have it. `busy` recognises
    answers that ask for a pause beside 429 and 503. `batch` says how writes that are under way at
    the same time are sent in one request, `cost` what requests cost in points.
    """

    base_url: str
    auth: Auth | None = None
    pace: Pace = field(default_factory=Pace)
    limits: Limits = field(default_factory=Limits)
    private: bool = False
    ca_file: str = ""
    same_host_redirects: bool = True
    also: tuple[str, ...] = ()
    busy: outcomes.Busy | None = None
    batch: Batch | None = None
    cost: Cost | None = None


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
        whom: str = "",
    ) -> Response:
        """Send one request and return the answer, whatever its status below 500 but 401 and 429.

        `url` is absolute or relative to the transport's base. `repeatable` (default: by method;
        GET, HEAD, OPTIONS, PROPFIND, REPORT are) says that a lost answer may be asked for
        again; such a request is tried up to three times. 501, 505 and 507 are answers too: the
        request was surely not carried out. `whom` is in whose name it is made, where the account
        may act for others. Raises SignIn (401 after one renewed
        attempt), RetryLater (429, 503 and 5xx with their Retry-After; no connection),
        OutcomeUnknown (answer lost or 5xx where the request is not repeatable and was sent),
        GiveUp (address refused, certificate refused, unknown host).
        """
        ...
