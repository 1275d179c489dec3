"""Records come to the link of their fold key: on PostgreSQL and in its in-memory twin alike."""

import asyncio
import random

from msgspec.structs import replace

from store.worlds import AT, World, later, make_world, seen, visit
from truckroll.kit.contract import Missing, Scope, Unreadable
from truckroll.store.memory import MemoryStore


def of(customer, hour=9):
    return visit(customer=customer, hour=hour)


def key(fields):
    return fields.get("customer") or ""


async def group(world, at=AT, limit=100):
    """Regroup and adopt as a pass does."""
    after = 0
    while True:
        after = await world.store.regroup(world.mirror, key, at=at, after=after, limit=limit)
        if not after:
            break
    made, scopes = limit, [world.source]
    while made == limit:
        how = {"at": at, "limit": limit, "fold": key}
        made = (await world.store.adopt(world.mirror, "source", scopes, **how)).made


async def links(world):
    return await world.store.due(
        world.mirror, at=later(days=9), after=0, limit=999, everything=True
    )


def standing(link):
    return sorted(
        end.external_id
        for end in link.ends
        if end.side == "source" and end.state in ("live", "unreadable")
    )


async def groups(world):
    found = [(link.fold, standing(link)) for link in await links(world)]
    return sorted(one for one in found if one[1])


async def rest(world):
    """Let nothing be due, as after a pass."""
    for link in await links(world):
        await world.journal(link)


async def test_records_of_one_key_share_a_link_and_those_without_are_alone(store):
    world = await make_world(store)
    items = (seen("1", of("a")), seen("2", of("b")), seen("3", of("a")), seen("4"), seen("5"))
    await world.page(*items)
    await group(world, limit=2)
    assert await groups(world) == [("", ["4"]), ("", ["5"]), ("a", ["1", "3"]), ("b", ["2"])]
    assert len({link.key for link in await links(world)}) == 4
    await rest(world)
    assert await world.due() == []
    await world.page(seen("6", of("b")))
    await group(world)
    (due,) = await world.due()
    assert (due.fold, standing(due)) == ("b", ["2", "6"])


async def test_a_record_leaves_joins_and_comes_back_as_the_same_end(store):
    world = await make_world(store)
    await world.page(seen("1", of("a")), seen("2", of("a")), seen("3", of("b")))
    await group(world)
    await rest(world)
    first = {end.external_id: end.id for link in await links(world) for end in link.ends}
    await world.page(seen("2", of("b"), version="2"))
    await group(world)
    assert await groups(world) == [("a", ["1"]), ("b", ["2", "3"])]
    assert sorted(link.fold for link in await world.due()) == ["a", "b"]
    left = [end for link in await links(world) for end in link.ends if end.state == "released"]
    assert [(end.id, end.decided) for end in left] == [(first["2"], "left")]
    await rest(world)
    await world.page(seen("2", of("a"), version="3"))
    await group(world)
    assert await groups(world) == [("a", ["1", "2"]), ("b", ["3"])]
    (back,) = (one for one in await links(world) if one.fold == "a")
    (end,) = (end for end in back.ends if end.external_id == "2")
    assert (end.id, end.state, end.decided) == (first["2"], "live", "")


async def test_a_link_goes_along_with_all_its_records_and_a_stale_plan_is_refused(store):
    world = await make_world(store)
    await world.page(seen("1", of("a")), seen("2", of("a")))
    await group(world)
    (link,) = await links(world)
    await world.page(seen("1", of("c"), version="2"), seen("2", of("c"), version="2"))
    await group(world)
    (renamed,) = await links(world)
    assert (renamed.id, renamed.fold, renamed.key) == (link.id, "c", link.key)
    await world.journal(replace(link, hold="stale"))
    (after,) = await links(world)
    assert after.hold == ""


async def test_the_link_of_a_key_that_has_ended_is_not_taken_up_again(store):
    world = await make_world(store)
    await world.page(seen("1", of("a")))
    await group(world)
    (link,) = await links(world)
    await world.page(Missing("1"))
    (link,) = await links(world)
    await world.journal(replace(link, state="ended", ended_why="gone"))
    await world.page(seen("2", of("a")))
    await group(world)
    (new,) = await links(world)
    assert new.id != link.id
    assert standing(new) == ["2"]


async def test_two_who_adopt_at_once_make_one_link(store):
    world = await make_world(store)
    stored = await store.put_scopes(world.source_account, [Scope("/c/", "C", "calendar")])
    (other,) = (one for one in stored if one.scope.id == "/c/")
    await world.page(seen("1", of("a")))
    await world.page(seen("2", of("a")), scope=other.id)
    adopt = store.adopt
    await asyncio.gather(
        *(
            adopt(world.mirror, "source", [scope], at=AT, limit=9, fold=key)
            for scope in (world.source, other.id)
        )
    )
    assert await groups(world) == [("a", ["1", "2"])]


def twin_of(world):
    store = MemoryStore()
    scopes = [store.put_scope(number, Scope(name, name, "calendar")) for number, name in
              ((1, "/a/"), (2, "/b/"))]  # fmt: skip
    return World(store, scopes[0].id, scopes[1].id, 1, 2, world.recipe, world.mirror)


async def test_random_records_are_grouped_alike_in_both_stores(store):
    real = await make_world(store)
    twin = twin_of(real)
    chance = random.Random(5)
    known = {}
    for turn in range(60):
        id_ = str(chance.randint(1, 9))
        draw = chance.random()
        if draw < 0.15 and id_ in known:
            item = Missing(id_)
        elif draw < 0.25 and id_ in known:
            item = Unreadable(id_, "garbled")
        else:
            item = seen(id_, of(chance.choice(("a", "b", "c", None))), version=str(turn))
        known[id_] = item
        for world in (real, twin):
            await world.page(item)
            if turn % 2:
                await group(world)
                await rest(world)
        if turn % 2:
            assert await groups(real) == await groups(twin)
            for fold, ids in await groups(real):
                shown = [known[id_] for id_ in ids]
                assert all(
                    key(one.fields) == fold for one in shown if not isinstance(one, Unreadable)
                )
