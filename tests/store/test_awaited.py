"""What comes another way to where a link may be about to make it is left to that link first."""

from msgspec.structs import replace

from store.worlds import AT, later, make_world, seen, visit
from truckroll.sync.types import Hold

MATCH = ("title", "when")


async def adopt_there(world, at=AT):
    there = [world.target]
    return (
        await world.store.adopt(world.mirror, "target", there, at=at, limit=9, match=MATCH)
    ).made


async def waiting(store):
    """A link that waits to make its record in the target, where the same comes another way."""
    world = await make_world(store)
    (link,) = await world.adopted(seen("1"))
    await world.journal(replace(link, ends=(*link.ends, world.new_end())))
    await world.page(
        seen("same", visit("boiler")),
        seen("other", visit(hour=11)),
        seen("else", visit("Leak")),
        scope=world.target,
    )
    return world, link.id


async def news(world, link):
    return [one.ends[0].external_id for one in await world.due() if one.id != link]


async def test_it_is_left_to_the_link_which_is_due_then(store):
    world, link = await waiting(store)
    assert not await world.due()
    assert await adopt_there(world) == 2
    assert await news(world, link) == ["other", "else"]
    assert link in [one.id for one in await world.due()]
    assert await adopt_there(world) == 0, "not while the link is due"


async def test_it_is_adopted_once_the_link_was_planned_and_did_not_take_it(store):
    world, link = await waiting(store)
    await adopt_there(world)
    await world.journal(await world.link(link))
    assert await adopt_there(world) == 1
    assert "same" in await news(world, link)
    assert link not in [one.id for one in await world.due()], "it is asked once"


async def test_it_is_kept_back_while_the_link_holds_it_as_one_of_several(store):
    world, link = await waiting(store)
    await adopt_there(world)
    hold = Hold(reason="ambiguous", detail="several records may be it")
    await world.journal(await world.link(link), holds=(hold,), look_again_at=later(hours=1))
    assert await adopt_there(world) == 0
    await world.journal(await world.link(link), look_again_at=later(hours=1))
    assert await adopt_there(world) == 1


async def test_a_link_that_is_held_awaits_nothing(store):
    world, link = await waiting(store)
    await world.journal(replace(await world.link(link), hold="not_yet"))
    assert await adopt_there(world) == 3


async def test_a_link_that_has_its_record_awaits_nothing(store):
    world = await make_world(store)
    await world.synced(seen("1"))
    await world.page(seen("twin"), scope=world.target)
    assert await adopt_there(world) == 1


async def test_a_link_that_was_never_planned_awaits_it_too(store):
    world = await make_world(store)
    await world.page(seen("1"))
    await world.adopt()
    await world.page(seen("same"), scope=world.target)
    assert await adopt_there(world) == 0
