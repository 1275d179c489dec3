"""The histories that broke earlier drafts of the planner; each is a rule of docs/why/sync.md."""

from datetime import date, timedelta

import pytest

from support.nasty import Nasty, World, event, one
from truckroll.kit.errors import RetryLater
from truckroll.kit.normal import Stored
from truckroll.model.time import AllDay


async def test_a_record_lands_once_and_the_second_pass_writes_nothing():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="Leak", notes="ring twice")
    await world.run()
    assert one(b) == {"title": "Leak", "notes": "ring twice"}
    before = len(b.log), len(a.log)
    await world.run()
    assert b.log[before[0] :] == [("list", "")]
    assert a.log[before[1] :] == [("list", "")]


async def test_an_edit_is_one_update_of_the_same_record():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="Leak", notes="x")
    await world.run()
    made = event(b)
    a.put("1", title="Leak, urgent")
    await world.run()
    assert event(b) == made
    assert one(b)["title"] == "Leak, urgent"
    assert await world.settle() == 0


async def test_history_1_a_stale_list_of_the_target_is_not_an_edit():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, speaks={"title"}, conflict={"title": "newest"})
    a.put("1", title="one")
    await world.run()
    old = dict(b.records)
    a.put("1", title="two")
    await world.run()
    b.stale = old
    b.lag = timedelta(minutes=1)
    before = a.writes
    await world.run()
    await world.settle()
    assert a.writes == before
    assert one(a)["title"] == "two"
    assert one(b)["title"] == "two"


async def test_history_2_two_edits_while_one_side_was_signed_out_are_a_conflict():
    a, b, c = Nasty("A"), Nasty("B"), Nasty("C")
    world = World(a, {"b": b, "c": c}, per="people", speaks={"title"}, conflict={"title": "target"})
    a.put("1", title="zero", people=("b", "c"))
    await world.settle()
    a.signed_out = True
    b.put(event(b), title="from B")
    await world.run()
    assert one(c)["title"] == "from B"
    a.put("1", title="from A, who never saw B's")
    await world.run()
    a.signed_out = False
    await world.settle()
    assert one(a)["title"] == one(b)["title"] == one(c)["title"] == "from B"
    assert any(code == "lost" for _, code, _ in world.store.story)


async def test_history_3_a_field_that_is_dropped_at_creation_was_edited_by_nobody():
    a, b = Nasty("A"), Nasty("B", drops=frozenset({"notes"}))
    world = World(a, {"b": b}, speaks={"title", "notes"}, conflict={"notes": "newest"})
    a.put("1", title="Leak", notes="ring twice")
    await world.settle()
    assert one(a)["notes"] == "ring twice"
    assert ("not_stored", "notes") in world.holds()
    assert await world.settle() == 0


async def test_history_4_a_late_echo_of_our_own_write_beats_nobody():
    a, b, c = Nasty("A"), Nasty("B"), Nasty("C")
    world = World(a, {"b": b, "c": c}, per="people", speaks={"title"}, conflict={"title": "newest"})
    a.put("1", title="zero", people=("b", "c"))
    await world.settle()
    a.put("1", title="one")
    b.fails = ["after"]
    b_read, b.read = b.read, None

    async def lost(*_args):
        raise RetryLater("B does not answer")

    b.read = lost
    await world.run()
    b.signed_out = True
    a.put("1", title="two")
    await world.run()
    assert one(c)["title"] == "two"
    b.signed_out = False
    b.read = b_read
    await world.settle()
    assert one(a)["title"] == one(b)["title"] == one(c)["title"] == "two"


async def test_history_5_a_restore_that_meets_a_conflict_is_still_needed():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, drift="restore")
    a.put("1", title="right")
    await world.run()
    b.put(event(b), title="wrong")
    update = b.update

    async def raced(session, scope, change):
        b.update = update
        b.put(change.id, notes="somebody else was faster")
        return await update(session, scope, change)

    b.update = raced
    await world.settle()
    assert one(b)["title"] == "right"


async def test_history_6_a_held_drift_is_not_overwritten_by_a_later_edit():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, drift="hold")
    a.put("1", title="one", notes="n")
    await world.run()
    b.put(event(b), title="mine")
    await world.run()
    a.put("1", title="two", notes="m")
    await world.settle()
    assert one(b) == {"title": "mine", "notes": "m"}
    assert ("drift", "title") in world.holds()


@pytest.mark.parametrize(("answer", "expected"), [("accept", "mine"), ("restore", "two")])
async def test_a_person_answers_a_held_drift(answer, expected):
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, drift="hold")
    a.put("1", title="one")
    await world.run()
    b.put(event(b), title="mine")
    await world.run()
    a.put("1", title="two")
    await world.settle()
    world.answer("title", answer)
    await world.settle()
    assert one(a)["title"] == one(b)["title"] == expected
    assert world.holds() == []


@pytest.mark.fault("F35")
async def test_history_7_an_edit_of_a_cut_text_that_does_not_fit_is_held():
    a, b = Nasty("A"), Nasty("B", stores={"title": Stored(limit=6)})
    world = World(a, {"b": b}, speaks={"title"})
    a.put("1", title="Hello world, gate 7")
    await world.settle()
    assert one(b)["title"] == "Hello "
    b.put(event(b), title="Hi")
    await world.settle()
    assert one(a)["title"] == "Hello world, gate 7"
    assert ("lossy_edit", "title") in world.holds()


async def test_history_8_a_cut_text_never_wins_over_the_richer_one_at_first_matching():
    a, b = Nasty("A"), Nasty("B", stores={"notes": Stored(limit=6)})
    fields = ("title", "notes", "when")
    world = World(a, {"b": b}, speaks={"notes"}, first="target", fields=fields)
    day = AllDay(date(2026, 12, 7), date(2026, 12, 8))
    b.put("x", title="Leak", notes="Hello!", when=day)
    a.put("1", title="Leak", notes="Hello world, gate 7", when=day)
    await world.settle()
    assert one(a)["notes"] == "Hello world, gate 7"
    assert one(b)["notes"] == "Hello!"
    assert ("lossy_edit", "notes") in world.holds()


@pytest.mark.fault("F27")
async def test_history_9_the_tail_and_the_head_are_edited_at_once():
    a, b = Nasty("A"), Nasty("B", stores={"title": Stored(limit=6)})
    world = World(a, {"b": b}, speaks={"title"}, conflict={"title": "newest"})
    a.put("1", title="Hello world")
    await world.settle()
    a.put("1", title="Hello world, gate 7")
    b.put(event(b), title="HELLO ")
    await world.settle()
    assert one(a)["title"] == "HELLO world, gate 7"
    assert one(b)["title"] == "HELLO "


@pytest.mark.fault("AT-24")
async def test_history_10_one_of_a_crew_moves_the_visit_and_it_is_one_edit():
    a, b, c = Nasty("A"), Nasty("B"), Nasty("C")
    world = World(a, {"b": b, "c": c}, per="people", speaks={"title"}, conflict={"title": "newest"})
    a.put("1", title="nine", people=("b", "c"))
    await world.settle()
    a.log.clear(), c.log.clear()
    b.put(event(b), title="ten")
    await world.settle()
    assert one(a)["title"] == one(c)["title"] == "ten"
    assert a.writes == 1
    assert c.writes == 1


@pytest.mark.fault("AT-24")
async def test_history_11_nobody_then_somebody_else_gets_the_visit():
    a, b, c = Nasty("A"), Nasty("B"), Nasty("C")
    world = World(a, {"b": b, "c": c}, per="people")
    a.put("1", title="t", people=("b",))
    await world.settle()
    a.put("1", people=())
    await world.settle()
    assert not b.records
    a.put("1", people=("c",))
    await world.settle()
    assert not b.records
    assert one(c)["title"] == "t"


async def test_history_12_deleted_and_restored_while_the_target_was_out():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="t")
    await world.settle()
    made = event(b)
    b.signed_out = True
    kept = a.show()["1"]
    a.drop("1")
    await world.run()
    a.put("1", **kept)
    await world.run()
    b.signed_out = False
    await world.settle()
    assert event(b) == made


async def test_history_13_what_the_source_refused_and_the_target_deleted_does_not_come_back():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, originates=frozenset({"source", "target"}), speaks={"title"})
    b.put("x", title="made in B")
    a.fails = ["refuse"]
    await world.run()
    assert not a.records
    b.drop("x")
    await world.settle()
    assert not a.records
    assert not b.records


@pytest.mark.fault("F24")
async def test_history_14_a_key_leaves_in_doubt_and_returns_as_one_event():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, per="people")
    a.put("1", title="t", people=("b",))
    await world.settle()
    a.put("1", people=())
    b.fails = ["after"]
    await world.run()
    a.put("1", people=("b",))
    await world.settle()
    assert one(b)["title"] == "t"


async def test_history_15_an_accepted_deletion_stands_against_a_later_move():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, missing="accept")
    a.put("1", title="t")
    await world.settle()
    b.drop(event(b))
    await world.run()
    a.put("1", title="later")
    await world.settle()
    assert not b.records


@pytest.mark.fault("F39")
async def test_history_15b_an_update_weighed_with_the_deletion_wins():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, missing="accept")
    a.put("1", title="t")
    await world.settle()
    b.signed_out = True
    a.put("1", title="moved")
    await world.run()
    b.drop(event(b))
    b.signed_out = False
    await world.settle()
    assert one(b)["title"] == "moved"


async def test_history_18_edits_of_two_days_are_no_conflict():
    a, b, c = Nasty("A"), Nasty("B"), Nasty("C")
    world = World(a, {"b": b, "c": c}, per="people", speaks={"title"}, conflict={"title": "source"})
    a.put("1", title="zero", people=("b", "c"))
    await world.settle()
    c.signed_out = True
    a.put("1", title="yesterday")
    await world.run()
    assert one(b)["title"] == "yesterday"
    b.put(event(b), title="today")
    await world.run()
    c.signed_out = False
    await world.settle()
    assert one(a)["title"] == one(b)["title"] == one(c)["title"] == "today"
    assert not any(code == "lost" for _, code, _ in world.store.story)


@pytest.mark.behaviour("CAL-12")
async def test_undo_takes_back_what_a_run_did_and_apply_then_writes_nothing():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="one")
    a.put("2", title="stays")
    await world.run()
    a.put("1", title="two")
    a.put("3", title="new")
    await world.run()
    run = world.last_run
    await world.undo(run)
    assert sorted(r["title"] for r in b.show().values()) == ["one", "stays"]
    assert await world.settle() == 0
    assert sorted(r["title"] for r in b.show().values()) == ["one", "stays"]
    a.put("1", title="three")
    await world.settle()
    assert sorted(r["title"] for r in b.show().values()) == ["stays", "three"]


async def test_undo_leaves_alone_what_somebody_changed_since():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, drift="hold")
    a.put("1", title="one", notes="n")
    await world.run()
    a.put("1", title="two", notes="m")
    await world.run()
    run = world.last_run
    b.put(event(b), title="mine")
    report = await world.undo(run)
    assert one(b) == {"title": "mine", "notes": "n"}
    assert [n.code for d in report.decisions for n in d.notes] == ["not_undone"]


async def test_history_16_undo_of_a_delete_makes_it_again_and_apply_writes_nothing():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, speaks={"title"}, conflict={"title": "newest"})
    a.put("1", title="one")
    await world.run()
    a.drop("1")
    b.put(event(b), title="edited")
    await world.run()
    assert not b.records
    await world.undo(world.last_run)
    assert one(b)["title"] == "edited"
    assert await world.settle() == 0
    assert one(b)["title"] == "edited"
    assert not a.records


async def test_an_edit_releases_its_field_of_what_undo_made_again_and_never_its_existence():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, per="people")
    a.put("1", title="one", notes="n", people=("b",))
    await world.settle()
    a.put("1", people=(), notes="m")
    await world.run()
    assert not b.records
    await world.undo(world.last_run)
    assert await world.settle() == 0
    assert one(b) == {"title": "one", "notes": "n"}
    a.put("1", title="two")
    await world.settle()
    assert one(b) == {"title": "two", "notes": "n"}, "and it is still there, though nobody's"


async def test_history_17_an_edit_pending_under_ask_does_not_release_what_undo_holds():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, speaks={"title"}, conflict={"title": "ask"})
    a.put("1", title="one")
    await world.run()
    a.put("1", title="two")
    await world.run()
    run = world.last_run
    a.put("1", title="three")
    b.put(event(b), title="drei")
    await world.run()
    assert ("ask", "title") in world.holds()
    b.put(event(b), title="two")
    await world.undo(run)
    await world.settle()
    assert one(b)["title"] == "one"
