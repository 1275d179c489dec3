"""The standing session of a process, by which others see that it lives."""

import asyncio
import contextlib
import secrets
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, Error

from truckroll.store.base import Pool, Row


class Pulse:
    """Holds an advisory lock under a name of its own for as long as the process lives.

    A lease names its holder by it: where the lock is free, the holder is gone and so is its
    lease. Nothing is locked before the first `beat`.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection: AsyncConnection[Row] | None = None
        self._one = asyncio.Lock()
        self.holder = secrets.token_hex(8)

    async def beat(self) -> str:
        """Make sure that the session lives, and return the holder's name."""
        async with self._one:
            if self._connection is not None:
                try:
                    await self._connection.execute("select 1")
                except Error:
                    await self._let_go()
            if self._connection is None:
                self._connection = await self._locked()
            return self.holder

    async def _locked(self) -> AsyncConnection[Row]:
        for tries_left in reversed(range(self._pool.max_size + 1)):
            connection = await self._pool.getconn()
            try:
                await connection.execute(
                    "select pg_advisory_lock(hashtextextended('truckroll.holder ' || %s, 0))",
                    [self.holder],
                )
            except BaseException as error:
                await self._pool.putconn(connection)
                if not (isinstance(error, Error) and connection.broken and tries_left):
                    raise
                continue
            return connection
        raise AssertionError("the last try raised")

    async def close(self) -> None:
        """Give the session back; what this process held is free then."""
        async with self._one:
            await self._let_go()

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Error):  # a broken session has no locks
                await connection.execute("select pg_advisory_unlock_all()")
            await self._pool.putconn(connection)


_pulses: WeakKeyDictionary[Pool, Pulse] = WeakKeyDictionary()


def pulse_of(pool: Pool) -> Pulse:
    """Return the pulse of the process that has this pool, one for all its stores."""
    if pool not in _pulses:
        _pulses[pool] = Pulse(pool)
    return _pulses[pool]
