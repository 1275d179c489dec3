"""Access tokens: what each grants, for how long, and their revocation."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from truckroll_sim.kit.calls import Call
from truckroll_sim.kit.ids import Ids
from truckroll_sim.kit.state import TellsTime


@dataclass(frozen=True)
class Grant:
    """What a token grants: to act as an account, within scopes, until an instant (UTC)."""

    account: str
    scopes: frozenset[str]
    expires: datetime
    client: str = ""


class Tokens:
    """The access tokens that a system has issued."""

    def __init__(self, clock: TellsTime, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._grants: dict[str, Grant] = {}

    def issue(
        self,
        account: str,
        scopes: Iterable[str] = (),
        lasts_seconds: float = 3600,
        *,
        client: str = "",
        prefix: str = "",
    ) -> str:
        """Return a new access token for an account."""
        token = prefix + self._ids.word("access token", 40)
        expires = self._clock.now() + timedelta(seconds=lasts_seconds)
        self._grants[token] = Grant(account, frozenset(scopes), expires, client)
        return token

    def grant(self, token: str | None) -> Grant | None:
        """Return what a token grants now: None if it is unknown, expired or revoked."""
        grant = self._grants.get(token or "")
        return grant if grant and grant.expires > self._clock.now() else None

    def revoke(self, account: str | None = None) -> int:
        """Make the tokens of an account (or all) worthless and return how many they were."""
        gone = [token for token, grant in self._grants.items() if account in (None, grant.account)]
        for token in gone:
            del self._grants[token]
        return len(gone)


def bearer(call: Call) -> str | None:
    """Return the bearer token of a call (RFC 6750 section 2.1), None if there is none."""
    kind, _, token = call.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def basic(call: Call) -> tuple[str, str] | None:
    """Return user and password of a call (RFC 7617), None if there are none."""
    kind, _, word = call.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(word, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None
