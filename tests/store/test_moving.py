"""Adoption of records that were moved, and of those that the hub made itself."""

import pytest
from msgspec.structs import replace

from store.worlds import AT, later, make_world, seen, visit
from truckroll.kit.contract import Missing, Scope
from truckroll.sync.match import create_key


async def second_source(store, world, account=None):
    scopes = await store.put_scopes(
        account or world.source_account, [Scope("/a2/", "A2", "calendar")]
    )
    return next(one.id for one in scopes if one.scope.id == "/a2/")


async def move(world, gone, *items, scope):
    await world.page(Missing(gone), at=later(minutes=1))
    await world.page(*items, scope=scope, at=later(minutes=1))
    both = [world.source, scope]
    return (
        await world.store.adopt(world.mirror, "source", both, at=later(minutes=1), limit=9)
    ).made


async def moved_by(store, **by):
    """Return a link whose source record went to another calendar, after that."""
    world = await make_world(store)
    (link,) = await world.synced(seen("1", series="s"))
    source = link.ends[0]
    weighed = replace(source, base=visit(), given=visit())
    await world.journal(replace(link, ends=(weighed, *link.ends[1:])))
    other = await second_source(store, world)
    mark = link.key if by.get("mark") else None
    record = seen("9", visit("Moved"), mark=mark, series=by.get("series"))
    assert await move(world, "1", record, scope=other) == 1
    return world, await world.link(link.id), other


@pytest.mark.fault("F48")
@pytest.mark.parametrize("by", [{"mark": True}, {"series": "s"}])
async def test_a_moved_source_record_is_the_next_source_end_of_its_link(store, by):
    world, link, other = await moved_by(store, **by)
    old, _, new = link.ends
    assert (old.state, new.state, new.side) == ("gone", "live", "source")
    assert (new.scope, new.external_id, new.generation) == (other, "9", 1)
    assert (new.base, new.given, new.holds) == (visit(), visit(), {})
    assert new.shown["title"] == "Moved"
    assert [one.id for one in await world.due(at=later(minutes=1))] == [link.id]
    assert (await store.story(link.id))[-1].code == "moved"


async def test_a_record_of_another_series_gets_a_link_of_its_own(store):
    world = await make_world(store)
    (link,) = await world.synced(seen("1", series="s"))
    other = await second_source(store, world)
    assert await move(world, "1", seen("9", series="t"), scope=other) == 1
    assert len((await world.link(link.id)).ends) == 2
    assert len(await world.due(at=later(minutes=1), everything=True)) == 2


async def test_what_becomes_of_the_old_record_may_be_decided_already(store):
    world = await make_world(store)
    (link,) = await world.synced(seen("1", series="s"))
    await world.page(Missing("1"))
    link = await world.link(link.id)
    decided = replace(link.ends[0], decided="propagate")
    await world.journal(replace(link, ends=(decided, *link.ends[1:])))
    await world.page(seen("9", series="s"))
    assert await world.adopt() == 1
    assert len((await world.link(link.id)).ends) == 2


async def test_a_copy_that_was_seen_before_its_original_went_is_taken_up_then(store):
    world = await make_world(store)
    (link,) = await world.synced()
    await world.page(seen("9", mark=link.key))
    assert await world.adopt() == 0
    await world.page(Missing("1"), at=later(minutes=1))
    assert await world.adopt(at=later(minutes=1)) == 1
    assert await world.adopt(at=later(minutes=2)) == 0
    assert (await world.link(link.id)).ends[-1].external_id == "9"


async def test_two_records_that_may_be_the_moved_one_are_not_both(store):
    world = await make_world(store)
    (link,) = await world.synced(seen("1", series="s"))
    other = await second_source(store, world)
    pair = seen("8", series="s"), seen("9", series="s")
    assert await move(world, "1", *pair, scope=other) == 2
    ends = (await world.link(link.id)).ends
    assert [end.external_id for end in ends] == ["1", "x0", "8"]


async def test_records_with_the_mark_of_a_link_are_the_hubs_own(store):
    world = await make_world(store)
    (link,) = await world.synced()
    await world.page(seen("mine", mark=link.key), seen("theirs", mark="0" * 16), scope=world.target)
    made = (await store.adopt(world.mirror, "target", [world.target], at=AT, limit=9)).made
    assert made == 1
    (new,) = [one for one in await world.due() if one.id != link.id]
    assert [end.external_id for end in new.ends] == ["theirs"]


def named(key):
    return f"{key}.ics"


async def copied(world, *, chosen):
    at, there = later(minutes=1), [world.target]
    chosen = dict.fromkeys(there, named) if chosen else {}
    return (
        await world.store.adopt(world.mirror, "target", there, at=at, limit=9, chosen=chosen)
    ).made


async def test_where_the_hub_chooses_ids_a_mark_beside_its_record_is_a_copy(store):
    world = await make_world(store)
    (link,) = await world.synced()
    await world.page(seen("x0"), seen("copy", mark=link.key), scope=world.target)
    assert await copied(world, chosen=False) == 0, "it may be the hub's, made twice"
    assert await copied(world, chosen=True) == 1
    (new,) = [one for one in await world.due(at=later(minutes=1)) if one.id != link.id]
    assert [end.external_id for end in new.ends] == ["copy"]


@pytest.mark.fault("F56")
async def test_what_the_hub_made_after_the_backup_that_it_was_restored_from_is_no_copy(store):
    world = await make_world(store)
    (link,) = await world.synced()
    ours = named(create_key(link.key, world.target, 7))
    copy = named(create_key(link.key, world.source, 7))
    marked = (seen(name, mark=link.key, series=name) for name in (ours, copy))
    await world.page(seen("x0"), *marked, scope=world.target)
    assert await copied(world, chosen=True) == 1
    (new,) = [one for one in await world.due(at=later(minutes=1)) if one.id != link.id]
    assert [end.external_id for end in new.ends] == [copy]


@pytest.mark.parametrize("how", ["gone", "being written", "elsewhere", "renamed", "shared"])
async def test_a_mark_whose_record_may_have_moved_or_been_made_is_no_copy(store, how):
    world = await make_world(store)
    (link,) = await world.synced()
    scope = world.target
    await world.page(seen("x0", series="uid", version="2"), scope=scope)
    if how == "gone":
        await world.page(Missing("x0"), scope=scope)
    elif how == "being written":
        end = next(end for end in link.ends if end.side == "target")
        await world.journal(link, world.step(link, end.id, "update", external_id="x0"))
    elif how == "elsewhere":
        scope = await second_source(store, world, world.target_account)
    elif how == "shared":  # the follower in another account's calendar is seen in this one too
        other = await second_source(store, world, world.target_account)
        await world.page(seen("theirs", series="other"), scope=other)
        theirs = world.new_end(scope=other, external_id="theirs", state="live", id=-1)
        await world.journal(replace(link, ends=(*link.ends, theirs)))
    series = "uid" if how == "renamed" else "other"
    await world.page(seen("copy", mark=link.key, series=series), scope=scope)
    at, there = later(minutes=1), [world.target, scope]
    adopted = await store.adopt(
        world.mirror, "target", there, at=at, limit=9, chosen=dict.fromkeys(there, named)
    )
    assert adopted.made == 0
