"""(d) Observations into the store, beside a bare psycopg loop of the same rows."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg

from bench.figures import Figure, median, paired
from bench.planning import appointment
from truckroll.kit.contract import Page, Scope, Seen
from truckroll.model.records import encode_fields
from truckroll.store.open import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from truckroll.store.store import Store

BATCH = 500
_COLUMNS = (
    "account, scope, external_id, kind, state, version, fields, raw, mark, series, owned, problem,"
    " seen_order, changed, seen_at, listing, arrived, number, coarse, begins, ends, recurring"
)


def _items(first: int, count: int) -> list[Seen]:
    made = []
    for number in range(first, first + count):
        fields = appointment(number % 100_000)
        made.append(Seen(id=f"r{number}", fields=fields, version="1", raw=encode_fields(fields)))
    return made


async def _ours(store: Store, scope: int, items: list[Seen]) -> float:
    listing = await store.begin_listing(scope)
    began = time.perf_counter()
    for start in range(0, len(items), BATCH):
        page = Page(items=tuple(items[start : start + BATCH]), cursor=str(start))
        at = datetime.now(UTC)
        await store.store_page(scope, listing, "appointment", page, at=at, keep_cursor=False)
    return time.perf_counter() - began


def _bare(url: str, rows: list[tuple]) -> float:
    """Write the same rows into a table of the same shape, batch by batch, and nothing else."""
    insert = f"insert into bare ({_COLUMNS}) values ({', '.join(['%s'] * 22)})"
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            with connection.transaction(), connection.cursor(binary=True) as cursor:
                cursor.executemany(insert, rows[start : start + BATCH])
        return time.perf_counter() - began


def _written(url: str, scope: int) -> list[tuple]:
    """Take back the rows that the store wrote, and empty both tables."""
    text = _COLUMNS.replace("fields", "fields::text").replace("changed", "changed::text")
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            f"select {text} from truckroll.record where scope = %s order by id", [scope]
        ).fetchall()
        connection.execute("drop table if exists bare")
        connection.execute("create table bare (like truckroll.record including all)")
        connection.execute("alter table bare alter tenant set default 1")
        connection.execute(
            "alter table bare add foreign key (tenant, scope) references truckroll.scope"
        )
        # Truncated, both tables look to the planner as they do in a new database.
        connection.execute("truncate truckroll.record cascade")
        return found


async def figures(url: str, home: Path, *, count: int, rounds: int) -> list[Figure]:
    """Return the line of the table for the store; `url` is the owner's."""
    ours: list[float] = []
    bare: list[float] = []
    async with open_store(url, home) as store:
        account = await store.add_account("caldav", "rows", {"url": "x"}, {})
        (scope,) = await store.put_scopes(account.id, [Scope("/rows/", "Rows", "calendar")])
        for number in range(rounds):
            ours.append(await _ours(store, scope.id, _items(number * count, count)))
            rows = _written(url, scope.id)
            assert len(rows) == count
            bare.append(_bare(url, rows))
    rate, rival = (count / median(times) for times in (ours, bare))
    return [
        Figure(
            f"store: new observations in batches of {BATCH}",
            f"{rate:,.0f}/s",
            f"bare psycopg {rival:,.0f}/s",
            paired(bare, ours),
            0.5,
            least=True,
            note=f"median of {rounds} × {count:,} rows",
        )
    ]
