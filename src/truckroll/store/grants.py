"""Tokens that all processes share, sealed, renewed by one of them at a time."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from psycopg import AsyncCursor

from truckroll.kit.errors import VendorError
from truckroll.kit.grants import (
    LEASE_SECONDS,
    Claim,
    Grants,
    Place,
    Tokens,
    cool_seconds,
    stored_error,
)
from truckroll.store.base import Base, Row, named_sql
from truckroll.store.secret import Keyring

SQL = named_sql("grants")
_MORE = "more."

Clock = Callable[[], datetime]


class GrantsStore(Base):
    """The grants of a tenant's accounts."""

    def grants(self, account: int, *, clock: Clock | None = None) -> Grants:
        """Return where the tokens of an account are kept; times go as in `PaceStore`."""
        return _AccountGrants(self, account, clock)

    async def forgive_grants(self, account: int) -> None:
        """Let renewals that failed be tried again now: a person asks for it."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["forgive"], {"account": account})

    async def claim_grant(
        self, account: int, place: Place, seen: int, at: datetime | None, now: datetime | None
    ) -> Claim:
        """See `kit.grants.Grants.claim`."""
        key = {**_key(account, place), "at": at, "seen": seen}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["claim"], {**key, "lease": LEASE_SECONDS})
            row = await cursor.fetchone()
            if row is not None:
                return Claim("mine", row[0], self._tokens(account, place, row[1], row[2]))
            await cursor.execute(SQL["grant"], key)
            row = await cursor.fetchone()
        if row is None:  # it went meanwhile, with its account
            return Claim("mine")
        there, version, sealed, key_id, good_until, not_before, code, says = row
        if version != seen:
            tokens = self._tokens(account, place, sealed, key_id)
            left = good_until - there if good_until is not None else None
            return Claim("newer", version, _lasting(tokens, left, now or there))
        if not_before is not None and not_before > there:
            wait = (not_before - there).total_seconds()
            return Claim("cooling", version, error=stored_error(code, says), wait=wait)
        return Claim("busy", version)

    async def keep_grant(
        self,
        account: int,
        place: Place,
        version: int,
        tokens: Tokens,
        seconds: float | None,
        at: datetime | None,
    ) -> int | None:
        """See `kit.grants.Grants.keep`; `seconds` is how long the access token is good."""
        key_id, sealed = self._keyring.seal(_secrets(tokens), self._about_grant(account, place))
        async with self._transaction() as cursor:
            key = {**_key(account, place), "at": at, "version": version}
            kept = {"key_id": key_id, "sealed": sealed, "seconds": seconds}
            await cursor.execute(SQL["keep"], {**key, **kept})
            row = await cursor.fetchone()
            await cursor.execute(SQL["outgrown"], key)
        return row[0] if row is not None else None

    async def fail_grant(
        self, account: int, place: Place, version: int, error: VendorError, at: datetime | None
    ) -> None:
        """See `kit.grants.Grants.fail`."""
        key = {**_key(account, place), "at": at, "version": version}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["lock_grant"], key)
            row = await cursor.fetchone()
            if row is None:
                return
            failures = row[0] + 1
            until = row[1] + timedelta(seconds=cool_seconds(failures))
            what = {"failures": failures, "code": error.code, "says": error.says}
            await cursor.execute(SQL["fail"], {**key, **what, "not_before": until})

    def _tokens(
        self, account: int, place: Place, sealed: bytes | None, key_id: str
    ) -> Tokens | None:
        if sealed is None:
            return None
        about = self._about_grant(account, place)
        return _opened(self._keyring.open(key_id, sealed, about))

    def _about_grant(self, account: int, place: Place) -> list[str | int]:
        return _about(self._tenant, account, place)


class _AccountGrants:
    """The `Grants` of one account."""

    def __init__(self, store: GrantsStore, account: int, clock: Clock | None) -> None:
        self._store = store
        self._account = account
        self._clock = clock

    def _at(self) -> datetime | None:
        return self._clock() if self._clock is not None else None

    async def claim(self, place: Place, seen: int, now: datetime) -> Claim:
        """See `Grants`."""
        return await self._store.claim_grant(self._account, place, seen, self._at(), now)

    async def keep(self, place: Place, version: int, tokens: Tokens, now: datetime) -> int | None:
        """See `Grants`."""
        left = tokens.good_until - now if tokens.good_until is not None else None
        seconds = left.total_seconds() if left is not None else None
        return await self._store.keep_grant(
            self._account, place, version, tokens, seconds, self._at()
        )

    async def fail(self, place: Place, version: int, error: VendorError) -> None:
        """See `Grants`."""
        await self._store.fail_grant(self._account, place, version, error, self._at())


async def reseal_grants(cursor: AsyncCursor[Row], tenant: int, old: Keyring, new: Keyring) -> int:
    """Seal a tenant's tokens with the first key of `new`; return how many."""
    await cursor.execute(SQL["sealed"])
    rows = await cursor.fetchall()
    for account, name, seed, key_id, sealed in rows:
        about = _about(tenant, account, Place(name, seed))
        fresh_id, fresh = new.seal(old.open(key_id, sealed, about), about)
        key = _key(account, Place(name, seed))
        await cursor.execute(SQL["reseal"], {**key, "key_id": fresh_id, "sealed": fresh})
    return len(rows)


def _key(account: int, place: Place) -> dict[str, Any]:
    return {"account": account, "name": place.name, "seed": place.seed}


def _about(tenant: int, account: int, place: Place) -> list[str | int]:
    return [tenant, account, "grant", place.name, place.seed]


def _secrets(tokens: Tokens) -> dict[str, str]:
    more = {f"{_MORE}{name}": text for name, text in tokens.more.items()}
    return {"access": tokens.access, "refresh": tokens.refresh, **more}


def _opened(secrets: Mapping[str, str]) -> Tokens:
    more = {k.removeprefix(_MORE): v for k, v in secrets.items() if k.startswith(_MORE)}
    return Tokens(secrets["access"], secrets["refresh"], more=more)


def _lasting(tokens: Tokens | None, left: timedelta | None, now: datetime) -> Tokens | None:
    """Return tokens that are good for so long, as the caller's own clock shows it."""
    if tokens is None or left is None:
        return tokens
    return msgspec.structs.replace(tokens, good_until=now + left)
