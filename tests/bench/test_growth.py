"""What a pass reads does not grow with what is stored."""

import asyncio

import psycopg
import pytest

from bench import growth
from truckroll.store.embedded import Embedded

LINKS = 30_000
FEW, MANY = 400, 1600
READ = """
select relname, seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables
where schemaname = 'truckroll' and relname in ('record', 'link', 'link_end')
"""
ENTRIES = """
select t.relname, t.seq_tup_read + (
  select sum(i.idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid)
from pg_stat_user_tables t
where t.schemaname = 'truckroll'
  and t.relname in ('record', 'link', 'link_end', 'step', 'story', 'scope')
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


def test_a_pass_with_fifty_changes_takes_up_what_they_concern(grown, monkeypatch):
    home, url = grown
    monkeypatch.setattr(growth.OFFICE, "links", LINKS)
    with psycopg.connect(url, autocommit=True) as connection:
        before = dict(connection.execute(READ).fetchall())
        asyncio.run(growth._one(home))
        after = dict(connection.execute(READ).fetchall())
    taken = {table: after[table] - before[table] for table in before}
    assert max(taken.values()) <= 40 * growth.CHANGES, taken


@pytest.mark.timeout(120)
def test_a_first_fill_reads_as_much_for_each_of_many_records_as_of_few(tmp_path, monkeypatch):
    """Nothing is known of new tables, so any index that fits the tenant looks as good as another."""
    few, many = (_filled(tmp_path / str(number), number, monkeypatch) for number in (FEW, MANY))
    assert {name: read for name, read in many.items() if read > 1.5 * few[name] + 1} == {}


def _filled(folder, records, monkeypatch):
    """How many entries of each table's indexes and rows were read for each record of a fill."""
    monkeypatch.setattr(growth, "BASE", records)
    held = Embedded(folder / "home")
    url = held.hold()
    try:
        asyncio.run(growth._fill(held.home))
        with psycopg.connect(url) as connection:
            read = dict(connection.execute(ENTRIES).fetchall())
    finally:
        held.let_go()
        held.erase()
    return {name: float(number) / records for name, number in read.items()}
