"""Two observations of which nobody knows the newer: what is held stays safe, and is asked again."""

import pytest
from msgspec.structs import replace

from store.worlds import AT, later, make_world, reply, seen, visit
from truckroll.kit.contract import Missing


async def writing(store, version="w1"):
    """Return a world in which an update of a follower is out, and the opened step."""
    world = await make_world(store)
    (link,) = await world.synced()
    await store.watch([world.source, world.target], 1, at=AT, signed_out="sign_in")
    end = link.ends[1]
    how = {"external_id": "x0", "fields": {"title": "Leak"}, "before": visit()}
    step = replace(world.step(link, end.id, "update", **how), version=version)
    (opened,) = await world.journal(link, step)
    return world, opened


async def doubted(store, world):
    return (await store.scope_agenda(world.target)).whole


async def test_a_reply_alone_doubts_nothing(store):
    world, opened = await writing(store)
    await world.finish(opened, "done", at=later(seconds=2), **reply("x0", visit("Leak"), "w2"))
    assert not await doubted(store, world)


async def test_our_own_write_seen_before_its_reply_doubts_nothing(store):
    world, opened = await writing(store)
    await world.page(seen("x0", visit("Leak"), "w2"), scope=world.target, at=later(seconds=1))
    await world.finish(opened, "done", at=later(seconds=2), **reply("x0", visit("Leak"), "w2"))
    assert not await doubted(store, world)


async def test_an_edit_seen_before_the_reply_that_is_older_is_read_again(store):
    world, opened = await writing(store)
    await world.page(seen("x0", visit("By hand"), "w3"), scope=world.target, at=later(seconds=1))
    await world.finish(opened, "done", at=later(seconds=2), **reply("x0", visit("Leak"), "w2"))
    agenda = await store.scope_agenda(world.target)
    assert (agenda.whole, agenda.due_at) == (True, AT)
    assert agenda.asked > 0
    await world.page(seen("x0", visit("By hand"), "w3"), scope=world.target, at=later(seconds=3))
    (link,) = await world.due(at=later(seconds=3))
    assert link.ends[1].shown["title"] == "By hand"


async def test_without_versions_another_value_is_read_again(store):
    world, opened = await writing(store, version=None)
    await world.page(seen("x0", visit("By hand"), None), scope=world.target, at=AT)
    told = reply("x0", visit("Leak"), None)
    await world.finish(opened, "done", at=later(seconds=2), **told)
    assert await doubted(store, world)


@pytest.mark.parametrize("late", [seen("x0", visit(), "w1"), Missing("x0")])
async def test_a_page_asked_for_before_a_write_does_not_replace_its_reply(store, late):
    world, opened = await writing(store)
    listing = await store.begin_listing(world.target)
    await world.finish(opened, "done", at=later(seconds=2), **reply("x0", visit("Leak"), "w2"))
    result = await world.page(late, scope=world.target, listing=listing, at=later(seconds=3))
    assert result.changed == result.gone == 0
    (link,) = await store.due(world.mirror, at=AT, after=0, limit=9, everything=True)
    assert (link.ends[1].shown["title"], link.ends[1].version) == ("Leak", "w2")
    assert await doubted(store, world)
    assert await store.finish_listing(world.target, listing, at=later(seconds=4)) == []


async def test_what_was_written_during_a_listing_that_does_not_show_it_is_told(store):
    world, opened = await writing(store)
    listing = await store.begin_listing(world.target)
    await world.finish(opened, "done", at=later(seconds=2), **reply("x0", visit("Leak"), "w2"))
    assert await store.finish_listing(world.target, listing, at=later(seconds=4)) == []
    assert await store.overtaken(world.target, listing) == ["x0"]
    assert not await doubted(store, world)
    await store.doubt(world.target, at=later(seconds=5))
    assert await doubted(store, world)
    listing = await store.begin_listing(world.target)
    await world.page(seen("x0", visit("Leak"), "w2"), scope=world.target, listing=listing)
    assert await store.overtaken(world.target, listing) == []


async def test_what_was_removed_is_not_back_by_a_page_from_before(store):
    world = await make_world(store)
    (link,) = await world.synced()
    step = world.step(link, link.ends[1].id, "delete", external_id="x0", version="w1")
    (opened,) = await world.journal(link, step)
    listing = await store.begin_listing(world.target)
    await world.finish(opened, "done", at=later(seconds=2), external_id="x0")
    await world.page(
        seen("x0", visit(), "w1"), scope=world.target, listing=listing, at=later(seconds=3)
    )
    assert (await world.link(link.id)).ends[1].state == "gone"


@pytest.mark.parametrize("was_seen", [True, False])
async def test_what_was_made_and_deleted_before_its_reply_is_read_again(store, was_seen):
    world = await make_world(store)
    (link,) = await world.adopted()
    await store.watch([world.source, world.target], 1, at=AT, signed_out="sign_in")
    opened = await world.follower(link)
    if was_seen:
        await world.page(seen("x0", version="w1"), scope=world.target, at=AT)
    await world.page(Missing("x0"), scope=world.target, at=later(seconds=1))
    await world.finish(opened, "done", at=later(seconds=2), **reply("x0"))
    assert (await world.link(link.id)).ends[1].state == "live"
    assert await doubted(store, world)


async def test_a_tombstone_of_what_nobody_knows_is_nothing(store):
    world = await make_world(store)
    await world.page(Missing("x0"), scope=world.target)
    await world.page(seen("x0"), scope=world.target)
    assert not await doubted(store, world)


async def test_after_a_leap_what_failed_and_recipes_are_due_at_once(store):
    world = await make_world(store)
    await store.watch([world.source, world.target], 1, at=AT, signed_out="sign_in")
    for scope, failures in ((world.source, 2), (world.target, 0)):
        await store.scope_read(
            scope,
            await store.scope_agenda(scope),
            at=AT,
            next_at=later(minutes=4),
            failures=failures,
        )
    await store.make_recipes_due([world.recipe], at=later(hours=1))
    (link,) = await world.adopted()
    await world.follower(link, at=later(hours=1))
    await store.clamp_due(at=AT, longest=300)
    (opened,) = await store.open_intents(world.recipe)
    assert opened.at == AT
    assert (await store.scope_agenda(world.source)).due_at == AT
    assert (await store.scope_agenda(world.target)).due_at == later(minutes=4)
    assert (await store.recipe_agenda(world.recipe)).due_at == AT


@pytest.mark.parametrize("listed", [True, False])
async def test_what_was_made_and_is_not_in_a_whole_list_since_is_looked_for(store, listed):
    world = await make_world(store)
    (link,) = await world.adopted(seen("1"))
    await store.watch([world.source, world.target], 1, at=AT, signed_out="sign_in")
    opened = await world.follower(link)  # it is made there, and somebody deletes it
    listing = await store.begin_listing(world.target)
    if listed:
        await store.finish_listing(world.target, listing, at=later(seconds=2))
    await world.finish(opened, "done", at=later(seconds=3), **reply("x0", visit(), "w1"))
    assert await doubted(store, world) is listed
