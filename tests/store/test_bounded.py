"""What is asked of a company's time costs what lies in it, not what came before or comes later."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from store.worlds import make_world, seen
from truckroll.model.time import AllDay, Rule, Timed
from truckroll.store import accounts, slots, stories
from truckroll.store.touching import touching

START = datetime(2026, 12, 8, 9, tzinfo=UTC)
END = START + timedelta(hours=1)
FEW, MANY = 1600, 4800


def at(start, **more):
    return {"when": Timed(start.replace(tzinfo=None), "UTC", seconds=3600), **more}


async def crowded(store, others):
    """Give a scope one visit at the time in question, and so many at another one; give counts."""
    world = await make_world(store)
    await world.page(seen("now", at(START, people=("Ana",))))
    for number in (FEW, MANY):
        await world.page(*(seen(f"{number}-{one}", at(others)) for one in range(number)))
        yield world


@pytest.mark.parametrize("others", [START - timedelta(days=60), START + timedelta(days=60)])
async def test_looking_into_a_stretch_of_time_takes_up_no_record_of_another(store, others):
    taken = []
    async for world in crowded(store, others):
        hour, where = [(START, END)], [world.source]
        asked, place = touching(stories.SQL["appointments_between"], where, hour)
        seen_of, there = touching(slots.SQL["observed"], [*where, world.target], hour)
        taken.append(
            (
                await taken_up(store, asked, {**place, "people": ["Ana"]}),
                await taken_up(store, seen_of, {**there, "visits": where, "names": ["Ana"]}),
            )
        )
    assert taken == [(1, 1), (1, 1)]


async def test_who_was_there_lately_is_found_without_history(store):
    taken = []
    async for world in crowded(store, START - timedelta(days=60)):
        place = {"scopes": [world.source], "since": START - timedelta(days=30)}
        query = accounts.SQL["people_seen"].replace(b"{records}", accounts.SQL["lately"])
        taken.append(await taken_up(store, query, place))
    assert taken == [1, 1]


async def test_people_are_seen_on_what_ends_later_and_on_series(store):
    world = await make_world(store)
    weekly = Timed(datetime(2020, 1, 1, 9), "UTC", seconds=60, rule=Rule(rrule=("FREQ=WEEKLY",)))
    whole = AllDay(START.date(), START.date() + timedelta(days=1))
    await world.page(
        seen("before", at(START - timedelta(days=60), people=("Ben", "Ana"))),
        seen("later", at(START, people=("Ana",))),
        seen("series", {"when": weekly, "people": ("Cy", "")}),
        seen("whole day", {"when": whole, "people": ("Ana", "Dee")}),
        seen("nobody", at(START, people="Eve")),
    )
    ever = await store.people_seen([world.source])
    assert ever == {"Ana": 3, "Ben": 1, "Cy": 1, "Dee": 1}
    lately = await store.people_seen([world.source], since=START - timedelta(days=30))
    assert lately == {"Ana": 2, "Cy": 1, "Dee": 1}


async def taken_up(store, query, place):
    """How many records a query takes up, with those that it drops again."""
    async with store._transaction() as cursor:
        await cursor.execute(b"explain (analyze, format json) " + query, place)
        ((text,),) = await cursor.fetchall()
    return sum(
        plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        for plan in _plans(json.loads(text)[0]["Plan"])
        if plan.get("Relation Name") == "record"
    )


def _plans(plan):
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _plans(inner)
