"""What keeping pushes reads does not grow with the subscriptions that have nothing to do with it."""

import sys
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import pushes
from truckroll.store.open import open_store

MANY = 300


async def _scans(url):
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("select pg_stat_force_next_flush()")
        answer = await connection.execute(
            "select relname, coalesce(idx_scan, 0) + seq_scan from pg_stat_user_tables"
            " where schemaname = 'truckroll' and relname in ('scope', 'subscription')"
        )
        return dict(await answer.fetchall())


async def test_a_few_pushes_do_not_walk_hundreds_of_subscriptions(database_url, tmp_path):
    await pushes.subscribed(database_url, tmp_path, tenants=1, scopes=MANY)
    async with open_store(database_url, tmp_path, 1) as store:
        rows = await store.subscriptions()
        before = await _scans(database_url)
        kept = await store.keep_pushes([pushes.came(row.id, b"1") for row in rows[:10]])
        assert kept == ["new"] * 10
    after = await _scans(database_url)
    # Before the planner knows how many rows there are, a join may go through one side for each.
    assert all(after[name] - before[name] < MANY for name in after)
    async with open_store(database_url, tmp_path, 1) as store:
        due = await store.scope_agendas([row.scope for row in rows])
    assert sorted(one.asked for one in due.values()) == [0] * (MANY - 10) + [1] * 10
