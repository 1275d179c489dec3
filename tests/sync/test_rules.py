"""Each setting of a mirror, in a world of simulated systems: what follows, and what is left alone."""

import random

import msgspec
import pytest

from support.nasty import Nasty, World, same_line
from truckroll.recipes.mirror import Line, Place, Problem
from truckroll.sync.context import AccountFacts
from truckroll.sync.types import Link

FIELDS = ("title", "notes", "status")


def world_of(*, fields=FIELDS, targets=("b",), **rules):
    ends = {name: Nasty(name.upper()) for name in targets}
    a = Nasty("A")
    return (a, *ends.values(), World(a, ends, fields=fields, **rules))


def only(system):
    assert len(system.records) == 1, system.show()
    return next(iter(system.show().values()))


def event(system):
    return next(iter(system.records))


def reasons(report):
    return {hold.reason for one in report.decisions for hold in one.holds}


def gate(world, problem):
    world.mirror = msgspec_replace(world.mirror, gates=(("g", lambda agreed, _: problem(agreed)),))


def msgspec_replace(mirror, **changes):
    from dataclasses import replace  # noqa: PLC0415 -- one use

    return replace(mirror, **changes)


@pytest.mark.fault("F45")
@pytest.mark.parametrize(("deletes", "left"), [("propagate", 0), ("cancel", 0), ("unlink", 1)])
async def test_what_becomes_of_the_follower_of_a_deleted_record(deletes, left):
    a, b, world = world_of(deletes=deletes)
    a.put("1", title="t")
    await world.settle()
    a.drop("1")
    await world.settle()
    assert len(b.records) == left
    assert [link.state for link in world.store.link_rows.values()] == ["ended"]
    assert any(code == "source_deleted" for _, code, _ in world.store.story)


@pytest.mark.fault("F45")
@pytest.mark.parametrize(("answer", "left"), [("accept", 0), ("keep", 1)])
async def test_a_person_is_asked_about_a_deleted_record_and_the_answer_is_followed(answer, left):
    a, b, world = world_of(deletes="ask")
    a.put("1", title="t")
    await world.settle()
    a.drop("1")
    await world.settle()
    assert len(b.records) == 1
    assert world.holds() == [("source_deleted", "existence")]
    world.answer("existence", answer)
    await world.settle()
    assert len(b.records) == left
    assert world.holds() == []


async def test_a_question_is_moot_when_the_record_is_restored():
    a, b, world = world_of(deletes="ask")
    a.put("1", title="t")
    await world.settle()
    kept = only(a)
    a.drop("1")
    await world.settle()
    a.put("1", **{**kept, "title": "u"})
    await world.settle()
    assert world.holds() == []
    assert only(b)["title"] == "u"


@pytest.mark.behaviour("CAL-5")
@pytest.mark.parametrize(("missing", "left"), [("recreate", 1), ("accept", 0), ("ask", 0)])
async def test_a_follower_that_somebody_deleted(missing, left):
    a, b, world = world_of(missing=missing)
    a.put("1", title="t")
    await world.settle()
    b.drop(event(b))
    await world.settle()
    assert len(b.records) == left
    assert (world.holds() == [("missing", "existence")]) is (missing == "ask")


@pytest.mark.parametrize(("answer", "left"), [("restore", 1), ("accept", 0)])
async def test_a_person_answers_what_becomes_of_a_missing_follower(answer, left):
    a, b, world = world_of(missing="ask")
    a.put("1", title="t")
    await world.settle()
    b.drop(event(b))
    await world.settle()
    world.answer("existence", answer)
    await world.settle()
    assert len(b.records) == left


@pytest.mark.behaviour("CAL-3")
async def test_cancelled_removes_and_a_visit_that_is_on_again_comes_back():
    a, b, world = world_of(cancelled="remove")
    a.put("1", title="t", status="scheduled")
    await world.settle()
    first = event(b)
    a.put("1", status="cancelled")
    await world.settle()
    assert not b.records
    a.put("1", status="scheduled")
    await world.settle()
    assert only(b)["status"] == "scheduled"
    assert event(b) != first


@pytest.mark.behaviour("CAL-3")
async def test_cancelled_marks_where_the_mirror_says_so():
    a, b, world = world_of(cancelled="mark")
    a.put("1", title="t", status="scheduled")
    await world.settle()
    first = event(b)
    a.put("1", status="cancelled")
    await world.settle()
    assert only(b)["status"] == "cancelled"
    a.put("1", status="scheduled")
    await world.settle()
    assert only(b)["status"] == "scheduled"
    assert event(b) == first


@pytest.mark.fault("AT-13")
@pytest.mark.parametrize(
    ("leaving", "while_out", "same"),
    [("freeze", "t", True), ("follow", "u", True), ("remove", "", False)],
)
async def test_a_linked_record_that_fails_a_gate_and_passes_it_again(leaving, while_out, same):
    a, b, world = world_of(leaving=leaving)
    a.put("1", title="t", notes="in")
    await world.settle()
    first = event(b)
    gate(world, lambda agreed: Problem("outside", "not now") if agreed["notes"] == "out" else None)
    a.put("1", title="u", notes="out")
    await world.settle()
    assert "".join(one["title"] for one in b.show().values()) == while_out
    a.put("1", title="v", notes="in")
    await world.settle()
    assert only(b)["title"] == "v"
    assert (event(b) == first) is same


async def test_a_key_that_leaves_a_frozen_record_takes_its_follower_along():
    a, b, c, world = world_of(targets=("b", "c"), per="people", leaving="freeze")
    a.put("1", title="t", people=("b", "c"))
    await world.settle()
    gate(world, lambda _: Problem("outside", "not now"))
    a.put("1", title="u", people=("b",))
    await world.settle()
    assert only(b)["title"] == "t"
    assert not c.records


@pytest.mark.fault("F30")
async def test_a_record_that_fails_a_gate_is_held_and_goes_when_the_clock_releases_it():
    a, b, world = world_of()
    opens = world.at.replace(hour=12)
    gate(
        world,
        lambda _: None if world.at >= opens else Problem("early", "not yet", again_at=opens),
    )
    a.put("1", title="t")
    assert reasons(await world.run()) == {"early"}
    await world.settle()
    assert not b.records
    world.at = opens
    await world.settle()
    assert only(b)["title"] == "t"


@pytest.mark.fault("F30")
async def test_an_unknown_person_is_held_and_the_others_go_on():
    a, b, world = world_of(per="people")
    a.put("1", title="t", people=("b", "mike"))
    assert "person_unmapped" in reasons(await world.run())
    assert only(b)["title"] == "t"
    c = Nasty("C")
    world.systems.append(c)
    scope = world.store.put_scope(3, type(world.store.scopes[1].scope)("C", "C", "appointment"))
    world.scopes["C"], world.targets["mike"] = scope, c
    world.places["mike"] = Place(account=3, scope=scope.id, label="mike")
    for link in list(world.store.link_rows.values()):
        world.store.link_rows[link.id] = msgspec.structs.replace(link, look_at=world.at)
    await world.settle()
    assert only(c)["title"] == "t"


@pytest.mark.parametrize("writes", ["create", "once"])
async def test_later_differences_are_shown_and_not_written(writes):
    a, b, world = world_of(writes=writes)
    a.put("1", title="t")
    await world.settle()
    a.put("1", title="u")
    report = await world.run()
    assert only(b)["title"] == "t"
    assert reasons(report) == {"differs"}
    b.drop(event(b))
    await world.settle()
    assert len(b.records) == (1 if writes == "create" else 0)


@pytest.mark.parametrize(("drift", "shown"), [("restore", "t"), ("keep", "mine"), ("hold", "mine")])
async def test_a_change_by_an_end_that_may_not_speak(drift, shown):
    a, b, world = world_of(drift=drift)
    a.put("1", title="t")
    await world.settle()
    b.put(event(b), title="mine")
    await world.settle()
    assert (only(a)["title"], only(b)["title"]) == ("t", shown)
    a.put("1", title="u")
    await world.settle()
    assert only(b)["title"] == ("mine" if drift == "hold" else "u")


@pytest.mark.fault("F27")
@pytest.mark.parametrize(
    ("rule", "winner"), [("source", "A's"), ("target", "B's"), ("newest", "B's"), ("ask", "")]
)
async def test_two_changes_of_one_field(rule, winner):
    a, b, world = world_of(speaks={"title"}, conflict={"title": rule})
    a.put("1", title="t")
    await world.settle()
    a.put("1", title="A's")
    b.put(event(b), title="B's")
    await world.settle()
    assert {only(a)["title"], only(b)["title"]} == ({winner} if winner else {"A's", "B's"})
    if winner:
        assert any(code == "lost" for _, code, _ in world.store.story)
    else:
        assert world.holds() == [("ask", "title")] * 2


async def test_newest_is_what_the_hub_saw_last_and_not_who_is_the_source():
    a, b, c, world = world_of(
        targets=("b", "c"), per="people", speaks={"title"}, conflict={"title": "newest"}
    )
    a.put("1", title="t", people=("b", "c"))
    await world.settle()
    c.signed_out = True
    b.put(event(b), title="first")
    await world.run()
    c.put(event(c), title="second")
    c.signed_out = False
    await world.settle()
    assert only(a)["title"] == only(b)["title"] == "second"


async def test_an_answer_for_one_end_settles_the_question_for_all():
    a, b, world = world_of(speaks={"title"}, conflict={"title": "ask"})
    a.put("1", title="t")
    await world.settle()
    a.put("1", title="A's")
    b.put(event(b), title="B's")
    await world.settle()
    (link,) = world.store.link_rows.values()
    ends = tuple(
        msgspec.structs.replace(
            end,
            holds={n: msgspec.structs.replace(h, answer="accept") for n, h in end.holds.items()},
        )
        if end.side == "target"
        else end
        for end in link.ends
    )
    world.store.link_rows[link.id] = msgspec.structs.replace(link, ends=ends, look_at=world.at)
    await world.settle()
    assert only(a)["title"] == only(b)["title"] == "B's"
    assert world.holds() == []


@pytest.mark.behaviour("CAL-7")
async def test_a_follower_may_originate_where_the_mirror_says_so():
    a, b, world = world_of(originates=frozenset({"source", "target"}), speaks={"title"})
    b.put("x", title="made in B")
    await world.settle()
    assert only(a)["title"] == "made in B"
    b.put("x", title="moved in B")
    await world.settle()
    assert only(a)["title"] == "moved in B"
    assert await world.settle() == 0


@pytest.mark.fault("F30")
async def test_a_status_without_a_word_is_held_alone_and_goes_when_there_is_one():
    a, b, world = world_of()
    words = {"scheduled": "scheduled"}

    def render(agreed):
        status = agreed["status"]
        return words.get(status, Problem("status_unmapped", f"no word for {status}"))

    lines = tuple(
        Line("status", ("status",), render) if line.slot == "status" else line
        for line in world.mirror.lines["target"]
    )
    world.mirror = msgspec_replace(world.mirror, lines={**world.mirror.lines, "target": lines})
    a.put("1", title="t", status="scheduled")
    await world.settle()
    a.put("1", title="u", status="strange")
    await world.settle()
    assert only(b) == {"title": "u", "status": "scheduled"}
    assert world.holds() == [("status_unmapped", "status")]
    words["strange"] = "weird"
    a.put("1", title="v")
    await world.settle()
    assert only(b) == {"title": "v", "status": "weird"}
    assert world.holds() == []


@pytest.mark.fault("F42")
async def test_an_end_that_could_not_be_read_delays_nobody_and_is_caught_up():
    a, b, c, world = world_of(targets=("b", "c"), per="people")
    a.put("1", title="t", people=("b", "c"))
    await world.settle()
    c.signed_out = True
    a.put("1", title="u")
    await world.run()
    assert (only(b)["title"], only(c)["title"]) == ("u", "t")
    c.signed_out = False
    await world.settle()
    assert only(c)["title"] == "u"


@pytest.mark.fault("AT-22")
@pytest.mark.fault("F48")
async def test_a_source_record_that_moves_keeps_its_link_and_its_event():
    a, b, world = world_of()
    a.put("1", title="t")
    await world.settle()
    (link,) = world.store.link_rows.values()
    first = event(b)
    a.put("moved", title="u")
    a.marks["moved"] = link.key
    a.drop("1")
    await world.settle()
    assert event(b) == first
    assert only(b)["title"] == "u"


@pytest.mark.fault("AT-23")
@pytest.mark.parametrize("empty", ["", None])
async def test_a_field_that_was_cleared_is_cleared(empty):
    a, b, world = world_of()
    a.put("1", title="t", notes="n")
    await world.settle()
    a.put("1", notes=empty)
    await world.settle()
    assert only(b)["notes"] == empty
    assert await world.settle() == 0


@pytest.mark.fault("AT-24")
@pytest.mark.behaviour("CAL-2")
async def test_a_thousand_reassignments_leave_no_orphan_and_miss_nobody():
    chance = random.Random(24)
    people = ("b", "c", "d")
    *systems, world = world_of(targets=people, per="people", fields=("title",))
    a, *others = systems
    for number in range(50):
        a.put(str(number), title=f"t{number}", people=("b",))
    for _ in range(20):
        for number in range(50):
            crew = tuple(name for name in people if chance.random() < 0.5)
            a.put(str(number), people=crew)
        world.at = world.at.replace(hour=8)
        await world.run(confirmed=10_000)
    assert await world.settle() == 0
    for name, system in zip(people, others, strict=True):
        wanted = sorted(f["title"] for f in a.show().values() if name in f["people"])
        assert sorted(f["title"] for f in system.show().values()) == wanted


@pytest.mark.fault("F46")
@pytest.mark.fault("AT-03")
async def test_two_ends_that_cut_and_speak_write_once_each_and_then_never():
    from truckroll.kit.normal import Stored  # noqa: PLC0415 -- one use

    a, b, c, world = world_of(
        targets=("b", "c"), per="people", speaks={"notes"}, conflict={"notes": "newest"}
    )
    b.stores = {"notes": Stored(limit=4)}
    c.stores = {"notes": Stored(limit=8, trim=True)}
    a.put("1", title="t", notes="one two three", people=("b", "c"))
    await world.settle()
    writes = [system.writes for system in (a, b, c)]
    for _ in range(3):
        await world.run()
    assert writes == [system.writes for system in (a, b, c)] == [0, 1, 1]
    assert only(a)["notes"] == "one two three"


@pytest.mark.fault("AT-12")
@pytest.mark.parametrize("organizer", ["boss@acme.example", None])
async def test_a_change_of_what_is_somebody_elses_is_a_request_to_them_and_no_write(organizer):
    a, b, world = world_of()
    a.put("1", title="t")
    await world.settle()
    key, writes = (2, event(b)), b.writes
    row = world.store.records[key]
    shown = {**row.fields, "organizer": organizer}
    world.store.records[key] = msgspec.structs.replace(row, owned=False, fields=shown)
    a.put("1", title="u")
    report = await world.run()
    (hold,) = (one for decision in report.decisions for one in decision.holds)
    owner = organizer or "its owner"
    assert hold.reason == "not_ours"
    assert hold.detail == (
        f"“t” in B is not ours, so only {owner} can change it; ask {owner} for: title “t” → “u”"
    )
    assert b.writes == writes
    b.put(event(b), title="u")  # the owner agrees
    report = await world.run()
    assert not any(decision.holds for decision in report.decisions)
    assert b.writes == writes


def test_an_untouched_link_comes_back_as_it_is():
    from support.nasty import T0  # noqa: PLC0415 -- one use
    from truckroll.recipes.mirror import Mirror  # noqa: PLC0415 -- one use
    from truckroll.sync.context import NO_MATCH, Context  # noqa: PLC0415 -- one use
    from truckroll.sync.plan import plan_link  # noqa: PLC0415 -- one use
    from truckroll.sync.types import End  # noqa: PLC0415 -- one use

    line = same_line("title", speaks=True)
    mirror = Mirror("m", "appointment", {"source": (line,), "target": (line,)}, place=Place(2, 2))
    facts = AccountFacts("X", "x", frozenset({"update"}), frozenset({"title"}))
    ctx = Context(
        mirror, T0, "UTC", {1: facts, 2: facts}, lambda _: (), lambda *_: NO_MATCH, lambda _: "X"
    )
    known = {"shown": {"title": "t"}, "base": {"title": "t"}, "given": {"title": "t"}}
    ends = tuple(
        End(id=n, side=side, account=n, scope=n, external_id="e", state="live", **known)
        for n, side in ((1, "source"), (2, "target"))
    )
    link = Link(id=1, mirror=1, key="k", agreed={"title": "t"}, by={"title": 1}, ends=ends)
    decision = plan_link(link, ctx)
    assert decision.link is link
    assert not decision.changed
    assert not decision.steps
