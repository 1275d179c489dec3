"""What a pass reads does not grow with what is stored."""

import asyncio

import psycopg
import pytest

from bench import growth
from truckroll.store.embedded import Embedded

LINKS = 30_000
READ = """
select relname, seq_tup_read from pg_stat_user_tables
where schemaname = 'truckroll' and relname in ('record', 'link', 'link_end')
"""


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A hub with thirty thousand links, in a database of its own."""
    held = Embedded(tmp_path_factory.mktemp("growth") / "home")
    url = held.hold()
    try:
        asyncio.run(growth._fill(held.home))
        growth._grow(url, LINKS)
        yield held.home, url
    finally:
        held.let_go()
        held.erase()


def test_a_pass_with_fifty_changes_walks_no_table(grown, monkeypatch):
    home, url = grown
    monkeypatch.setattr(growth.OFFICE, "links", LINKS)
    with psycopg.connect(url, autocommit=True) as connection:
        before = dict(connection.execute(READ).fetchall())
        asyncio.run(growth._one(home))
        after = dict(connection.execute(READ).fetchall())
    assert {table: after[table] - before[table] for table in before} == dict.fromkeys(before, 0)
