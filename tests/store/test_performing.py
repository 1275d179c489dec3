import asyncio

import pytest
from msgspec.structs import replace

from store.worlds import AT, later, make_world, reply, seen, visit
from truckroll.kit.contract import Missing, Seen
from truckroll.sync.ports import Busy
from truckroll.sync.types import FieldHold, Outcome


async def update(world, link, op="update", **more):
    end = link.ends[1]
    step = world.step(link, end.id, op, **{"external_id": end.external_id, **more})
    (opened,) = await world.journal(link, step)
    return opened


@pytest.mark.fault("AT-03")
async def test_a_reply_is_the_next_observation_and_makes_nothing_due(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    shown = visit("Boiler", notes="cut")
    await world.finish(
        opened, "done", **reply("x", shown, base=shown, given=visit("Boiler", notes="cut off"))
    )
    end = (await world.link(link.id)).ends[1]
    assert (end.state, end.external_id, end.version) == ("live", "x", "w1")
    assert end.shown == end.base == shown
    assert end.given["notes"] == "cut off"
    assert not end.open
    assert await world.due(at=later(days=9)) == []
    assert await store.open_intents(world.recipe) == []
    result = await world.page(Seen("x", shown, "w1"), scope=world.target, at=later(minutes=1))
    assert result.same == 1
    assert await world.due(at=later(days=9)) == []


async def test_the_new_record_carries_the_links_mark(store):
    world = await make_world(store)
    (link,) = await world.synced()
    other = await store.mirror_id(world.recipe, "other")
    found = await store.candidates(other, [world.target], [], [link.key])
    assert [row.external_id for row in found] == ["x0"]


@pytest.mark.fault("AT-03")
async def test_a_reply_makes_other_mirrors_links_of_the_record_due(store):
    """In a chain A → B → C our own write to B must go on to C."""
    world = await make_world(store)
    (link,) = await world.synced()
    onward = await store.mirror_id(world.recipe, "onward")
    await store.adopt(onward, "source", [world.target], at=AT, limit=9)
    (next_,) = await store.due(onward, at=AT, after=0, limit=9)
    await world.journal(next_)
    opened = await update(world, link, fields={"title": "Leak"})
    await world.finish(opened, "done", at=later(minutes=1), **reply("x0", visit("Leak"), "w2"))
    assert await world.due(at=later(hours=1)) == []
    (again,) = await store.due(onward, at=later(hours=1), after=0, limit=9)
    assert again.ends[0].shown["title"] == "Leak"


async def test_only_the_written_fields_move(store):
    world = await make_world(store)
    (link,) = await world.synced()
    opened = await update(world, link, fields={"title": "Leak"})
    held = FieldHold("not_stored", "it came back cut")
    await world.finish(
        opened,
        "done",
        external_id="x0",
        version="w2",
        shown=visit("Lea"),
        base={"title": "Lea"},
        given={"title": "Leak"},
        holds={"title": held},
    )
    end = (await world.link(link.id)).ends[1]
    assert end.base == visit("Lea")
    assert end.given == visit("Leak")
    assert end.holds == {"title": held}
    assert [(hold.reason, hold.field) for _, hold, _ in await store.holds(world.recipe)] == [
        ("not_stored", "title")
    ]


async def test_a_removal_leaves_the_record_gone_by_our_hand(store):
    world = await make_world(store)
    (link,) = await world.synced()
    opened = await update(world, link, "delete")
    await world.finish(opened, "done", at=later(minutes=1), external_id="x0")
    end = (await world.link(link.id)).ends[1]
    assert (end.state, end.removed_by_hub, end.gone_at) == ("gone", True, later(minutes=1))
    assert end.shown == visit()
    assert (await store.scope(world.target)).live == 0
    (link,) = await world.due(at=later(hours=1))  # it may have come to its end
    await world.journal(link)
    await world.page(Missing("x0"), scope=world.target, at=later(minutes=2))
    assert await world.due(at=later(hours=1)) == []


async def test_a_cancel_that_still_shows_the_record_lets_it_go(store):
    world = await make_world(store)
    (link,) = await world.synced()
    opened = await update(world, link, "cancel", fields={"status": "cancelled"})
    await world.finish(opened, "done", **reply("x0", visit(status="cancelled"), "w2"))
    end = (await world.link(link.id)).ends[1]
    assert (end.state, end.decided, end.removed_by_hub) == ("released", "cancel", True)
    assert end.shown["status"] == "cancelled"


@pytest.mark.fault("F29")
async def test_a_refusal_holds_the_link_with_the_vendors_words(store):
    world = await make_world(store)
    (link,) = await world.synced()
    opened = await update(world, link, fields={"title": "Leak"})
    await world.finish(opened, "refused", at=later(minutes=1), says="B says: too long.")
    assert not (await world.link(link.id)).ends[1].open
    assert await world.due(at=later(days=9)) == []
    ((_, hold, since),) = await store.holds(world.recipe)
    assert (hold.reason, hold.detail, since) == ("refused", "B says: too long.", later(minutes=1))
    await world.page(seen("1", visit("short"), version="2"), at=later(hours=1))
    assert [one.id for one in await world.due(at=later(hours=1))] == [link.id]


@pytest.mark.fault("F26")
async def test_a_conflict_makes_the_link_due_with_what_the_system_shows(store):
    world = await make_world(store)
    (link,) = await world.synced()
    opened = await update(world, link, fields={"title": "Leak"})
    await world.finish(
        opened,
        "conflict",
        at=later(minutes=1),
        says="It changed meanwhile.",
        external_id="x0",
        version="w7",
        shown=visit("Edited there"),
    )
    (link,) = await world.due(at=later(minutes=1))
    end = link.ends[1]
    assert (end.version, end.shown["title"], end.base["title"]) == ("w7", "Edited there", "Boiler")
    assert end.changed["title"] == end.seen_order


async def test_a_record_found_gone_makes_the_link_due(store):
    world = await make_world(store)
    (link,) = await world.synced()
    opened = await update(world, link, fields={"title": "Leak"})
    await world.finish(opened, "gone", at=later(minutes=1), external_id="x0")
    (link,) = await world.due(at=later(minutes=1))
    assert (link.ends[1].state, link.ends[1].removed_by_hub) == ("gone", False)


@pytest.mark.fault("F31")
async def test_what_is_tried_later_is_due_then(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    await world.finish(opened, "later", says="Too many calls.", retry_at=later(hours=1))
    assert await world.due(at=later(minutes=59)) == []
    (link,) = await world.due(at=later(hours=1))
    assert link.ends[1].state == "unseen"
    assert not link.ends[1].open


@pytest.mark.fault("F24")
async def test_an_unknown_outcome_leaves_the_intent_open_until_it_is_known(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    await world.finish(opened, "unknown", says="The answer was lost.")
    assert (await world.link(link.id)).ends[1].open
    assert await store.open_intents(world.recipe) == [replace(opened, at=AT)]
    ((_, hold, _),) = await store.holds(world.recipe)
    assert (hold.reason, hold.end) == ("outcome_unknown", opened.step.end)
    await store.finish(0, [Outcome(step=opened.id, kind="done", **reply("x"))], at=AT)
    end = (await world.link(link.id)).ends[1]
    assert (end.open, end.external_id) == (False, "x")
    assert await store.open_intents(world.recipe) == []
    assert [line.code for line in await store.story(link.id)] == ["unknown", "create"]
    assert {line.run for line in await store.story(link.id)} == {world.run}


@pytest.mark.fault("F25")
async def test_the_intent_of_a_run_that_died_stays_open(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    assert await store.open_intents(world.recipe) == [replace(opened, at=AT)]
    assert (await world.link(link.id)).ends[1].open


@pytest.mark.fault("F36")
async def test_a_second_outcome_of_a_step_is_refused(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    await asyncio.gather(*(world.finish(opened, "done", **reply(f"x{n}")) for n in range(4)))
    ends = (await world.link(link.id)).ends
    assert len(ends) == 2
    assert len(await store.story(link.id)) == 1
    assert (await store.counts("scope", world.target, since=AT)).writes == 1
    assert (await store.scope(world.target)).live == 1


async def test_a_create_that_shows_nothing_is_filled_by_the_next_listing(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    await world.finish(opened, "done", external_id="x", version="w1")
    assert (await world.link(link.id)).ends[1].state == "live"
    await world.page(Seen("x", visit(), "w1"), scope=world.target, at=later(minutes=1))
    assert (await world.link(link.id)).ends[1].shown == visit()


async def test_a_listing_that_shows_our_record_first_does_not_double_it(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    await world.page(Seen("x", visit(), "w1", mark=link.key), scope=world.target)
    await world.finish(opened, "done", **reply("x"))
    assert (await store.scope(world.target)).live == 1
    assert (await world.link(link.id)).ends[1].version == "w1"


async def test_a_new_id_after_an_update_is_followed(store):
    world = await make_world(store)
    (link,) = await world.synced()
    opened = await update(world, link, fields={"title": "Leak"})
    await world.finish(opened, "done", **reply("moved", visit("Leak"), "w2"))
    end = (await world.link(link.id)).ends[1]
    assert (end.external_id, end.shown["title"]) == ("moved", "Leak")


async def test_many_outcomes_are_one_transaction(store):
    world = await make_world(store)
    links = await world.adopted(*(seen(str(number)) for number in range(20)))
    opened = [await world.follower(link) for link in links]
    outcomes = [Outcome(step=one.id, kind="done", **reply(f"x{one.id}")) for one in opened]
    broken = Outcome(step=opened[0].id, kind="done", **reply("bad\x00id"))
    with pytest.raises(Exception, match=r"NUL|null"):
        await store.finish(world.run, [*outcomes[1:], broken], at=AT)
    assert len(await store.open_intents(world.recipe)) == 20
    await store.finish(world.run, outcomes, at=AT)
    assert await store.open_intents(world.recipe) == []
    assert (await store.scope(world.target)).live == 20


async def test_the_brakes_counts(store):
    world = await make_world(store)
    one, two, three = await world.synced(seen("1"), seen("2"), seen("3"))
    await world.finish(await update(world, one, "delete"), "done", at=later(hours=2))
    change = await update(world, two, fields={"status": "done"})
    await world.finish(change, "done", at=later(hours=2), **reply("x1", visit(status="done"), "w2"))
    refused = await update(world, three, fields={"status": "done"})
    await world.finish(refused, "refused", at=later(hours=2), says="No.")
    for width, id_, live in (
        ("scope", world.target, 2),
        ("account", world.target_account, 2),
        ("recipe", world.recipe, 3),
    ):
        recent = await store.counts(width, id_, since=later(hours=1))
        assert (recent.removals, recent.writes, recent.statuses) == (1, 2, {"done": 1})
        assert recent.live == live
        assert (await store.counts(width, id_, since=AT)).writes == 5
        assert (await store.counts(width, 999, since=AT)).writes == 0


@pytest.mark.fault("AT-17")
async def test_one_run_of_a_recipe_at_a_time(store):
    world = await make_world(store)
    async with store.run(world.recipe, "apply") as run:
        with pytest.raises(Busy, match="Another run"):
            async with store.run(world.recipe, "apply"):
                pass
        async with store.run(world.recipe + 1, "apply") as other:
            assert other != run
    async with store.run(world.recipe, "apply") as next_:
        assert next_ > run


async def test_a_run_that_failed_is_closed_and_frees_the_recipe(store):
    world = await make_world(store)
    with pytest.raises(ZeroDivisionError):
        async with store.run(world.recipe, "apply"):
            raise ZeroDivisionError
    async with store.run(world.recipe, "apply") as run:
        await store.end_run(run, {"writes": 3})
    last, failed = await store.runs(world.recipe)
    assert last.summary == {"writes": 3}
    assert failed.summary == {}
    assert failed.ended_at is not None


async def test_the_steps_of_a_run_come_in_the_order_they_were_done(store):
    world = await make_world(store)
    links = await world.adopted(seen("1"), seen("2"), seen("3"))
    first, second, third = [await world.follower(link) for link in links]
    await world.finish(second, "done", at=later(seconds=1), **reply("x2", raw=b"\xff"))
    await world.finish(first, "refused", at=later(seconds=2), says="No.")
    steps = [one async for one in store.steps_of(world.run)]
    assert [id_ for id_, _, _ in steps] == [second.id, first.id, third.id]
    assert steps[0][2] == Outcome(step=second.id, kind="done", **reply("x2"))
    assert steps[0][1] == second.step
    assert steps[2][2] is None


async def test_the_story_tells_what_was_done(store):
    world = await make_world(store)
    (link,) = await world.synced()
    opened = await update(world, link, fields={"title": "Leak"}, reason="renamed in A")
    await world.finish(opened, "done", at=later(minutes=1), **reply("x0", visit("Leak"), "w2"))
    told = [(line.code, line.text, line.at) for line in await store.story(link.id)]
    assert told == [("create", "new in A", AT), ("update", "renamed in A", later(minutes=1))]


async def test_mirrors_in_a_ring_do_not_lock_each_other_out(store):
    """Replies of each mirror touch links of the other, in the opposite order."""
    world = await make_world(store)
    links = await world.synced(*(seen(str(number)) for number in range(8)))
    back = await store.mirror_id(world.recipe, "back")
    await store.adopt(back, "source", [world.target], at=AT, limit=99)
    returning = await store.due(back, at=AT, after=0, limit=99)

    async def write(link, end, title):
        step = replace(
            world.step(link, end.id, "update", external_id=end.external_id),
            account=end.account,
            scope=end.scope,
        )
        (opened,) = await world.journal(link, step)
        return Outcome(step=opened.id, kind="done", **reply(end.external_id, visit(title), title))

    there = [await write(link, link.ends[1], "there") for link in links]
    here = [await write(link, link.ends[0], "here") for link in returning]
    await asyncio.gather(*(store.finish(1, batch, at=AT) for batch in (there, here[::-1])))
    assert await store.open_intents(world.recipe) == []


async def test_a_write_after_which_more_was_found_makes_its_link_due_then(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    await world.finish(opened, "done", **reply("x0"), retry_at=later(minutes=3))
    assert await world.due(at=later(minutes=2)) == []
    assert [one.id for one in await world.due(at=later(minutes=3))] == [link.id]


async def test_a_refusal_leaves_the_instant_at_which_it_is_looked_at(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link, look_again_at=later(hours=5))
    await world.finish(opened, "refused", says="B says no.")
    assert await world.due(at=later(hours=4)) == []
    assert [one.id for one in await world.due(at=later(hours=5))] == [link.id]


async def test_a_removal_makes_its_link_due(store):
    world = await make_world(store)
    (link,) = await world.synced()
    (opened,) = await world.journal(
        link, world.step(link, link.ends[1].id, "delete", external_id="x0")
    )
    assert await world.due(at=later(hours=1)) == []
    await world.finish(opened, "done", at=later(minutes=1), external_id="x0")
    assert [one.id for one in await world.due(at=later(minutes=1))] == [link.id]


async def test_open_intents_tell_since_when(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    await world.follower(link, at=later(minutes=7))
    (opened,) = await store.open_intents(world.recipe)
    assert opened.at == later(minutes=7)


async def test_recent_writes_are_the_updates_done_since_by_end_the_oldest_first(store):
    world = await make_world(store)
    (link,) = await world.synced()
    end = link.ends[1].id

    async def written(title, kind, minutes):
        now = await world.link(link.id)
        step = world.step(now, end, "update", external_id="x0", fields={"title": title})
        (opened,) = await world.journal(now, step)
        shown = reply("x0", visit(title), f"w{minutes}") if kind == "done" else {}
        await world.finish(opened, kind, at=later(minutes=minutes), **shown)

    await written("early", "done", 1)
    await written("b", "done", 10)
    await written("never", "refused", 11)
    await written("a", "done", 12)
    recent = await store.recent_writes([link.id], since=later(minutes=5))
    assert recent == {end: [{"title": "b"}, {"title": "a"}]}
    assert await store.recent_writes([link.id + 1], since=AT) == {}


async def test_a_removed_recipe_keeps_its_links_for_the_next_install(store):
    world = await make_world(store)
    (link,) = await world.synced()
    async with store.run(world.recipe, "apply"):
        with pytest.raises(Busy, match="at work"):
            await store.remove_recipe("r")
    await store.remove_recipe("r")
    assert await store.recipes() == []
    assert await store.recipe("r") is None
    assert [one.name for one in await store.removed_recipes()] == ["r"]
    with pytest.raises(KeyError):
        await store.remove_recipe("r")
    assert (await world.link(link.id)).ends == link.ends
    assert await store.install_recipe("r", "text", {}, {}) == 2
    (again,) = await store.recipes()
    assert (again.id, await store.mirror_id(again.id, "m")) == (world.recipe, world.mirror)
    assert await store.removed_recipes() == []
