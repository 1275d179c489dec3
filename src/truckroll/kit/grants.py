"""Where an account's tokens are kept, so that all processes share them and one renews them.

A refresh token may be good for one use. So whoever renews first claims the turn; the others wait
and take over what it stored; and it stores before it uses (RFC 9700 section 4.14.2).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

import msgspec

from truckroll.kit.errors import GiveUp, RetryLater, SignIn, VendorError
from truckroll.kit.pace import REAL_TIME, Timing

# Longer than a token call may take (`auth.TOKEN_TIME`): a claim that is older was lost.
LEASE_SECONDS = 45.0
_COOL_SECONDS, _COOL_CAP_SECONDS = 30.0, 3600.0
_ERRORS: Mapping[str, type[VendorError]] = {
    one.code: one for one in (SignIn, GiveUp, RetryLater, VendorError)
}


class Tokens(msgspec.Struct, frozen=True):
    """What an OAuth server granted. Its text form shows none of it.

    `good_until` is the aware UTC instant after which the access token is renewed before use
    (a little before it expires), or None where the server did not say: then a 401 tells.
    `more` are further texts of the answer (Salesforce's `instance_url`).
    """

    access: str
    refresh: str = ""
    good_until: datetime | None = None
    more: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Tokens(good_until={self.good_until})"


class Place(NamedTuple):
    """Which of an account's grants: `name` is in whose name it acts, `seed` what it grew from.

    The seed is a digest of what a person gave. Who gives something else begins a new grant.
    """

    name: str
    seed: str


class Claim(NamedTuple):
    """What came of a claim to renew.

    `mine`: renew the `tokens` (None where none are stored yet), then `keep` or `fail`. `newer`:
    take over the `tokens`. `busy`: somebody renews them now; ask again. `cooling`: the renewal
    failed lately with `error`; it is not tried before `wait` seconds have passed.
    """

    kind: Literal["mine", "newer", "busy", "cooling"]
    version: int = 0
    tokens: Tokens | None = None
    error: VendorError | None = None
    wait: float = 0.0


class Grants(Protocol):
    """The tokens of one account. Lifetimes go by the keeper's clock, never by a process's own."""

    async def claim(self, place: Place, seen: int, now: datetime) -> Claim:
        """Ask to renew tokens of which version `seen` (0: none) does not do any more.

        `now` is what the caller's clock shows, by which `good_until` is reckoned.
        """
        ...

    async def keep(self, place: Place, version: int, tokens: Tokens, now: datetime) -> int | None:
        """Store new tokens in the place of a claimed version; return theirs.

        None where somebody else stored others meanwhile, whose claim is then the one that
        counts. `now` is as for `claim`.
        """
        ...

    async def fail(self, place: Place, version: int, error: VendorError) -> None:
        """End a claim without new tokens; the next one cools down, for longer each time."""
        ...


def cool_seconds(failures: int) -> float:
    """Return for how long no renewal is tried after so many failed in a row."""
    return min(_COOL_CAP_SECONDS, _COOL_SECONDS * 2.0 ** min(failures - 1, 10))


def stored_error(code: str, says: str) -> VendorError:
    """Return an error as it was before it was stored."""
    return _ERRORS.get(code, VendorError)(says)


class _Row:
    """A grant in memory; times are monotonic seconds."""

    def __init__(self) -> None:
        self.version = 0
        self.tokens: Tokens | None = None
        self.claimed_until = 0.0
        self.failures = 0
        self.not_before = 0.0
        self.error: VendorError | None = None


class MemoryGrants:
    """Tokens that live as long as this process."""

    def __init__(self, timing: Timing = REAL_TIME) -> None:
        self._timing = timing
        self._rows: dict[Place, _Row] = {}

    def __repr__(self) -> str:
        return f"MemoryGrants({len(self._rows)})"

    def all(self) -> dict[Place, Tokens]:
        """Return what is kept."""
        return {place: row.tokens for place, row in self._rows.items() if row.tokens is not None}

    async def claim(self, place: Place, seen: int, now: datetime) -> Claim:
        """See `Grants`."""
        del now  # one process, one clock
        row, at = self._rows.setdefault(place, _Row()), self._timing.monotonic()
        if row.version != seen:
            return Claim("newer", row.version, row.tokens)
        if row.error is not None and row.not_before > at:
            return Claim("cooling", row.version, error=row.error, wait=row.not_before - at)
        if row.claimed_until > at:
            return Claim("busy", row.version)
        row.claimed_until = at + LEASE_SECONDS
        return Claim("mine", row.version, row.tokens)

    async def keep(self, place: Place, version: int, tokens: Tokens, now: datetime) -> int | None:
        """See `Grants`."""
        del now  # the same
        row = self._rows.setdefault(place, _Row())
        if row.version != version:
            return None
        row.version, row.tokens, row.claimed_until = version + 1, tokens, 0.0
        row.failures, row.error = 0, None
        return row.version

    async def fail(self, place: Place, version: int, error: VendorError) -> None:
        """See `Grants`."""
        row = self._rows[place]
        if row.version == version:
            row.failures, row.error, row.claimed_until = row.failures + 1, error, 0.0
            row.not_before = self._timing.monotonic() + cool_seconds(row.failures)
