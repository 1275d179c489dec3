"""Matching before every Create: sure, several, foreign, and what stood there before."""

from datetime import date, timedelta

import pytest

from support.nasty import Nasty, World
from truckroll.model.time import AllDay
from truckroll.sync.match import Matcher, key_of
from truckroll.sync.types import RecordRow

DAY = AllDay(date(2026, 12, 7), date(2026, 12, 8))
FIELDS = ("title", "notes", "when")


def row(id_, title="Leak", **more):
    return RecordRow(
        id=id_,
        account=2,
        scope=2,
        external_id=str(id_),
        fields={"title": title, "when": DAY},
        **more,
    )


def test_keys_are_normalized_and_a_missing_part_is_no_key():
    names = ("when", "title")
    assert key_of({"when": DAY, "title": " No  HEAT"}, names) == key_of(
        {"when": DAY, "title": "no heat"}, names
    )
    assert key_of({"when": DAY, "title": ""}, names) is None


def taught(records, links="k"):
    matcher = Matcher(("title",))
    matcher.teach(links, records)
    return matcher


def test_who_was_not_taught_is_noted_and_finds_nothing_until_then():
    """What it found would be given away, to a plan that is thrown away."""
    matcher = taught([row(1)])
    assert matcher.find("l", 2, {"title": "Leak"}).sure is None
    assert matcher.asked == {"l"}
    matcher.teach("l", [row(1)])
    assert not matcher.asked
    assert matcher.find("l", 2, {"title": "Leak"}).sure.id == 1
    assert matcher.find("k", 2, {"title": "Leak"}).sure is None
    assert matcher.given == {1}


def test_the_mark_comes_before_the_keys_and_a_record_is_given_once():
    matcher = taught([row(1), row(2, "else", mark="k")], "klm")
    assert matcher.find("k", 2, {"title": "Leak"}).sure.id == 2
    assert matcher.find("l", 2, {"title": "Leak"}).sure.id == 1
    assert matcher.find("m", 2, {"title": "Leak"}).sure is None


def test_several_are_several_and_one_under_a_tombstone_was_there_before():
    found = taught([row(1), row(2)]).find("k", 2, {"title": "Leak"})
    assert found.sure is None
    assert len(found.several) == 2
    found = taught([row(1, ended=True)]).find("k", 2, {"title": "Leak"})
    assert found.before


def world_of(**rules):
    a, b = Nasty("A"), Nasty("B")
    return a, b, World(a, {"b": b}, fields=FIELDS, **rules)


async def test_a_sure_match_is_linked_and_made_like_the_source():
    a, b, world = world_of()
    b.put("x", title="leak", notes="old", when=DAY)
    a.put("1", title="Leak", notes="new", when=DAY)
    await world.settle()
    assert b.show() == {"x": {"title": "Leak", "notes": "new", "when": DAY}}


@pytest.mark.parametrize(("first", "expected"), [("source", "new"), ("target", "old")])
async def test_first_says_whose_differences_win(first, expected):
    a, b, world = world_of(first=first, speaks=frozenset({"notes"}))
    b.put("x", title="Leak", notes="old", when=DAY)
    a.put("1", title="Leak", notes="new", when=DAY)
    await world.settle()
    assert a.show()["1"]["notes"] == b.show()["x"]["notes"] == expected


async def test_first_ask_holds_the_difference_and_writes_it_on_neither_side():
    a, b, world = world_of(first="ask", speaks=frozenset({"notes"}))
    b.put("x", title="Leak", notes="old", when=DAY)
    a.put("1", title="Leak", notes="new", when=DAY)
    await world.settle()
    assert (a.show()["1"]["notes"], b.show()["x"]["notes"]) == ("new", "old")
    assert world.holds() == [("ask", "notes")]
    world.answer("notes", "accept")
    await world.settle()
    assert world.holds() == []


async def test_ambiguous_candidates_are_held_and_nothing_is_made():
    a, b, world = world_of()
    b.put("x", title="Leak", when=DAY)
    b.put("y", title="leak", when=DAY)
    a.put("1", title="Leak", when=DAY)
    report = await world.run()
    assert len(b.records) == 2
    assert [h.reason for one in report.decisions for h in one.holds] == ["ambiguous"]
    b.drop("y")
    world.at += world.at - world.at.replace(hour=world.at.hour - 2)
    await world.settle()
    assert list(b.records) == ["x"]


async def test_foreign_records_are_left_alone():
    a, b, world = world_of()
    b.put("mine", title="Dentist", when=DAY)
    a.put("1", title="Leak", when=DAY)
    await world.settle()
    assert b.show()["mine"] == {"title": "Dentist", "when": DAY}
    assert len(a.records) == 1


async def test_a_source_that_may_not_originate_is_matched_but_never_made():
    a, b, world = world_of(originates=frozenset())
    b.put("x", title="Leak", notes="old", when=DAY)
    a.put("1", title="Leak", notes="new", when=DAY)
    a.put("2", title="No heat", when=DAY)
    await world.settle()
    assert b.show() == {"x": {"title": "Leak", "notes": "new", "when": DAY}}


@pytest.mark.parametrize("made_in", ["A", "B"])
@pytest.mark.parametrize("seconds", [0, 20])
async def test_what_comes_another_way_to_where_a_link_waits_to_make_it_is_taken_by_that(
    made_in, seconds
):
    """As a ring of recipes does it: what one of them puts off comes round by the others."""
    a, b, world = world_of(originates=frozenset({"source", "target"}))
    here, there = (a, b) if made_in == "A" else (b, a)
    here.put("1", title="Leak", when=DAY)
    there.fails = ["before"]
    await world.run()
    assert not there.records
    there.put("2", title="leak", when=DAY)
    there.put("3", title="No heat", when=DAY)
    world.at += timedelta(seconds=seconds)
    await world.settle()
    assert [sorted(one["title"].lower() for one in side.show().values()) for side in (a, b)] == [
        ["leak", "no heat"],
        ["leak", "no heat"],
    ]


async def test_what_several_may_be_is_kept_back_until_one_is_left():
    a, b, world = world_of(originates=frozenset({"source", "target"}))
    b.put("1", title="Leak", when=DAY)
    a.fails = ["before"]
    await world.run()
    a.put("2", title="Leak", when=DAY)
    a.put("3", title="Leak", when=DAY)
    report = await world.run()
    assert [h.reason for one in report.decisions for h in one.holds] == ["ambiguous"]
    await world.settle()
    assert (len(a.records), len(b.records)) == (2, 1)
    a.drop("3")
    world.at += timedelta(hours=2)
    await world.settle()
    assert (list(a.records), list(b.records)) == (["2"], ["1"])


async def test_what_was_let_go_is_held_ended_before():
    a, b, world = world_of(deletes="unlink")
    a.put("1", title="Leak", when=DAY)
    await world.settle()
    a.drop("1")
    await world.settle()
    a.put("2", title="Leak", when=DAY)
    report = await world.run()
    assert len(b.records) == 1
    assert "ended_before" in [h.reason for one in report.decisions for h in one.holds]


@pytest.mark.fault("F44")
async def test_a_reset_creates_nothing():
    a, b, world = world_of()
    for number in range(5):
        a.put(str(number), title=f"t{number}", when=DAY)
    await world.settle()
    writes = a.writes + b.writes
    for id_ in list(world.store.scopes):
        await world.store.set_cursor(id_, None)
    assert await world.settle() == 0
    assert a.writes + b.writes == writes
    assert len(b.records) == 5


async def test_a_copy_that_kept_the_mark_is_a_record_of_its_own():
    """Apps copy what they do not know; a part of a series that was split off is such a copy too."""
    a, b, world = world_of(originates=frozenset({"source", "target"}))
    a.put("1", title="Leak", when=DAY)
    await world.settle()
    b.put("copy", title="Leak, second day", when=DAY)
    (b.marks["copy"],) = b.marks.values()
    await world.settle()
    assert sorted(one["title"] for one in a.show().values()) == ["Leak", "Leak, second day"]
    assert len(b.records) == 2
