"""Data of an older PostgreSQL: moved whole, compared, and kept."""

import asyncio

import pytest

from store.worlds import make_world, seen
from truckroll.store.backup import counts
from truckroll.store.binaries import find_binaries, find_older, server_account
from truckroll.store.embedded import Embedded
from truckroll.store.open import open_store
from truckroll.store.server import Server
from truckroll.store.trouble import DatabaseTrouble
from truckroll.store.upgrade import upgrade


@pytest.fixture(params=[15, 16])
def old(request, tmp_path):
    """Return a home whose data an older PostgreSQL made, and that version."""
    account = server_account()
    try:
        programs = find_older(account, request.param)
    except DatabaseTrouble as error:
        pytest.skip(str(error))
    home = tmp_path / "home"
    embedded = Embedded(home, durable=False)
    embedded._prepare_home()
    with embedded.alone() as installed:
        server = Server(home, installed.account, programs, durable=False)
        server.make_cluster()
        server.ensure_running()
        try:
            asyncio.run(_filled(server.url(), home))
            told = counts(server.url(), ("truckroll", "engine"))
        finally:
            server.stop()
    yield home, request.param, told
    embedded.erase()


async def _filled(url, home):
    async with open_store(url, home) as store:
        world = await make_world(store)
        await world.synced(seen("1"), seen("2"))
        await store.add_account("caldav", "sealed", {}, {"password": "hunter2"})


async def test_data_of_an_older_major_are_moved_whole_and_kept(old):
    home, major, told = old
    embedded = Embedded(home, durable=False)
    with pytest.raises(DatabaseTrouble, match=f"belong to PostgreSQL {major}.*truckroll upgrade"):
        embedded.hold()
    moved = upgrade(home, durable=False)
    new = find_binaries(server_account()).major
    assert (moved.old, moved.new, moved.tables) == (major, new, len(told))
    assert moved.rows == sum(told.values())
    assert moved.rows > 10
    assert (moved.kept / "PG_VERSION").read_text().strip() == str(major)
    assert not list(home.glob("*.dump"))
    async with Embedded(home, durable=False) as server:
        assert counts(server.url, ("truckroll", "engine")) == told
        async with open_store(server.url, home) as store:
            assert (await store.account("sealed")).secrets == {"password": "hunter2"}
    assert upgrade(home, durable=False) is None


async def test_a_move_that_fails_leaves_all_as_it_was(old, monkeypatch):
    home, major, told = old

    def fewer(url, schemas):
        found = dict(counts(url, schemas))
        found["truckroll.link"] += seen_urls.count(url)
        seen_urls.append(url)
        return found

    seen_urls = []
    monkeypatch.setattr("truckroll.store.upgrade.counts", fewer)
    with pytest.raises(DatabaseTrouble, match=r"truckroll\.link have other numbers"):
        upgrade(home, durable=False)
    monkeypatch.undo()
    with pytest.raises(DatabaseTrouble, match=f"belong to PostgreSQL {major}"):
        Embedded(home, durable=False).hold()
    assert upgrade(home, durable=False).rows == sum(told.values())


def test_programs_that_are_nowhere_are_asked_for(tmp_path):
    with pytest.raises(DatabaseTrouble, match=r"PostgreSQL 9.*--programs DIR"):
        find_older(server_account(), 9, tmp_path)
