"""Subscriptions: where systems send their pushes, and who works on one at the system.

One row for each place that a system tells about, as long as that is wanted. Its address stays the
same; its secrets and the system's own id may change. The database holds the hash of the address's
secret end, and the end itself only sealed.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg import AsyncCursor

from truckroll.kit.push import Subscribed
from truckroll.store.base import Base, Pool, Row, named_sql, to_json
from truckroll.store.secret import Keyring

SQL = named_sql("subscriptions")
State = Literal["making", "live", "lost", "off"]
_PATH_BYTES = 32
PATH_LENGTH = len(secrets.token_urlsafe(_PATH_BYTES))


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription to a scope, or to an account as a whole (`scope` None).

    `making` was never at work, `lost` is not known to the system any more, `off` was stopped by a
    person. `path` is the secret end of its address. `secret` proves its pushes; `coming` does too
    while the system is being told of it, and `former` is the one before. `remote` is the system's
    id for it, `more` what else the system wants to hear. Until `busy_until` somebody is at work
    on it at the system; `epoch` numbers these works. `swept` counts changes that reads found and
    no push told of; `doubted` says that this happened since it was made. Instants are aware UTC.
    """

    id: int
    account: int
    scope: int | None
    state: State
    system: str
    path: str
    secret: str
    coming: str
    former: str
    remote: str
    more: dict[str, str]
    made_at: datetime
    live_at: datetime | None
    expires_at: datetime | None
    heard_at: datetime | None
    looked_at: datetime | None
    try_at: datetime | None
    tries: int
    problem: str
    busy_until: datetime | None
    epoch: int
    pushes: int
    doubled: int
    refused: int
    swept: int
    doubted: bool

    def __repr__(self) -> str:
        return f"Subscription(id={self.id}, state={self.state!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that prove a push now."""
        return (self.secret, self.coming, self.former)

    def is_busy(self, at: datetime) -> bool:
        """Tell whether somebody is at work on it at the system."""
        return self.busy_until is not None and self.busy_until > at

    def subscribed(self) -> Subscribed:
        """Return it as the system knows it."""
        return Subscribed(id=self.remote, more=self.more, expires_at=self.expires_at)


def new_secret() -> str:
    """Return a secret of 43 characters that goes into headers and addresses as it is."""
    return secrets.token_urlsafe(_PATH_BYTES)


def path_hash(path: str) -> bytes:
    """Return what stands in the database for the secret end of an address."""
    return hashlib.sha256(path.encode()).digest()


async def subscription_at(pool: Pool, path: str) -> tuple[int, int] | None:
    """Return tenant and id of the subscription at an address, of whatever tenant; else None."""
    async with pool.connection() as connection:
        found = await connection.execute(SQL["subscription_at"], {"path": path_hash(path)})
        row = await found.fetchone()
    return (int(row[0]), int(row[1])) if row is not None else None


class SubscriptionsStore(Base):
    """The subscriptions of a tenant."""

    async def subscriptions(self, account: int | None = None) -> list[Subscription]:
        """Return the subscriptions of an account, or of all, by id."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["subscriptions"], {"id": None, "account": account})
            return [self._subscription(row) for row in await cursor.fetchall()]

    async def subscription(self, id_: int) -> Subscription | None:
        """Return a subscription."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["subscriptions"], {"id": id_, "account": None})
            row = await cursor.fetchone()
        return self._subscription(row) if row is not None else None

    async def add_subscription(
        self,
        account: int,
        scope: int | None,
        *,
        at: datetime,
        secret: str = "",
        by_hand: bool = False,
    ) -> Subscription:
        """Add a subscription with a new address, or return the one that there is.

        `by_hand` ones are at work at once: a person sets them up at the system.
        """
        async with self._transaction() as cursor:
            await cursor.execute(SQL["new_id"])
            made = await cursor.fetchone()
            assert made is not None
            path = new_secret()
            row = {
                "id": made[0],
                "account": account,
                "scope": scope,
                "state": "live" if by_hand else "making",
                "path": path_hash(path),
                "at": at,
                **self._shut(made[0], {"path": path, "secret": secret}),
            }
            await cursor.execute(SQL["insert"], row)
            await cursor.execute(SQL["place"], {"account": account, "scope": scope})
            found = await cursor.fetchone()
            assert found is not None
            await cursor.execute(SQL["subscriptions"], {"id": found[0], "account": None})
            stored = await cursor.fetchone()
        assert stored is not None
        return self._subscription(stored)

    async def claim_subscription(
        self, seen: Subscription, *, at: datetime, until: datetime, coming: str = ""
    ) -> Subscription | None:
        """Begin to work on a subscription at its system, as the only one of all processes.

        `coming` is the secret that the system will be told. None where somebody else works on it,
        or did since it was `seen`. Nobody else can begin before `until`.
        """
        async with self._transaction() as cursor:
            now = await self._locked(cursor, seen.id, seen.epoch)
            if now is None or now.is_busy(at):
                return None
            kept = _secrets(now) | ({"coming": coming} if coming else {})
            row = {"id": now.id, "until": until, **self._shut(now.id, kept)}
            await cursor.execute(SQL["claim"], row)
        return msgspec.structs.replace(
            now, epoch=now.epoch + 1, busy_until=until, coming=coming or now.coming
        )

    async def learn_secret(self, seen: Subscription, secret: str) -> bool:
        """Keep a secret that came with a handshake; only while the work is open it belongs to."""
        async with self._transaction() as cursor:
            now = await self._locked(cursor, seen.id, seen.epoch)
            if now is None or now.busy_until is None:
                return False
            row = {"id": now.id, **self._shut(now.id, {**_secrets(now), "coming": secret})}
            await cursor.execute(SQL["reseal"], row)
        return True

    async def settle_subscription(
        self, claimed: Subscription, told: Subscribed, *, at: datetime, anew: bool
    ) -> bool:
        """Keep what the system answered; False where the work was taken over by another.

        `anew` says that it is another subscription than before: its secret is the one to come.
        """
        async with self._transaction() as cursor:
            now = await self._locked(cursor, claimed.id, claimed.epoch)
            if now is None:
                return False
            kept = _secrets(now)
            if fresh := told.secret or now.coming:
                kept |= {"secret": fresh, "former": now.secret if fresh != now.secret else ""}
            kept["coming"] = ""
            row = {
                "id": now.id,
                "remote": told.id,
                "more": to_json(dict(told.more)),
                "expires_at": told.expires_at,
                "anew": anew,
                "at": at,
                **self._shut(now.id, kept),
            }
            await cursor.execute(SQL["settle"], row)
        return True

    async def fail_subscription(
        self, claimed: Subscription, problem: str, *, try_at: datetime, lost: bool = False
    ) -> None:
        """Note why it did not work, as a sentence, and when it is tried again."""
        row = {"id": claimed.id, "epoch": claimed.epoch, "problem": problem}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["fail"], {**row, "try_at": try_at, "lost": lost})

    async def looked_at_subscription(self, claimed: Subscription, *, at: datetime) -> None:
        """Note that the system still has it."""
        row = {"id": claimed.id, "epoch": claimed.epoch, "at": at}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["looked"], row)

    async def turn_subscription(self, id_: int, state: State) -> None:
        """Put a subscription into a state; whoever works on it is too late then."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["turn"], {"id": id_, "state": state})

    async def remove_subscription(self, id_: int) -> None:
        """Forget a subscription with its pushes."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["remove"], {"id": id_})

    async def note_read(self, scope: int, *, found: int, began: datetime) -> bool:
        """Note that a scope was read, how many changes that found, and when it began.

        True where pushes ought to have told of them and none came: they were found by the sweep.
        """
        async with self._transaction(durable=False) as cursor:
            row = {"scope": scope, "found": found, "began": began}
            await cursor.execute(SQL["note_read"], row)
            return any([one[0] async for one in cursor])

    async def reseal_subscriptions(self, keyring: Keyring) -> int:
        """Seal every subscription's secrets with the first key of `keyring`; return how many."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["subscriptions"], {"id": None, "account": None})
            opened = [self._subscription(row) for row in await cursor.fetchall()]
            for one in opened:
                key_id, sealed = keyring.seal(_secrets(one), self._told(one.id))
                row = {"id": one.id, "key_id": key_id, "sealed": sealed}
                await cursor.execute(SQL["reseal"], row)
        return len(opened)

    async def _locked(self, cursor: AsyncCursor[Row], id_: int, epoch: int) -> Subscription | None:
        await cursor.execute(SQL["lock"], {"id": id_, "epoch": epoch})
        row = await cursor.fetchone()
        return self._subscription(row) if row is not None else None

    def _subscription(self, row: Row) -> Subscription:
        known = self._keyring.open(row[5], row[4], self._told(row[0]))
        rest = dict(zip(_COLUMNS, row[8:], strict=True))
        return Subscription(
            id=row[0],
            account=row[1],
            scope=row[2],
            state=row[3],
            path=known["path"],
            secret=known.get("secret", ""),
            coming=known.get("coming", ""),
            former=known.get("former", ""),
            remote=row[6],
            more=msgspec.json.decode(row[7], type=dict[str, str]),
            **rest,
        )

    def _shut(self, id_: int, known: Mapping[str, str]) -> dict[str, Any]:
        key_id, sealed = self._keyring.seal(dict(known), self._told(id_))
        return {"key_id": key_id, "sealed": sealed}

    def _told(self, id_: int) -> list[str | int]:
        return [self._tenant, "subscription", id_]


_COLUMNS: Sequence[str] = (
    *(
        "system",
        "made_at",
        "live_at",
        "expires_at",
        "heard_at",
        "looked_at",
        "try_at",
        "tries",
        "problem",
    ),
    *("busy_until", "epoch", "pushes", "doubled", "refused", "swept", "doubted"),
)


def _secrets(one: Subscription) -> dict[str, str]:
    known = {"secret": one.secret, "coming": one.coming, "former": one.former}
    return {"path": one.path, **{name: value for name, value in known.items() if value}}
