"""Series: exceptions merged key by key, and carried along when the series moves."""

from datetime import datetime

import msgspec
import pytest

from support.nasty import Nasty, World
from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.time import Rule, Timed
from truckroll.sync.series import merge_keys

GONE = Occurrence(cancelled=True)
RULE = Rule(("FREQ=WEEKLY;COUNT=4",))
WEEKLY = Timed(datetime(2026, 12, 1, 9), "Europe/Berlin", 3600, rule=RULE)
FIRST, SECOND = "2026-12-01T09:00:00", "2026-12-08T09:00:00"


def moved(hour):
    return Occurrence(fields={"when": Timed(datetime(2026, 12, 8, hour), "Europe/Berlin", 3600)})


def test_keys_merge_one_by_one_and_absent_is_a_value():
    base = Occurrences({"a": GONE, "b": GONE})
    ours = Occurrences({"a": GONE, "b": GONE, "c": GONE})
    theirs = Occurrences({"b": GONE, "d": GONE})
    assert merge_keys(base, [ours, theirs]).by_start.keys() == {"b", "c", "d"}


def test_the_last_claim_wins_a_key_that_both_changed():
    merged = merge_keys(Occurrences(), [Occurrences({"a": moved(10)}), Occurrences({"a": GONE})])
    assert merged == Occurrences({"a": GONE})


def world_of(**rules):
    a, b = Nasty("A"), Nasty("B")
    fields = ("title", "when", "occurrences")
    return a, b, World(a, {"b": b}, fields=fields, speaks={"when", "occurrences"}, **rules)


@pytest.mark.fault("F53")
async def test_two_sides_change_other_visits_of_a_series_and_both_count():
    a, b, world = world_of()
    a.put("1", title="s", when=WEEKLY, occurrences=Occurrences())
    await world.settle()
    (event,) = b.records
    a.put("1", occurrences=Occurrences({FIRST: GONE}))
    b.put(event, occurrences=Occurrences({SECOND: moved(14)}))
    await world.settle()
    both = Occurrences({FIRST: GONE, SECOND: moved(14)})
    assert a.show()["1"]["occurrences"] == b.show()[event]["occurrences"] == both


async def test_a_series_that_moves_takes_its_exceptions_along():
    a, b, world = world_of()
    a.put("1", title="s", when=WEEKLY, occurrences=Occurrences({SECOND: GONE}))
    await world.settle()
    (event,) = b.records
    later = msgspec.structs.replace(WEEKLY, start=datetime(2026, 12, 1, 11))
    a.put("1", when=later)
    await world.settle()
    assert b.show()[event]["occurrences"] == Occurrences({"2026-12-08T11:00:00": GONE})
    assert await world.settle() == 0


async def test_a_changed_visit_without_heir_is_held():
    a, _, world = world_of()
    last = "2026-12-22T09:00:00"
    a.put("1", title="s", when=WEEKLY, occurrences=Occurrences({last: moved(10)}))
    await world.settle()
    short = msgspec.structs.replace(WEEKLY, rule=Rule(("FREQ=WEEKLY;COUNT=2",)))
    a.put("1", when=short)
    report = await world.run()
    holds = [hold.reason for one in report.decisions for hold in one.holds]
    assert "occurrence_without_heir" in holds


@pytest.mark.fault("AT-08")
@pytest.mark.parametrize("hand", [SECOND, "2026-12-22T09:00:00"])
async def test_a_visit_changed_by_hand_after_the_cut_is_let_go_and_one_before_stays_held(hand):
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, fields=("title", "when", "occurrences"), drift="hold")
    a.put("1", title="s", when=WEEKLY, occurrences=Occurrences())
    await world.settle()
    (event,) = b.records
    by_hand = Occurrences({hand: moved(14)})
    b.put(event, occurrences=by_hand)
    await world.settle()
    assert world.holds() == [("drift", "occurrences")]
    cut = msgspec.structs.replace(WEEKLY, rule=Rule(("FREQ=WEEKLY;COUNT=2",)))
    a.put("1", when=cut)
    await world.settle()
    stays = hand == SECOND
    assert world.holds() == ([("drift", "occurrences")] if stays else [])
    assert b.show()[event]["when"] == cut
    assert b.show()[event]["occurrences"] == (by_hand if stays else Occurrences())
    assert await world.settle() == 0


async def test_exceptions_that_are_all_taken_back_by_hand_stay_held_where_the_series_is_cut():
    """The calendar shows none at all then."""
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, fields=("title", "when", "occurrences"), drift="hold")
    a.put("1", title="s", when=WEEKLY, occurrences=Occurrences({SECOND: GONE}))
    await world.settle()
    (event,) = b.records
    b.put(event, occurrences=None)
    await world.settle()
    cut = msgspec.structs.replace(WEEKLY, rule=Rule(("FREQ=WEEKLY;COUNT=2",)))
    a.put("1", when=cut)
    await world.settle()
    assert world.holds() == [("drift", "occurrences")]
    assert b.show()[event] == {"title": "s", "when": cut, "occurrences": None}
