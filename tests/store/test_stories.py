from datetime import UTC, date, datetime

import pytest
from msgspec.structs import replace

from store.worlds import AT, later, make_world, seen, visit
from truckroll.kit.contract import Missing
from truckroll.model.time import AllDay, Rule, Timed
from truckroll.sync.types import FieldHold, Hold, Note


async def test_links_are_found_by_number_id_key_and_title(store):
    world = await make_world(store)
    one, two = await world.adopted(
        seen("ext-1", visit("AC not cooling", number="J-1060")),
        seen("ext-2", visit("Boiler", number="J-1061")),
    )
    for ref in ("J-1060", "j-1060", "ext-1", one.key, "not cool", "ac NOT"):
        assert [link.id for link in await store.find_links(ref, world.mirror)] == [one.id], ref
    assert [link.id for link in await store.find_links("o")] == [one.id, two.id]
    assert await store.find_links("J-106", world.mirror) == []
    assert await store.find_links("100%", world.mirror) == []
    other = await store.mirror_id(world.recipe, "other")
    assert await store.find_links("J-1060", other) == []


async def test_records_without_a_link_are_found(store):
    world = await make_world(store)
    await world.adopted(seen("1", visit(number="J-1")))
    await world.page(seen("2", visit("Leak", number="J-2"), owned=False))
    assert [row.external_id for row in await store.find_records("j-2")] == ["2"]
    assert [row.external_id for row in await store.find_records("leak")] == ["2"]
    assert await store.find_records("J-1") == []


async def test_notes_are_told_in_order(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    await store.note(link.id, [Note("a", "first"), Note("b", "second", 3)], at=AT)
    told = [
        (line.code, line.text, line.end, line.run, line.at) for line in await store.story(link.id)
    ]
    assert told == [("a", "first", 0, 0, AT), ("b", "second", 3, 0, AT)]


@pytest.mark.fault("F30")
async def test_an_answer_to_a_held_field_is_kept_and_makes_the_link_due(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    (end,) = link.ends
    held = replace(end, holds={"title": FieldHold("drift", "renamed by hand")})
    await world.journal(replace(link, ends=(held,)))
    await store.answer(link.id, end.id, "title", "restore", "office", at=later(hours=1))
    (link,) = await world.due(at=later(hours=1))
    assert link.ends[0].holds["title"] == FieldHold("drift", "renamed by hand", answer="restore")
    assert [line.code for line in await store.story(link.id)] == ["answered"]
    with pytest.raises(KeyError):
        await store.answer(link.id, end.id, "notes", "restore", "office")


async def test_an_answer_to_the_whole_link_releases_it(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    decided = replace(link, hold="source_deleted", hold_detail="say what becomes of it")
    await world.journal(decided, holds=(Hold("source_deleted", "say what becomes of it"),))
    await store.answer(link.id, 0, "", "accept", "office", at=later(hours=1))
    (link,) = await world.due(at=later(hours=1))
    assert (link.hold, link.hold_detail) == ("", "")
    assert await store.holds(world.recipe) == []
    with pytest.raises(KeyError):
        await store.answer(999, 0, "", "accept", "office")


async def test_an_answer_beats_a_decision_that_did_not_know_it(store):
    world = await make_world(store)
    (link,) = await world.adopted()
    (end,) = link.ends
    held = replace(end, holds={"title": FieldHold("drift")})
    await world.journal(replace(link, ends=(held,)))
    stale = await world.link(link.id)
    await store.answer(link.id, end.id, "title", "keep", "office", at=later(hours=1))
    await world.journal(stale)
    (link,) = await world.due(at=later(hours=1))
    assert link.ends[0].holds["title"].answer == "keep"


def timed(day, hour, *, rule=None):
    start = datetime.fromisoformat(f"2026-12-{day:02}T{hour:02}:00:00")
    return {"title": "x", "when": Timed(start, "UTC", seconds=3600, rule=rule)}


async def test_appointments_between_two_instants(store):
    world = await make_world(store)
    weekly = Rule(rrule=("FREQ=WEEKLY",))
    await world.page(
        seen("before", timed(8, 7)),
        seen("touches the begin", timed(8, 8)),
        seen("within", timed(8, 10)),
        seen("touches the end", timed(8, 12)),
        seen("gone", timed(8, 10)),
        seen("series from before", timed(1, 10, rule=weekly)),
        seen("series from after", timed(20, 10, rule=weekly)),
        seen("whole day", {"when": AllDay(date(2026, 12, 8), date(2026, 12, 9))}),
        seen("another whole day", {"when": AllDay(date(2026, 12, 20), date(2026, 12, 21))}),
        seen("no time", {"title": "x"}),
        seen("Ana's", {**timed(8, 10), "people": ("Ana", "Ben")}),
        seen("nobody's", {**timed(8, 10), "people": "Ana"}),
    )
    await world.page(Missing("gone"))
    begin, end = (datetime(2026, 12, 8, hour, tzinfo=UTC) for hour in (9, 12))
    rows = await store.appointments_between([world.source], [(begin, end)])
    found = {row.external_id for row in rows}
    assert found == {"within", "series from before", "whole day", "Ana's", "nobody's"}
    rows = await store.appointments_between([world.source], [(begin, end)], people={"Ben", "Cy"})
    assert [row.external_id for row in rows] == ["Ana's"]
    assert await store.appointments_between([world.target], [(begin, end)]) == []


async def test_appointments_are_found_in_stretches_that_lie_apart_however_long_they_take(store):
    world = await make_world(store)
    days = {"when": AllDay(date(2026, 12, 7), date(2026, 12, 12))}
    night = {"when": Timed(datetime(2026, 12, 10, 22), "UTC", seconds=9 * 3600)}
    week = {"when": Timed(datetime(2026, 12, 1, 8), "UTC", seconds=7 * 86_400)}
    await world.page(
        seen("first", timed(3, 10)),
        seen("between the two", timed(5, 10)),
        seen("second", timed(11, 2)),
        seen("from the night before", night),
        seen("days", days),
        seen("week", week),
        seen("later", timed(20, 10)),
    )
    hours = [
        tuple(datetime(2026, 12, day, hour, tzinfo=UTC) for hour in (2, 11)) for day in (3, 11)
    ]
    rows = await store.appointments_between([world.source], hours)
    found = [row.external_id for row in rows]
    assert sorted(found) == ["days", "first", "from the night before", "second", "week"]
    assert await store.appointments_between([world.source], []) == []


async def test_a_recipe_has_versions_and_can_be_rolled_back(store):
    assert await store.recipe("r") is None
    assert await store.install_recipe("r", "one", {"source": 1}, {"window": 7}) == 1
    assert await store.install_recipe("r", "two", {"source": 1}, {"window": 7}) == 2
    assert await store.set_choices("r", {"window": 14}) == 3
    assert (await store.recipe("r")).choices == {"window": 14}
    assert await store.rollback("r", 1) == 4
    now = await store.recipe("r")
    assert (now.version, now.toml, now.choices, now.bindings) == (
        4,
        "one",
        {"window": 7},
        {"source": 1},
    )
    assert [one.toml for one in await store.history("r")] == ["one", "two", "two", "one"]
    assert [one.name for one in await store.recipes()] == ["r"]
    with pytest.raises(KeyError):
        await store.rollback("r", 9)
    with pytest.raises(KeyError):
        await store.set_choices("unknown", {})


async def test_a_mirror_keeps_its_id_over_versions(store):
    world = await make_world(store)
    await store.install_recipe("r", "next", {}, {})
    assert await store.mirror_id(world.recipe, "m") == world.mirror
    assert await store.mirror_id(world.recipe, "n") != world.mirror


async def test_links_of_a_mirror_are_made_due(store):
    world = await make_world(store)
    one, two, three = await world.adopted(seen("1"), seen("2"), seen("3"))
    await world.journal(replace(three, state="ended"))
    await store.touch(world.mirror, [two.id], at=later(hours=1))
    assert [link.id for link in await world.due(at=later(hours=1))] == [two.id]
    await store.touch(world.mirror, at=later(hours=2))
    assert [link.id for link in await world.due(at=later(hours=2))] == [one.id, two.id]


async def test_an_answer_to_a_brake_is_remembered_with_its_bound(store):
    world = await make_world(store)
    await store.allow(world.recipe, "mass_delete", 40, "office", at=AT)
    assert await store.allowance(world.recipe, "mass_delete", since=AT) == 40
    assert await store.allowance(world.recipe, "mass_delete", since=later(hours=1)) == 0
    assert await store.allowance(world.recipe, "mass_status", since=AT) == 0
