import stat

import psycopg
import pytest

from store.worlds import AT, later, make_world, seen, visit
from truckroll.kit.contract import Scope
from truckroll.store.open import open_store
from truckroll.store.secret import Keyring, load_keyring, save_keyring
from truckroll.store.trouble import DatabaseTrouble

SECRET = "hunter2-canary"


async def test_an_account_keeps_its_settings_and_secrets(store):
    made = await store.add_account(
        "caldav", "Ana", {"url": "u"}, {"password": SECRET}, "Europe/Berlin"
    )
    account = await store.account("Ana")
    assert account.secrets == {"password": SECRET}
    assert (account.id, account.system, account.settings) == (made.id, "caldav", {"url": "u"})
    assert account.zone == "Europe/Berlin"
    (listed,) = await store.accounts()
    assert listed.secrets == {}
    assert await store.account("Ben") is None
    with pytest.raises(KeyError):
        await store.add_account("caldav", "Ana", {}, {})


@pytest.mark.fault("F69")
async def test_secrets_are_not_readable_in_the_database_or_when_printed(store, database_url):
    await store.add_account("caldav", "Ana", {"url": "u"}, {"password": SECRET})
    account = await store.account("Ana")
    assert SECRET not in repr(account)
    with psycopg.connect(database_url) as connection:
        ((sealed,),) = connection.execute("select sealed from truckroll.account").fetchall()
    assert SECRET.encode() not in sealed


async def test_an_account_is_updated_in_part(store):
    await store.add_account("caldav", "Ana", {"url": "u"}, {"password": SECRET})
    await store.update_account("Ana", settings={"url": "v"})
    account = await store.account("Ana")
    assert (account.settings, account.secrets) == ({"url": "v"}, {"password": SECRET})
    await store.update_account("Ana", secrets={"password": "new"}, zone="UTC")
    account = await store.account("Ana")
    assert (account.secrets, account.zone) == ({"password": "new"}, "UTC")
    with pytest.raises(KeyError):
        await store.update_account("Ben", zone="UTC")


async def test_sealed_secrets_cannot_be_moved_to_another_account(store, database_url):
    await store.add_account("caldav", "Ana", {}, {"password": SECRET})
    await store.add_account("caldav", "Ben", {}, {"password": "other"})
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update truckroll.account set sealed = (select sealed from truckroll.account"
            " where name = 'Ana') where name = 'Ben'"
        )
    with pytest.raises(DatabaseTrouble, match="sealed for another account"):
        await store.account("Ben")


async def test_the_key_is_changed_and_the_old_one_retired(database_url, tmp_path):
    home = tmp_path / "home"
    async with open_store(database_url, home) as store:
        await store.add_account("caldav", "Ana", {}, {"password": SECRET})
        await store.add_account("caldav", "Ben", {}, {})
        rotated = load_keyring(home).rotated()
        save_keyring(home, rotated)
        assert await store.reseal(rotated) == 1
        assert (await store.account("Ana")).secrets == {"password": SECRET}
    save_keyring(home, load_keyring(home).retired())
    async with open_store(database_url, home) as store:
        assert (await store.account("Ana")).secrets == {"password": SECRET}


async def test_a_crash_between_the_new_key_and_resealing_loses_nothing(database_url, tmp_path):
    home = tmp_path / "home"
    async with open_store(database_url, home) as store:
        await store.add_account("caldav", "Ana", {}, {"password": SECRET})
    save_keyring(home, load_keyring(home).rotated())
    async with open_store(database_url, home) as store:
        assert (await store.account("Ana")).secrets == {"password": SECRET}


async def test_a_lost_key_is_explained(database_url, tmp_path):
    async with open_store(database_url, tmp_path / "one") as store:
        await store.add_account("caldav", "Ana", {}, {"password": SECRET})
    async with open_store(database_url, tmp_path / "two") as store:
        with pytest.raises(DatabaseTrouble, match=r"Put the secret\.key back"):
            await store.account("Ana")


def test_the_key_file_is_private_and_stays(tmp_path):
    one = load_keyring(tmp_path)
    assert load_keyring(tmp_path).text() == one.text()
    mode = (tmp_path / "secret.key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    save_keyring(tmp_path, one.rotated())
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_the_environment_takes_the_key_files_place(tmp_path, monkeypatch):
    ring = load_keyring(tmp_path / "elsewhere")
    monkeypatch.setenv("TRUCKROLL_SECRET_KEY", ring.text().replace("\n", " "))
    assert load_keyring(tmp_path / "home").text() == ring.text()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("text", ["", "k1", "k1:short", ":AAAA", "k1:%%%%"])
def test_a_damaged_key_is_refused(text):
    with pytest.raises(DatabaseTrouble, match=r"secret\.key"):
        Keyring.parse(text)


async def test_scopes_are_brought_up_to_date_and_keep_their_cursor(store):
    world = await make_world(store)
    await world.page(seen("1"), cursor="c1")
    scopes = await store.put_scopes(
        world.source_account,
        [Scope("/a/", "Renamed", "calendar", writable=False, owner="ana"), Scope("/c/", "C", "x")],
    )
    assert [one.scope.title for one in scopes] == ["Renamed", "C"]
    one = await store.scope(world.source)
    assert (one.scope.writable, one.scope.owner, one.cursor, one.live) == (False, "ana", "c1", 1)
    assert len(await store.scopes()) == 3


@pytest.mark.fault("F44")
async def test_a_reset_forgets_cursors_and_versions_and_keeps_links(store):
    world = await make_world(store)
    (link,) = await world.synced()
    await world.page(cursor="c1")
    await store.reset_account(world.source_account, at=later(hours=1))
    scope = await store.scope(world.source)
    assert (scope.cursor, scope.complete_at) == (None, None)
    assert await store.versions(world.source, ["1"]) == {"1": None}
    (again,) = await world.due(at=later(hours=1))
    assert again.id == link.id
    assert again.ends[0].shown == visit()
    assert await store.versions(world.target, ["x0"]) == {"x0": "w1"}
    assert (await world.page(seen("1"), at=later(hours=2))).same == 1
    assert await world.adopt() == 0


async def test_a_removed_account_takes_its_scopes_and_leaves_the_links(store):
    world = await make_world(store)
    (link,) = await world.synced()
    await store.remove_account("r-b")
    assert [one.name for one in await store.accounts()] == ["r-a"]
    assert [one.id for one in await store.scopes()] == [world.source]
    assert (await world.link(link.id)).ends[1].external_id == "x0"


async def test_people_are_mapped_and_unmapped(store):
    world = await make_world(store)
    await store.map_person("Mike", world.target_account, world.target)
    (proposed,) = await store.people()
    assert (proposed.confirmed_by, proposed.confirmed_at) == ("", None)
    await store.map_person("Mike", world.target_account, world.target, "office", at=AT)
    (confirmed,) = await store.people()
    assert (confirmed.confirmed_by, confirmed.confirmed_at) == ("office", AT)
    await store.unmap_person("Mike")
    assert await store.people() == []
