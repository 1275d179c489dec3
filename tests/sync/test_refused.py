"""What a system does not take, takes later, or has of its own: nothing is written over and over."""

import pytest

from support.nasty import Nasty, World
from truckroll.kit.normal import Stored
from truckroll.sync.perform import OTHER_AGAIN, UNANSWERED


def world_of(**rules):
    a, b = Nasty("A"), Nasty("B")
    return a, b, World(a, {"b": b}, fields=("title", "notes", "status"), **rules)


def only(system):
    (fields,) = system.show().values()
    return fields


@pytest.mark.fault("F29")
async def test_a_refused_write_is_not_repeated_until_something_else_is_to_be_written():
    a, b, world = world_of()
    a.put("1", title="t")
    b.fails = ["refuse"]
    await world.settle()
    assert not b.records
    assert world.holds() == [("refused", "write")]
    writes = b.writes
    await world.settle()
    assert b.writes == writes
    b.fails = ["refuse"]
    world.answer("write", "accept")
    await world.settle()
    assert b.writes == writes + 1


@pytest.mark.fault("F37")
async def test_a_write_that_awaits_another_record_is_tried_again_in_time_and_holds_up_nobody():
    a, b, world = world_of()
    a.put("1", title="t")
    b.fails = ["lacking"] * (UNANSWERED + 1)
    for number in range(UNANSWERED):
        a.put(f"more {number}", title="t")
    await world.settle()
    assert not b.records
    assert set(world.holds()) == {("awaits_other", "write")}
    a.put("last", title="taken")
    writes = b.writes
    await world.settle()
    assert only(b) == {"title": "taken"}
    assert b.writes == writes + 1
    world.at += OTHER_AGAIN
    await world.settle()
    assert len(b.records) == UNANSWERED + 2
    assert world.holds() == []
    assert await world.settle() == 0


async def test_an_empty_value_leaves_what_a_system_always_has():
    a, b, world = world_of(speaks={"title"})
    b.stores["title"] = Stored(always=True)
    keep = b._keep
    b._keep = lambda fields: {"title": "its own"} | {k: v for k, v in keep(fields).items() if v}
    a.put("1", title="", notes="n")
    await world.settle()
    assert only(b) == {"title": "its own", "notes": "n"}
    assert world.holds() == []
    assert await world.settle() == 0
    a.put("1", title="ours", notes="n")
    await world.settle()
    assert only(b)["title"] == "ours"
    a.put("1", title="", notes="n")
    assert await world.settle() == 0
    assert only(b)["title"] == "ours"
