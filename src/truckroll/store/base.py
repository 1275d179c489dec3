"""What all parts of the store share: the connection pool, the transaction, and named SQL."""

import copy
import functools
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

import msgspec
from psycopg import AsyncConnection, AsyncCursor, OperationalError
from psycopg.errors import DeadlockDetected, UniqueViolation
from psycopg_pool import AsyncConnectionPool

from truckroll.model.records import Fields, decode_fields, encode_fields
from truckroll.store.secret import Keyring
from truckroll.sync.ports import Fenced, Lease
from truckroll.sync.types import RecordRow

Row = tuple[Any, ...]
Pool = AsyncConnectionPool[AsyncConnection[Row]]
P = ParamSpec("P")
T = TypeVar("T")
_TRIES = 4
LARGEST_POOL = 10
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def named_sql(file: str) -> Mapping[str, bytes]:
    """Return the statements of a file in `sql/` by name; each follows a `-- name: …` line."""
    text = (Path(__file__).parent / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip().encode() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def retried(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Run a method, which is one transaction, again where it lost a deadlock, or a first insert.

    Replies to one mirror's writes make links of other mirrors due; rings of mirrors that run at
    the same time may wait for each other. `on conflict` sees but the key that it names: of a
    table with two, a row that another inserts just then may clash in the other one.
    """

    @functools.wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_TRIES - 1):
            try:
                return await method(*args, **kwargs)
            except (DeadlockDetected, UniqueViolation):
                continue
        return await method(*args, **kwargs)

    return run


class Base:
    """A store of one tenant over a pool of connections under the application's role."""

    def __init__(self, pool: Pool, tenant: int, keyring: Keyring) -> None:
        self._pool = pool
        self._tenant = tenant
        self._keyring = keyring
        # Both in one message: every message that is waited for costs a pass a part of its time.
        settings = f"select set_config('truckroll.tenant', '{tenant:d}', true)"
        self._settings = settings.encode()
        self._begin = {
            True: f"begin; {settings}".encode(),
            False: f"begin; {settings}, set_config('synchronous_commit', 'off', true)".encode(),
        }
        self._leases: tuple[Lease, ...] = ()

    def under(self, leases: Sequence[Lease]) -> Self:
        """Return this store as the holder of leases has it, beside those that it is under already.

        What it writes of a pass it writes only while these are the present leases: else the
        transaction raises Fenced and nothing of it is kept.
        """
        fenced = copy.copy(self)
        fenced._leases = (*self._leases, *leases)  # noqa: SLF001 -- it is of this class
        return fenced

    def seal(self, plain: dict[str, str], about: list[str | int]) -> tuple[str, bytes]:
        """Return a key's id and secrets sealed with it for this tenant, to be kept elsewhere."""
        return self._keyring.seal(plain, [self._tenant, *about])

    def unseal(self, key_id: str, sealed: bytes, about: list[str | int]) -> dict[str, str]:
        """Return what `seal` sealed; raises DatabaseTrouble for anything else."""
        return self._keyring.open(key_id, sealed, [self._tenant, *about])

    @asynccontextmanager
    async def _transaction(
        self, *, durable: bool = True, fenced: bool = False
    ) -> AsyncIterator["Statements"]:
        """Give a cursor in a transaction that sees and writes this tenant's rows alone.

        Its statements are sent together up to the next whose rows are asked for: each exchange
        with the database that is waited for costs a pass a part of its time. With `fenced` the
        transaction is refused where a lease that the store is under was taken by another. With
        `durable` False nobody waits until the disk has it. A power cut may then take back the
        last moments, whole transactions from the latest backwards, never one from between: for
        what the next run finds again by itself. Any later durable one makes it last.
        """
        first = self._begin[durable]
        if fenced and self._leases:
            first += b"; select " + b" and ".join(_fence(one) for one in self._leases)
        async with self._connection(first) as (connection, answer):
            if fenced and self._leases:
                while answer.nextset():  # the answer to the last of the statements
                    pass
                row = await answer.fetchone()
                if row is None or not row[0]:
                    raise Fenced
            async with connection.pipeline():
                yield Statements(connection)
                await connection.execute("commit")

    async def _rows(self, query: bytes, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Return the rows of one statement that may as well run twice, in one exchange.

        It sees this tenant's rows alone. What is sent in one pipeline is one transaction.
        """
        for tries_left in reversed(range(self._pool.max_size + 1)):
            async with self._pool.connection() as connection:
                cursor = connection.cursor(binary=True)
                try:
                    async with connection.pipeline():
                        await connection.execute(self._settings)
                        await cursor.execute(query, params)
                except OperationalError:
                    if not (connection.broken and tries_left):
                        raise
                    continue
                return await cursor.fetchall()
        raise AssertionError("the last try raised")

    @asynccontextmanager
    async def _connection(
        self, first: bytes
    ) -> AsyncIterator[tuple[AsyncConnection[Row], AsyncCursor[Row]]]:
        """Give a connection and the answer to the first statement on it.

        The statement is also the proof that the connection lives: where the server was started
        again meanwhile, it is asked on another. What it began is committed at the end of the
        context, or rolled back where that ends with an error.
        """
        for tries_left in reversed(range(self._pool.max_size + 1)):
            async with self._pool.connection() as connection:
                try:
                    answer = await connection.execute(first)
                except OperationalError:
                    if not (connection.broken and tries_left):
                        raise
                    continue
                yield connection, answer
                return


class Statements(AsyncCursor[Row]):
    """A cursor on a pipeline, each of whose statements has a cursor of its own.

    On one and the same, the answer to an earlier statement can be taken for that to the last.
    """

    def __init__(self, connection: AsyncConnection[Row]) -> None:
        super().__init__(connection)
        self._latest = connection.cursor(binary=True)

    async def ask(self, query: bytes, params: Mapping[str, Any]) -> AsyncCursor[Row]:
        """Send a statement and return where its rows will be, whatever is sent after it."""
        await self.execute(query, params)
        return self._latest

    async def execute(self, query: Any, params: Any = None, **how: Any) -> Self:
        """Send a statement; it is answered when rows are asked for, or at the end."""
        self._latest = self.connection.cursor(binary=True)
        await self._latest.execute(query, params, **how)
        return self

    async def executemany(self, query: Any, params_seq: Any, **how: Any) -> None:
        """Send a statement once for each of several parameters, as `execute` does."""
        self._latest = self.connection.cursor(binary=True)
        await self._latest.executemany(query, params_seq, **how)

    async def put(self, query: bytes, rows: Sequence[Mapping[str, Any]], **shared: Any) -> None:
        """Send an insert of all rows at once, which it takes as a JSON array in `rows`.

        Bytes are base64 there; `shared` are its other parameters. It costs half of what
        `executemany` does, on both sides.
        """
        await self.execute(query, {**shared, "rows": to_json(rows)})

    async def fetchone(self) -> Row | None:
        """Return the next row of the last statement."""
        return await self._latest.fetchone()

    async def fetchall(self) -> list[Row]:
        """Return the other rows of the last statement."""
        return await self._latest.fetchall()

    async def __anext__(self) -> Row:
        """Return the next row of the last statement."""
        return await anext(self._latest)


def _fence(lease: Lease) -> bytes:
    return f"fence('{lease.what}', {lease.id:d}, {lease.epoch:d})".encode()


def as_json(fields: Fields) -> str:
    """Return fields as the text that stands in a `json` column."""
    return encode_fields(fields).decode()


def to_json(value: Any) -> str:
    """Return any plain value as the text that stands in a `json` column."""
    return msgspec.json.encode(value).decode()


# The columns of a record in the order of `record_row`.
RECORD = b"""r.id, r.account, r.scope, r.external_id, r.kind, r.state, r.version, r.fields, r.mark,
  r.series, r.owned, r.problem, r.seen_order, r.changed, r.seen_at, r.gone_at"""
_changed = msgspec.json.Decoder(dict[str, int])


def decode_changed(text: bytes) -> dict[str, int]:
    """Return the orders by field that stand in a record's `changed` column."""
    return _changed.decode(text)


def record_row(row: Row) -> RecordRow:
    """Return a record from its columns in the order of RECORD."""
    return RecordRow(
        id=row[0],
        account=row[1],
        scope=row[2],
        external_id=row[3],
        kind=row[4],
        state=row[5],
        version=row[6],
        fields=decode_fields(row[7]),
        mark=row[8],
        series=row[9],
        owned=row[10],
        problem=row[11],
        seen_order=row[12],
        changed=_changed.decode(row[13]),
        seen_at=row[14],
        gone_at=row[15],
    )


def unique(values: Iterable[int]) -> list[int]:
    """Return ids without repetition, ascending: the order in which rows are locked."""
    return sorted(set(values))
