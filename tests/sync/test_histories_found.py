"""Histories that random people and faults found; each was a fault of the planner once."""

from datetime import date, timedelta

import pytest

from support.nasty import Nasty, World, event, one
from truckroll.kit.errors import OutcomeUnknown
from truckroll.kit.normal import Stored
from truckroll.model.time import AllDay
from truckroll.sync.braked import foresee
from truckroll.sync.job import Report
from truckroll.sync.run import adopt, carry_out, observe


async def test_history_19_the_reply_to_one_field_does_not_agree_with_a_held_edit_of_another():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, drift="hold")
    a.put("1", title="one", notes="n")
    await world.run()
    b.put(event(b), title="mine")
    await world.run()
    for notes in ("m", "o", "p"):
        a.put("1", title=f"two {notes}", notes=notes)
        await world.settle()
    assert one(b) == {"title": "mine", "notes": "p"}
    assert ("drift", "title") in world.holds()


async def test_history_20_what_an_undo_read_is_weighed_by_the_next_pass():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="one", notes="n")
    await world.run()
    a.put("1", title="two")
    await world.run()
    a.put("1", notes="m")
    await world.undo(world.last_run)
    await world.settle()
    assert one(b) == {"title": "one", "notes": "m"}


async def test_history_33_an_undo_that_died_and_is_asked_for_again_makes_one_copy():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, per="people")
    a.put("1", title="one", people=("b",))
    await world.run()
    a.put("1", people=())
    await world.run()
    removed = world.last_run
    b.fails.append("after")
    b.deaf = 1
    await world.undo(removed)
    report = await world.undo(removed)
    assert len(b.records) == 1, b.show()
    assert [n.code for d in report.decisions for n in d.notes] == ["not_undone"]
    await world.settle()
    assert one(b)["title"] == "one"


async def test_history_21_what_is_found_at_one_of_a_crew_is_weighed_before_the_others_are_made():
    a, b, c = Nasty("A"), Nasty("B"), Nasty("C")
    day = AllDay(date(2026, 12, 7), date(2026, 12, 8))
    fields = ("title", "notes", "when")
    rules = {"per": "people", "speaks": {"notes"}, "first": "target", "fields": fields}
    world = World(a, {"b": b, "c": c}, **rules)
    c.put("x", title="Leak", notes="richer", when=day)
    a.put("1", title="Leak", notes="poorer", when=day, people=("b", "c"))
    await world.settle()
    assert one(a)["notes"] == one(b)["notes"] == one(c)["notes"] == "richer"


@pytest.mark.fault("F12")
async def test_history_22_a_record_deleted_just_after_it_was_seen_is_missed_by_a_shadow_read():
    a, b = Nasty("A", lag=timedelta(minutes=1)), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="t")
    a.put("2", title="u")
    await world.run()
    a.drop("1")
    a.expire = True
    await world.settle()
    assert one(b)["title"] == "u"


@pytest.mark.fault("F24")
async def test_history_23_an_old_text_is_not_taken_for_the_new_one_cut():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="Leak")
    await world.run()
    a.put("1", title="Leak, urgent")
    update = b.update

    async def lost(*_args):
        b.update = update
        raise OutcomeUnknown("the answer was lost")

    b.update = lost
    await world.run()
    assert await world.settle() == 0
    assert one(b)["title"] == "Leak, urgent"


@pytest.mark.fault("F12")
@pytest.mark.fault("AT-02")
async def test_history_24_the_cursor_of_a_shadow_read_waits_for_the_proof_of_what_is_gone():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="t")
    a.put("2", title="u")
    await world.run()
    cursor = world.store.scopes[1].cursor
    a.drop("1")
    a.expire = True
    a.deaf = 1
    await world.run()
    assert world.store.scopes[1].cursor == cursor
    assert len(b.records) == 2
    a.expire = True
    await world.settle()
    assert one(b)["title"] == "u"


async def test_history_25_an_earlier_copy_that_comes_back_is_left_alone():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, speaks={"title"})
    a.put("1", title="one")
    await world.run()
    old, kept = event(b), one(b)
    b.drop(old)
    await world.settle()
    assert len(b.records) == 1
    b.put(old, **{**kept, "title": "from the bin"})
    a.put("1", notes="m")
    await world.settle()
    assert b.show()[old]["title"] == "from the bin"
    assert "notes" not in b.show()[old]
    assert one(a)["title"] == "one"


async def test_history_26_a_copy_that_was_to_be_made_anew_is_not_when_the_old_one_is_there():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="one")
    await world.run()
    old, kept = event(b), one(b)
    for _ in range(2):
        b.drop(old)
        b.fails = ["before"]
        await world.run()
        b.put(old, **kept)
        world.at += timedelta(minutes=10)
        await world.settle()
        assert event(b) == old
    b.drop(old)
    await world.settle()
    assert len(b.records) == 1


@pytest.mark.fault("F27")
async def test_history_27_an_edit_that_shows_only_in_the_reply_to_our_write_is_weighed():
    a, b = Nasty("A"), Nasty("B", etags=False, conditional=False)
    world = World(a, {"b": b}, speaks={"notes"})
    a.put("1", title="one", notes="n")
    await world.run()
    a.put("1", title="two")
    update = b.update

    async def raced(session, scope, change):
        b.update = update
        b.put(change.id, notes="mine")
        return await update(session, scope, change)

    b.update = raced
    await world.settle()
    assert one(a) == one(b) == {"title": "two", "notes": "mine"}


@pytest.mark.fault("F25")
@pytest.mark.fault("AT-25")
async def test_history_28_an_edit_of_what_was_made_in_doubt_is_somebodys_edit():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, speaks={"title"})
    a.put("1", title="one", notes="n")
    b.fails = ["after"]
    b.deaf = 1
    await world.run()
    b.put(event(b), title="mine")
    await world.settle()
    assert one(a) == one(b) == {"title": "mine", "notes": "n"}


async def test_history_29_a_busy_account_delays_no_other_of_the_same_visit():
    a, b, c = Nasty("A"), Nasty("B"), Nasty("C")
    world = World(a, {"b": b, "c": c}, per="people")
    a.put("1", title="t", people=("b", "c"))
    b.fails = ["before"]
    await world.run()
    assert not b.records
    assert one(c)["title"] == "t"


async def test_history_30_an_edit_made_while_an_outcome_was_unknown_follows_when_it_is_known():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    a.put("1", title="one")
    b.fails = ["after"]
    b.deaf = 2
    await world.run()
    a.put("1", title="two")
    await world.run()
    await world.settle()
    assert one(b)["title"] == "two"


@pytest.mark.fault("F34")
async def test_history_31_what_the_hub_made_in_doubt_is_not_taken_for_somebodys_new_record():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, originates=frozenset({"source", "target"}))
    a.put("1", title="one")
    b.fails = ["after"]
    b.deaf = 2
    await world.run()
    await world.settle()
    assert len(a.records) == len(b.records) == 1


@pytest.mark.fault("AT-03")
async def test_history_32_a_list_that_shows_our_write_before_its_outcome_is_known_is_no_edit():
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, speaks={"title"}, conflict={"title": "newest"})
    a.put("1", title="zero")
    await world.run()
    a.put("1", title="one")
    b.fails = ["after"]
    b.deaf = 2
    await world.run()
    a.put("1", title="two")
    await world.run()
    await world.settle()
    assert one(a)["title"] == one(b)["title"] == "two"


WHOLE = ("title", "notes", "when")
DAY = AllDay(date(2026, 12, 7), date(2026, 12, 8))


async def run_with_late(world, put):
    """One pass; what is put at the source is read after the pass took in what was there before."""
    job, report = world.job(), Report()
    await observe(job, report)
    await adopt(job, "source")
    await adopt(job, "target")
    put()
    await observe(job, report)
    _, foreseen = await foresee(job, report.waiting)
    async with world.store.run(1, "apply") as run:
        how = {"confirmed": 10_000, "hour": timedelta(hours=1)}
        await carry_out(job, run, report, foreseen, **how)


@pytest.mark.fault("F35")
@pytest.mark.parametrize("speaks", [{"title"}, {"title", "notes"}])
async def test_history_35_a_followers_short_text_that_came_first_does_not_replace_the_sources(
    speaks,
):
    a, b = Nasty("A"), Nasty("B", stores={"notes": Stored(limit=6)})
    both = frozenset({"source", "target"})
    rules = {"originates": both, "speaks": speaks, "first": "target", "fields": WHOLE}
    world = World(a, {"b": b}, **rules)
    b.put("x", title="one", notes="n27 ri", when=DAY)
    long = "n22 ring twice at the gate"
    await run_with_late(world, lambda: a.put("1", title="one", notes=long, when=DAY))
    await world.settle()
    assert one(a)["notes"] == long
    assert world.holds() == ([("lossy_edit", "notes")] if "notes" in speaks else [])
    assert one(b)["notes"] == ("n27 ri" if "notes" in speaks else "n22 ri")


async def test_history_36_what_a_follower_showed_first_goes_to_all_whom_the_source_names():
    a, b, c = Nasty("A"), Nasty("B"), Nasty("C")
    both = frozenset({"source", "target"})
    rules = {"originates": both, "speaks": {"title"}, "per": "people", "fields": WHOLE}
    world = World(a, {"b": b, "c": c}, **rules)
    b.put("x", title="one", notes="", when=DAY)
    crew = ("b", "c")
    await run_with_late(world, lambda: a.put("1", title="one", notes="", when=DAY, people=crew))
    await world.run()
    assert len(a.records) == len(b.records) == 1
    assert one(c)["title"] == "one"


async def test_history_37_a_visit_of_another_takes_nobodys_own_event():
    a, b, c = Nasty("A"), Nasty("B"), Nasty("C")
    both = frozenset({"source", "target"})
    world = World(a, {"b": b, "c": c}, originates=both, per="people", fields=WHOLE)
    b.put("x", title="one", notes="", when=DAY)
    await run_with_late(world, lambda: a.put("1", title="one", notes="", when=DAY, people=("c",)))
    await world.run()
    await world.run()
    assert one(b)["title"] == one(c)["title"] == "one"
    assert event(b) == "x"
    assert len(a.records) == 2


SHOWS = {"notes": Stored(default="none given")}


@pytest.mark.fault("AT-04")
@pytest.mark.parametrize("first", ["source", "target"])
async def test_history_34_what_a_system_shows_for_nothing_is_no_difference(first):
    a, b = Nasty("A"), Nasty("B", stores=SHOWS)
    fields = ("title", "notes", "when")
    day = AllDay(date(2026, 12, 7), date(2026, 12, 8))
    world = World(a, {"b": b}, fields=fields, speaks={"notes"}, first=first)
    a.put("1", title="Leak", notes=None, when=day)
    b.put("x", title="Leak", notes="none given", when=day)
    await world.settle()
    assert a.writes == b.writes == 0
    assert not world.holds()
    a.put("1", notes="Ring twice")
    await world.settle()
    assert one(b)["notes"] == "Ring twice"
    a.put("1", notes=None)
    await world.settle()
    assert one(b)["notes"] == "none given"
    assert b.writes == 2
    b.put(event(b), notes="Dog")
    await world.settle()
    assert one(a)["notes"] == "Dog"
    assert not world.holds()


@pytest.mark.parametrize("drift", ["hold", "restore", "keep"])
async def test_history_35_what_shows_what_was_decided_meanwhile_is_no_drift(drift):
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, drift=drift)
    a.put("1", title="one", notes="n")
    await world.run()
    a.put("1", title="two")
    b.put(event(b), title="two")
    before = b.writes
    report = await world.run()
    assert not world.holds()
    assert not [note.code for one in report.decisions for note in one.notes]
    a.put("1", title="three")
    await world.settle()
    assert one(b)["title"] == "three"
    assert b.writes == before + 1
