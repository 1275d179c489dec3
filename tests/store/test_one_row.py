"""The record of an end is looked up among thousands, in tables that were never analysed too."""

import pytest

from store.worlds import AT, make_world, seen
from truckroll.store import performing, planning

MANY = 4800
CALLS = 12  # after which a statement has its lasting plan
TAKEN = """select sum(seq_tup_read + idx_tup_fetch)::bigint from pg_stat_xact_all_tables
where relname = 'record'"""
END = {"base": "{}", "given": "{}", "removed_by_hub": False, "decided": "", "state": "live"}


@pytest.mark.parametrize("name", ["insert_end", "finish"])
async def test_the_record_of_an_end_is_looked_up(store, name):
    world = await make_world(store)
    await world.page(*(seen(str(one)) for one in range(MANY)))
    await world.adopt(limit=1)
    (link,) = await world.due()
    opened = await world.follower(link)
    place = {"link": link.id, "mirror": world.mirror, "external_id": "7", "generation": 0}
    end = {**END, **place, "side": "source", "key": "", "account": world.source_account}
    told = {"open": False, "kind": "done", "outcome": "{}", "done_at": AT, "step": opened.id}
    settled = {"holds": None, "end_holds": None, "due": False, "retry_at": None, "at": AT}
    async with store._transaction() as cursor:
        for number in range(CALLS):
            if name == "insert_end":
                rows = [{**end, "id": 10_000 + number, "scope": world.source}]
                await cursor.put(planning.SQL[name], rows)
            else:
                rows = [{**END, **place, **told, **settled, "end": opened.step.end}]
                await cursor.executemany(performing.SQL[name], rows)
        await cursor.execute(TAKEN)
        ((taken,),) = await cursor.fetchall()
    assert 0 < taken <= 4 * CALLS
