"""The brakes as a table, and in a pass."""

import pytest

from support.nasty import Nasty, World
from truckroll.sync.brakes import Emptied, Width, brakes


def width(**counts):
    return Width(**{"kind": "account", "id": 1, "label": "Google", "live": 1000, **counts})


def codes(*widths, **more):
    return [brake.code for brake in brakes(widths, **more)]


@pytest.mark.fault("F14")
@pytest.mark.parametrize(
    ("counts", "stops"),
    [
        ({"removals": 10, "live": 100}, False),
        ({"removals": 11, "live": 100}, True),
        ({"removals": 50}, False),
        ({"removals": 51}, True),
        ({"removals": 1, "recent": 50}, True),
        ({"removals": 0, "recent": 500}, False),
        ({"kind": "scope", "removals": 2, "live": 3}, False),
        ({"kind": "scope", "removals": 5, "live": 10}, False),
        ({"kind": "scope", "removals": 6, "live": 10}, True),
        ({"kind": "account", "removals": 6, "live": 10}, False),
    ],
)
def test_removals_stop_a_run_by_number_and_share(counts, stops):
    assert (codes(width(**counts)) == ["mass_delete"]) is stops


@pytest.mark.fault("F15")
@pytest.mark.parametrize(("count", "stops"), [(200, False), (201, True)])
def test_a_status_that_too_many_would_get_stops_a_run(count, stops):
    assert (codes(width(statuses={"cancelled": count})) == ["mass_status"]) is stops


def test_the_write_budget_is_the_recipes():
    assert codes(width(kind="recipe", writes=11), budget=10) == ["write_budget"]
    assert codes(width(kind="recipe", writes=10), budget=10) == []
    assert codes(width(kind="scope", writes=11), budget=10) == []


@pytest.mark.fault("F14")
def test_a_confirmed_number_lets_so_many_pass_and_no_more():
    assert codes(width(removals=60), confirmed=60) == []
    assert codes(width(removals=61), confirmed=60) == ["mass_delete"]
    emptied = [Emptied(label="A", before=312)]
    assert codes(emptied=emptied) == ["empty_side"]
    assert codes(emptied=emptied, confirmed=312) == []


@pytest.mark.fault("F14")
@pytest.mark.fault("AT-01")
async def test_an_empty_list_of_a_full_calendar_deletes_nothing_until_a_person_says_so():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    for number in range(30):
        a.put(str(number), title=f"t{number}")
    await world.run()
    kept = dict(a.records)
    for id_ in kept:
        a.drop(id_)
    a.expire = True
    report = await world.run()
    assert {stop.code for stop in report.stops} == {"empty_side", "mass_delete"}
    assert len(b.records) == 30
    await world.run(confirmed=30)
    assert not b.records


@pytest.mark.fault("F13")
@pytest.mark.fault("AT-01")
@pytest.mark.parametrize("how", ["list", "list-half"])
async def test_a_list_that_breaks_off_deletes_nothing_and_moves_no_cursor(how):
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    for number in range(4):
        a.put(str(number), title=f"t{number}")
    await world.run()
    cursor = world.store.scopes[1].cursor
    world.store.scopes[1] = type(world.store.scopes[1])(
        id=1, account=1, scope=world.store.scopes[1].scope
    )
    a.fails = [how]
    report = await world.run()
    assert report.waiting == {1}
    assert world.store.scopes[1].cursor is None
    assert len(b.records) == 4
    assert cursor is not None
    assert await world.settle() == 0


@pytest.mark.fault("F15")
async def test_everything_cancelled_at_once_stops_before_a_write():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, fields=("title", "status"), cancelled="mark")
    for number in range(40):
        a.put(str(number), title=f"t{number}", status="scheduled")
    await world.run()
    for number in range(40):
        a.put(str(number), status="cancelled")
    before = b.writes
    report = await world.run()
    assert {stop.code for stop in report.stops} == {"mass_status"}
    assert b.writes == before
