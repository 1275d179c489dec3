"""Pushes as they came: kept with many others in one transaction, each once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from psycopg import AsyncCursor

from truckroll.kit import watch
from truckroll.kit.push import Odd
from truckroll.store.base import Row, named_sql, retried
from truckroll.store.subscriptions import SubscriptionsStore

SQL = named_sql("pushes")
TOGETHER_SECONDS = 2.0  # a scope in which the hub writes is read for pushes no more often than so
Kept = Literal["new", "doubled", "unknown"]


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """A push to be kept.

    `delivery` is the hash of what tells it from others. `scopes` are those to be read, by the
    system's ids ("" for all), of a subscription to a whole account. `headers` is JSON.
    """

    subscription: int
    delivery: bytes
    at: datetime
    query: str
    headers: str
    body: bytes
    scopes: tuple[str, ...] = ("",)
    odd: tuple[Odd, ...] = ()


class KeptPush(msgspec.Struct, frozen=True, kw_only=True):
    """A push that was kept; `doubled` is how often it came again."""

    subscription: int
    at: datetime
    query: str
    headers: dict[str, str]
    body: bytes
    doubled: int


class PushesStore(SubscriptionsStore):
    """Pushes and subscriptions of a tenant."""

    @retried
    async def keep_pushes(self, came: Sequence[Came]) -> list[Kept]:
        """Keep pushes and make their scopes due, in one transaction; say of each what it was.

        What came before, also in the same call, is counted and has no other effect. Unknown is a
        push to a subscription that is not there any more.
        """
        firsts = {(one.subscription, one.delivery): one for one in reversed(came)}
        async with self._transaction() as cursor:
            there, new = await _keep(cursor, list(firsts.values()))
            told = [_of(one, firsts, new, there) for one in came]
            await _mark_doubled(cursor, came, told)
            fresh = [one for key, one in firsts.items() if key in new]
            await _keep_odd(cursor, fresh)
            if there:
                await _tell(cursor, came, told, _due(fresh, there))
        return told

    async def count_refused(self, numbers: Mapping[int, int]) -> None:
        """Add to the counts of pushes that were not proven; nothing else of them is kept."""
        row = {"ids": sorted(numbers), "numbers": [numbers[id_] for id_ in sorted(numbers)]}
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["refused"], row)

    async def ask_to_read(self, scopes: Sequence[int], *, at: datetime) -> None:
        """Make scopes due."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["ask_to_read"], {"scopes": list(scopes), "at": at})
            await cursor.execute(SQL["notify"])

    async def pushes(self, subscription: int, *, limit: int = 50) -> list[KeptPush]:
        """Return the latest pushes of a subscription, the newest first."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["pushes"], {"subscription": subscription, "limit": limit})
            return [
                KeptPush(
                    subscription=row[0],
                    at=row[1],
                    query=row[2],
                    headers=msgspec.json.decode(row[3], type=dict[str, str]),
                    body=row[4],
                    doubled=row[5],
                )
                async for row in cursor
            ]

    async def odd_parts(self, subscription: int, *, limit: int = 50) -> list[Odd]:
        """Return parts of pushes that were not understood."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["odd"], {"subscription": subscription, "limit": limit})
            return [Odd(number=row[1], reason=row[2], raw=row[3]) async for row in cursor]

    async def prune_pushes(self, *, before: datetime, odd_before: datetime) -> int:
        """Forget pushes from before an instant, and those with odd parts from before another."""
        async with self._transaction(durable=False) as cursor:
            row = {"before": before, "odd_before": odd_before}
            await cursor.execute(SQL["prune"], row)
            return int((await cursor.fetchall())[0][0])


Key = tuple[int, bytes]
# Subscriptions that are there, by id: the scope (None: all of the account) and the account.
There = Mapping[int, tuple[int | None, int]]


def _of(one: Came, firsts: Mapping[Key, Came], new: frozenset[Key], there: There) -> Kept:
    if one.subscription not in there:
        return "unknown"
    key = (one.subscription, one.delivery)
    return "new" if key in new and firsts[key] is one else "doubled"


async def _keep(cursor: AsyncCursor[Row], came: Sequence[Came]) -> tuple[There, frozenset[Key]]:
    """Return which subscriptions there are, and which pushes are new."""
    columns = {
        "ids": sorted({one.subscription for one in came}),
        "subscription": [one.subscription for one in came],
        "delivery": [one.delivery for one in came],
        "at": [one.at for one in came],
        "query": [one.query for one in came],
        "headers": [one.headers for one in came],
        "body": [one.body for one in came],
    }
    await cursor.execute(SQL["keep"], columns)
    rows = await cursor.fetchall()
    there = {row[0]: (row[2], row[3]) for row in rows if row[1] is None}
    return there, frozenset((row[0], row[1]) for row in rows if row[1] is not None)


async def _mark_doubled(
    cursor: AsyncCursor[Row], came: Sequence[Came], told: Sequence[Kept]
) -> None:
    pairs = zip(came, told, strict=True)
    again = Counter((one.subscription, one.delivery) for one, kind in pairs if kind == "doubled")
    if again:
        marks = {
            "subscription": [key[0] for key in again],
            "delivery": [key[1] for key in again],
            "number": list(again.values()),
        }
        await cursor.execute(SQL["mark_doubled"], marks)


async def _keep_odd(cursor: AsyncCursor[Row], came: Sequence[Came]) -> None:
    parts = [(one, odd) for one in came for odd in one.odd]
    if parts:
        columns = {
            "subscription": [one.subscription for one, _ in parts],
            "delivery": [one.delivery for one, _ in parts],
            "number": [odd.number for _, odd in parts],
            "reason": [odd.reason for _, odd in parts],
            "raw": [odd.raw for _, odd in parts],
        }
        await cursor.execute(SQL["keep_odd"], columns)


def _due(fresh: Sequence[Came], there: There) -> dict[str, object]:
    """Return what pushes make due: scopes, whole accounts, and parts of accounts by name."""
    scopes: set[int] = set()
    whole: set[int] = set()
    parts: set[tuple[int, str]] = set()
    for one in fresh:
        scope, account = there.get(one.subscription, (None, 0))
        if scope is not None:
            scopes.add(scope)
            continue
        whole.update(account for name in one.scopes if not name)
        parts.update((account, name) for name in one.scopes if name)
    return {
        "scopes": list(scopes),
        "whole": list(whole),
        "accounts": [account for account, _ in parts],
        "names": [name for _, name in parts],
        "due_at": min((one.at for one in fresh), default=None),
    }


async def _tell(
    cursor: AsyncCursor[Row],
    came: Sequence[Came],
    told: Sequence[Kept],
    due: Mapping[str, object],
) -> None:
    """Count, and make due what is to be read; whoever waits for work is woken."""
    counts: dict[int, list[int]] = {}
    for one, kind in zip(came, told, strict=True):
        if kind != "unknown":
            counts.setdefault(one.subscription, [0, 0])[kind == "doubled"] += 1
    row = {
        "heard_at": max(one.at for one in came),
        "ids": list(counts),
        "pushes": [new for new, _ in counts.values()],
        "doubled": [doubled for _, doubled in counts.values()],
        **due,
        "together": TOGETHER_SECONDS,
        "trace": watch.traceparent(),
    }
    await cursor.execute(SQL["tell"], row)
