"""Statements that are sent together: each has its own answer, and all or none of them hold."""

import pytest
from psycopg.errors import UniqueViolation

from truckroll.sync.ports import Fenced

_TENANT = b"select nullif(current_setting('truckroll.tenant', true), '')"
_MAKE = b"insert into account (system, name, settings, zone) values ('x', %(name)s, '{}', '')"
_NUMBER = b"select %(number)s::int"


async def _make(store, *names, error=None):
    async with store._transaction(fenced=True) as cursor:
        for name in names:
            await cursor.execute(_MAKE, {"name": name})
        if error is not None:
            raise error


async def test_what_is_asked_keeps_its_rows_whatever_is_sent_after_it(store):
    async with store._transaction() as cursor:
        first = await cursor.ask(_NUMBER, {"number": 1})
        await cursor.executemany(_NUMBER, [{"number": 5}, {"number": 6}])
        second = await cursor.ask(_NUMBER, {"number": 2})
        await cursor.execute(_NUMBER, {"number": 3})
        assert await cursor.fetchall() == [(3,)]
        assert [row async for row in first] == [(1,)]
        assert await second.fetchone() == (2,)


async def test_a_statement_that_fails_takes_those_before_and_after_it_along(store):
    with pytest.raises(UniqueViolation):
        await _make(store, "one", "two", "two", "three")
    assert await store.accounts() == []


async def test_an_error_of_ours_takes_back_what_was_sent(store):
    with pytest.raises(KeyError):
        await _make(store, "one", error=KeyError())
    assert await store.accounts() == []


async def test_nothing_is_sent_under_a_lease_that_is_anothers(store):
    (mine,) = await store.take("recipe", [1], seconds=60)
    await store.release([mine])
    await store.take("recipe", [1], seconds=60)
    with pytest.raises(Fenced):
        await _make(store.under([mine]), "one")
    assert await store.accounts() == []


async def test_a_single_question_leaves_no_tenant_behind_at_its_connection(store):
    assert await store._rows(_TENANT) == [(str(store._tenant),)]
    async with store._pool.connection() as connection:
        answer = await connection.execute(_TENANT)
        assert await answer.fetchone() == (None,)


async def test_what_comes_one_after_the_other_is_asked_of_one_server_process(store):
    """It has the tables at hand; another one would have to read them in."""
    pool = store._pool
    async with pool.connection(), pool.connection(), pool.connection():
        pass
    assert pool.get_stats()["pool_size"] >= 3
    asked = [await store._rows(b"select pg_backend_pid()") for _ in range(6)]
    assert len({row for ((row,),) in asked}) == 1
