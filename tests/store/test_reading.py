import asyncio

import pytest

from store.worlds import AT, later, make_world, seen, visit
from truckroll.kit.contract import Missing, Page, Unreadable
from truckroll.store.reading import SQL
from truckroll.sync.types import Outcome


async def records(world):
    """Every record of the source scope, by external id."""
    listing = await world.store.begin_listing(world.source)
    rows = await world.store.finish_listing(world.source, listing, at=AT)
    return {row.external_id: row for row in rows}


async def test_listing_ids_grow(store):
    world = await make_world(store)
    first = await store.begin_listing(world.source)
    assert await store.begin_listing(world.target) > first


async def test_new_records_are_kept_with_their_fields_and_order(store):
    world = await make_world(store)
    result = await world.page(
        seen("1", visit(number="J-1", notes=None, materials=""), raw=b"\x00raw", series="u1"),
        seen("2", owned=False, mark="m"),
    )
    assert (result.new, result.changed, result.same) == (2, 0, 0)
    found = await records(world)
    assert found["1"].fields == visit(number="J-1", notes=None, materials="")
    assert found["1"].series == "u1"
    assert found["1"].seen_at == AT
    assert set(found["1"].changed) == set(found["1"].fields)
    assert set(found["1"].changed.values()) == {found["1"].seen_order}
    assert not found["2"].owned
    assert found["2"].mark == "m"
    assert found["2"].seen_order > found["1"].seen_order


async def test_texts_and_octets_are_kept_to_the_letter(store):
    world = await make_world(store)
    notes, raw = 'a\x00b "c" \\u0000 \\ ü 🛠️\r\n', bytes(range(256))
    await world.page(seen("1", visit(notes=notes), raw=raw))
    assert (await records(world))["1"].fields == visit(notes=notes)
    assert await store._rows(b"select raw from record") == [(raw,)]


async def test_only_the_changed_fields_get_a_new_order(store):
    world = await make_world(store)
    await world.page(seen("1"))
    before = (await records(world))["1"]
    result = await world.page(seen("1", visit("Leak"), version="2"))
    after = (await records(world))["1"]
    assert result.changed == 1
    assert after.changed["title"] == after.seen_order > before.seen_order
    assert after.changed["when"] == before.changed["when"]


async def test_a_field_that_was_not_read_is_not_cleared(store):
    world = await make_world(store)
    await world.page(seen("1", visit(notes="call first")))
    result = await world.page(seen("1", {"title": "Boiler"}, version="2"))
    assert result.same == 1
    assert (await records(world))["1"].fields == visit(notes="call first")


@pytest.mark.fault("AT-23")
async def test_a_field_that_was_emptied_is_cleared(store):
    world = await make_world(store)
    await world.page(seen("1", visit(notes="call first")))
    await world.page(seen("1", visit(notes=""), version="2"))
    assert (await records(world))["1"].fields == visit(notes="")


async def test_a_new_version_with_equal_fields_makes_nothing_due(store):
    world = await make_world(store)
    await world.page(seen("1"))
    await world.adopt()
    (link,) = await world.due()
    await world.journal(link)
    result = await world.page(seen("1", version="2", raw=b"again"), at=later(minutes=5))
    assert result.same == 1
    assert await world.due(at=later(hours=1)) == []
    assert (await world.link(link.id)).ends[0].version == "2"


async def test_a_changed_record_makes_its_link_due(store):
    world = await make_world(store)
    await world.page(seen("1"), seen("2"))
    await world.adopt()
    for link in await world.due():
        await world.journal(link)
    await world.page(seen("1", visit("Leak"), version="2"), seen("2"), at=later(minutes=5))
    assert await world.due(at=later(minutes=4)) == []
    (link,) = await world.due(at=later(minutes=5))
    assert link.ends[0].external_id == "1"
    assert link.ends[0].shown["title"] == "Leak"


async def test_the_same_version_is_the_same_record(store):
    world = await make_world(store)
    await world.page(seen("1"))
    result = await world.page(seen("1", visit("decoded in another way")))
    assert (result.same, result.changed) == (1, 0)
    assert (await records(world))["1"].fields == visit()


@pytest.mark.fault("F22")
async def test_without_versions_the_content_decides(store):
    world = await make_world(store)
    await world.page(seen("1", version=None))
    assert (await world.page(seen("1", version=None))).same == 1
    assert (await world.page(seen("1", visit("Leak"), version=None))).changed == 1


@pytest.mark.fault("F18")
async def test_a_tombstone_of_an_unknown_record_does_nothing(store):
    world = await make_world(store)
    result = await world.page(Missing("never seen"))
    assert (result.gone, result.new) == (0, 0)
    assert await records(world) == {}


async def test_a_tombstone_makes_the_record_gone_and_its_link_due(store):
    world = await make_world(store)
    await world.page(seen("1"))
    await world.adopt()
    (link,) = await world.due()
    await world.journal(link)
    result = await world.page(Missing("1"), at=later(minutes=5))
    assert result.gone == 1
    (link,) = await world.due(at=later(minutes=5))
    assert link.ends[0].state == "gone"
    assert link.ends[0].gone_at == later(minutes=5)
    assert link.ends[0].shown == visit()
    assert (await world.page(Missing("1"), at=later(minutes=6))).gone == 0
    assert (await store.scope(world.source)).live == 0


async def test_a_gone_record_that_is_seen_again_is_live(store):
    world = await make_world(store)
    await world.page(seen("1"))
    await world.adopt()
    await world.page(Missing("1"))
    result = await world.page(seen("1", version="1"), at=later(minutes=9))
    assert result.changed == 1
    (link,) = await world.due(at=later(minutes=9))
    assert link.ends[0].state == "live"
    assert link.ends[0].gone_at is None
    assert (await store.scope(world.source)).live == 1


async def test_an_unreadable_record_keeps_what_it_showed(store):
    world = await make_world(store)
    await world.page(seen("1"))
    result = await world.page(
        Unreadable("1", "line 3 is no date", version="2"), Unreadable("2", "bad")
    )
    assert result.unreadable == 2
    found = await records(world)
    assert (found["1"].state, found["1"].problem) == ("unreadable", "line 3 is no date")
    assert found["1"].fields == visit()
    assert found["2"].fields == {}
    assert (await world.page(Unreadable("1", "line 3 is no date", version="2"))).same == 1
    assert (await store.scope(world.source)).live == 2


async def test_the_last_of_several_items_of_one_id_counts(store):
    world = await make_world(store)
    await world.page(seen("1"))
    await world.page(Missing("1"), seen("1", visit("moved"), version="2"))
    assert (await records(world))["1"].fields["title"] == "moved"


async def test_the_cursor_moves_with_the_page_alone(store):
    world = await make_world(store)
    await world.page(seen("1"), cursor="c1")
    assert (await store.scope(world.source)).cursor == "c1"
    await world.page(seen("2"), cursor=None)
    assert (await store.scope(world.source)).cursor == "c1"
    listing = await store.begin_listing(world.source)
    page = Page(items=(), cursor="c2")
    await store.store_page(world.source, listing, "appointment", page, at=AT, keep_cursor=True)
    assert (await store.scope(world.source)).cursor == "c1"
    await store.set_cursor(world.source, None)
    assert (await store.scope(world.source)).cursor is None


@pytest.mark.fault("F55")
async def test_a_crash_between_page_and_cursor_leaves_neither(store, monkeypatch):
    world = await make_world(store)
    await world.page(seen("1"), cursor="c1")
    monkeypatch.setattr(
        "truckroll.store.reading.SQL", {**SQL, "move_cursor": b"select 1 / 0 -- the crash"}
    )
    with pytest.raises(Exception, match="division by zero"):
        await world.page(seen("1", visit("Leak"), version="2"), seen("2"), cursor="c2")
    monkeypatch.undo()
    assert (await store.scope(world.source)).cursor == "c1"
    assert {id_: row.version for id_, row in (await records(world)).items()} == {"1": "1"}
    assert (await world.page(seen("1", visit("Leak"), version="2"), seen("2"))).new == 1


async def test_a_complete_listing_names_what_it_did_not_show(store):
    world = await make_world(store)
    await world.page(seen("1"), seen("2"), seen("3"), Unreadable("4", "bad"))
    listing = await store.begin_listing(world.source)
    await world.page(seen("1"), listing=listing, unchanged=("2",))
    unseen = await store.finish_listing(world.source, listing, at=later(minutes=1))
    assert [row.external_id for row in unseen] == ["3", "4"]
    assert {row.state for row in unseen} == {"live", "unreadable"}
    assert (await store.scope(world.source)).complete_at == later(minutes=1)
    assert (await store.scope(world.source)).live == 4


async def test_records_proven_absent_are_gone(store):
    world = await make_world(store)
    await world.page(seen("1"), seen("2"))
    await world.adopt()
    for link in await world.due():
        await world.journal(link)
    one = (await records(world))["1"]
    await store.mark_gone([one.id], at=later(minutes=2))
    (link,) = await world.due(at=later(minutes=2))
    assert link.ends[0].state == "gone"
    assert (await store.scope(world.source)).live == 1
    await store.mark_gone([one.id], at=later(minutes=3))
    assert (await store.scope(world.source)).live == 1


@pytest.mark.fault("F34")
async def test_our_own_new_record_is_not_missing_from_the_listing_under_way(store):
    """It was made after the listing began, so that the listing could not show it."""
    world = await make_world(store)
    await world.page(seen("1"))
    await world.adopt()
    (link,) = await world.due()
    listing = await store.begin_listing(world.target)
    opened = await world.follower(link)
    reply = Outcome(step=opened.id, kind="done", external_id="x", version="1", shown=visit())
    await store.finish(world.run, [reply], at=AT)
    assert await store.finish_listing(world.target, listing, at=AT) == []


async def test_versions_are_those_of_records_that_are_there(store):
    world = await make_world(store)
    await world.page(seen("1"), seen("2", version=None), seen("3"), Missing("3"))
    await world.page(seen("3"))
    await world.page(Missing("3"))
    assert await store.versions(world.source, ["1", "2", "3", "4"]) == {"1": "1", "2": None}
    assert await store.versions(world.target, ["1"]) == {}


@pytest.mark.fault("AT-17")
async def test_two_readers_of_one_scope_store_each_record_once(store):
    world = await make_world(store)
    items = [seen(str(number)) for number in range(50)]
    results = await asyncio.gather(*(world.page(*items) for _ in range(4)))
    assert sum(result.new for result in results) == 50
    assert (await store.scope(world.source)).live == 50
