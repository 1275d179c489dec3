import asyncio

import pytest
from msgspec.structs import replace

from store.worlds import AT, later, make_world, reply, seen, visit
from truckroll.kit.contract import Missing, Seen, Unreadable
from truckroll.sync.types import Decision, FieldHold, Hold, Note


async def test_adopting_makes_one_due_link_per_record(store):
    world = await make_world(store)
    await world.page(seen("1"), seen("2"), seen("3"))
    assert await world.adopt(limit=2) == 2
    assert await world.adopt(limit=2) == 1
    assert await world.adopt() == 0
    links = await world.due()
    assert [link.ends[0].external_id for link in links] == ["1", "2", "3"]
    (end,) = links[0].ends
    assert (end.side, end.state, end.base, end.given) == ("source", "live", {}, {})
    assert end.shown == visit()
    assert len({link.key for link in links}) == 3
    assert all(len(link.key) == 16 and int(link.key, 16) >= 0 for link in links)


async def test_what_is_not_ours_not_readable_or_gone_is_not_adopted(store):
    world = await make_world(store)
    await world.page(seen("theirs", owned=False), Unreadable("bad", "bad"), seen("gone"))
    await world.page(Missing("gone"))
    assert await world.adopt() == 0


async def test_what_becomes_ours_readable_or_comes_back_is_adopted_then(store):
    world = await make_world(store)
    await world.page(seen("a", owned=False), Unreadable("b", "bad"), seen("c"))
    await world.page(Missing("c"))
    await world.adopt()
    await world.page(seen("a", version="2"), seen("b"), seen("c", version="2"))
    assert await world.adopt() == 3
    assert await world.adopt() == 0


async def test_each_mirror_adopts_for_itself(store):
    world = await make_world(store)
    await world.page(seen("1"))
    other = await store.mirror_id(world.recipe, "other")
    assert await world.adopt() == 1
    assert (await store.adopt(other, "source", [world.source], at=AT, limit=9)).made == 1
    assert (await store.adopt(other, "source", [world.source], at=AT, limit=9)).made == 0


@pytest.mark.fault("AT-13")
async def test_a_record_of_a_released_end_or_an_ended_link_is_not_adopted_again(store):
    world = await make_world(store)
    released, ended = await world.adopted(seen("1"), seen("2"))
    (end,) = released.ends
    await world.journal(replace(released, ends=(replace(end, state="released"),)))
    await world.journal(replace(ended, state="ended", ended_why="gone"))
    await world.page(Missing("1"), Missing("2"))
    await world.page(seen("1", version="2"), seen("2", version="2"))
    assert await world.adopt() == 0
    assert (await world.link(released.id)).ends[0].state == "released"
    assert (await world.link(ended.id)).state == "ended"


async def test_due_links_come_in_batches_by_id(store):
    world = await make_world(store)
    await world.page(*(seen(str(number)) for number in range(5)))
    await world.adopt()
    first = await world.due(limit=2)
    second = await world.due(limit=2, after=first[-1].id)
    third = await world.due(limit=2, after=second[-1].id)
    ids = [link.id for link in (*first, *second, *third)]
    assert len(ids) == 5
    assert ids == sorted(ids)


async def test_a_link_is_due_when_its_instant_has_come(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    await world.journal(link, look_again_at=later(hours=1))
    assert await world.due(at=later(minutes=59)) == []
    (again,) = await world.due(at=later(hours=1))
    assert again.look_at == later(hours=1)


async def test_everything_is_all_that_is_not_ended(store):
    world = await make_world(store)
    one, two = await world.adopted(seen("1"), seen("2"))
    await world.journal(replace(one, state="ended"))
    assert await world.due() == []
    assert [link.id for link in await world.due(everything=True)] == [two.id]


async def test_what_is_journalled_is_read_back(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    (end,) = link.ends
    held = FieldHold("not_stored", "it came back as x", of="y")
    source = replace(
        end, base=visit(), given=visit(), holds={"notes": held}, decided="recreate", key="ana"
    )
    decided = replace(
        link,
        agreed=visit(location=None),
        by={"title": end.id, "when": -1},
        ends=(source, world.new_end(key="ben", generation=2)),
        hold="gate",
        hold_detail="it waits",
        undone=7,
    )
    note = Note("matched", "found there", -1, {"title": "x"})
    await world.journal(decided, notes=(note,), look_again_at=later(hours=2))
    read = await world.link(link.id)
    new = read.ends[1]
    assert read == replace(
        decided,
        by={"title": end.id, "when": new.id},
        ends=(source, replace(decided.ends[1], id=new.id)),
        look_at=later(hours=2),
        row=link.row + 1,
    )
    (line,) = await store.story(link.id)
    assert (line.code, line.text, line.end, line.run) == ("matched", "found there", new.id, 1)
    assert line.data == {"title": "x"}


@pytest.mark.fault("F36")
async def test_a_decision_about_an_older_row_is_left_alone(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    await world.journal(replace(link, agreed=visit("first")))
    late = replace(link, agreed=visit("late"), ends=(*link.ends, world.new_end()))
    assert await world.journal(late, world.create(link)) == []
    read = await world.link(link.id)
    assert read.agreed == visit("first")
    assert len(read.ends) == 1


@pytest.mark.fault("F36")
async def test_two_workers_that_journal_one_link_open_one_intent(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    decided = replace(link, ends=(*link.ends, world.new_end()))
    opened = await asyncio.gather(*(world.journal(decided, world.create(link)) for _ in range(5)))
    assert sorted(len(steps) for steps in opened) == [0, 0, 0, 0, 1]
    assert len(await store.open_intents(world.recipe)) == 1
    assert len((await world.link(link.id)).ends) == 2


async def test_an_end_with_an_open_intent_gets_no_second_one(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    await world.follower(link)
    link = await world.link(link.id)
    assert link.ends[1].open
    update = world.step(link, link.ends[1].id, "update", external_id="x")
    assert await world.journal(link, update) == []
    assert len(await store.open_intents(world.recipe)) == 1


async def test_a_link_touched_while_it_was_planned_stays_due(store):
    world = await make_world(store)
    await world.page(seen("1"))
    await world.adopt()
    (link,) = await world.due()
    await world.page(seen("1", visit("Leak"), version="2"), at=later(minutes=1))
    await world.journal(replace(link, agreed=visit()), at=later(minutes=2))
    (again,) = await world.due(at=later(minutes=2))
    assert again.agreed == visit()
    assert again.ends[0].shown["title"] == "Leak"
    await world.journal(again)
    assert await world.due(at=later(hours=9)) == []


async def test_an_intent_carries_the_raw_form_of_what_was_merged(store):
    world = await make_world(store)
    (link,) = await world.synced()
    await world.page(
        Seen("x0", visit(), "w2", raw=b"BEGIN\xff"), scope=world.target, at=later(seconds=1)
    )
    (opened,) = await world.journal(
        link, world.step(link, link.ends[1].id, "update", external_id="x0", version="w2")
    )
    assert opened.raw == b"BEGIN\xff"
    (again,) = await store.open_intents(world.recipe)
    assert again == replace(opened, at=AT)


async def test_steps_keep_all_they_say(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    opened = await world.follower(link)
    (again,) = await store.open_intents(world.recipe)
    assert again.step == opened.step
    assert again.step.whole == visit()


async def test_a_matched_record_is_bound_by_its_external_id(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    await world.page(seen("there", visit("Boiler!")), scope=world.target)
    matched = world.new_end(external_id="there", state="live", decided="matched")
    await world.journal(replace(link, ends=(*link.ends, matched)))
    end = (await world.link(link.id)).ends[1]
    assert (end.state, end.shown["title"], end.version) == ("live", "Boiler!", "1")
    await world.page(Missing("there"), scope=world.target, at=later(minutes=1))
    assert [one.id for one in await world.due(at=later(minutes=1))] == [link.id]


async def test_attaching_lets_an_unseen_end_stand_for_a_record(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    await world.journal(replace(link, ends=(*link.ends, world.new_end())))
    link = await world.link(link.id)
    await world.page(seen("there"), seen("other"), scope=world.target)
    found = await store.candidates(world.mirror, [world.target], ["20261208T080000Z"], [])
    one = next(row for row in found if row.external_id == "there")
    attached = await store.attach(link.id, link.ends[1].id, one.id)
    assert (attached.ends[1].state, attached.ends[1].external_id) == ("live", "there")
    assert attached.row > link.row
    other = next(row for row in found if row.external_id == "other")
    assert await store.attach(link.id, link.ends[1].id, other.id) == attached
    assert attached == await world.link(link.id)


async def test_candidates_are_unlinked_records_of_the_scopes_by_key_or_mark(store):
    world = await make_world(store)
    (link,) = await world.synced()
    await world.page(
        seen("same start"),
        seen("marked", visit(hour=15), mark=link.key),
        seen("other", visit(hour=11)),
        seen("gone"),
        scope=world.target,
    )
    await world.page(Missing("gone"), scope=world.target)
    at_nine = "20261208T080000Z"

    async def found(scopes, coarse, marks):
        rows = await store.candidates(world.mirror, scopes, coarse, marks)
        return [row.external_id for row in rows]

    both = [world.source, world.target]
    assert await found(both, [at_nine], [link.key]) == ["same start", "marked"]
    assert await found(both, [], [link.key]) == ["marked"]
    assert await found([world.source], [at_nine], [link.key]) == []
    assert await found(both, [], []) == []


async def test_holds_are_listed_with_since_when(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    gate = Hold("person_unmapped", "Mike has no calendar", release="truckroll people map")
    await world.journal(link, holds=(gate,), at=AT)
    link = await world.link(link.id)
    field = Hold("not_stored", "came back as x", end=link.ends[0].id, field="notes")
    unchanged = Decision(link=link, changed=False, holds=(gate, field))
    await store.journal(1, [unchanged], at=later(hours=1))
    held = [(hold, since) for _, hold, since in await store.holds(world.recipe)]
    assert held == [(gate, AT), (field, later(hours=1))]
    await store.journal(1, [replace(unchanged, holds=())], at=later(hours=2))
    assert await store.holds(world.recipe) == []


async def test_a_next_generation_is_an_end_of_its_own(store):
    world = await make_world(store)
    (link,) = await world.synced()
    await world.page(Missing("x0"), scope=world.target)
    link = await world.link(link.id)
    again = replace(link, ends=(*link.ends, world.new_end(generation=1)))
    (opened,) = await world.journal(again, world.create(link))
    await world.finish(opened, "done", **reply("x9"))
    ends = (await world.link(link.id)).ends
    assert [(end.external_id, end.generation, end.state) for end in ends[1:]] == [
        ("x0", 0, "gone"),
        ("x9", 1, "live"),
    ]


async def test_candidates_tell_of_records_that_were_let_go(store):
    world = await make_world(store)
    released, ended, kept = await world.synced(seen("1"), seen("2"), seen("3"))
    source, target = released.ends
    await world.journal(replace(released, ends=(source, replace(target, state="released"))))
    await world.journal(replace(ended, state="ended"))
    await world.page(seen("free"), scope=world.target)
    found = await store.candidates(world.mirror, [world.target], ["20261208T080000Z"], [])
    assert {one.external_id: one.ended for one in found} == {
        released.ends[1].external_id: True,
        ended.ends[1].external_id: True,
        "free": False,
    }
    assert kept.ends[1].external_id not in {one.external_id for one in found}
