"""Folding: visits of one customer are one event, told by the visit that starts last."""

import random
from dataclasses import replace
from datetime import date, datetime

import pytest

from support.nasty import Nasty, World
from truckroll.model.records import Occurrence, Occurrences
from truckroll.model.time import AllDay, Timed
from truckroll.recipes.mirror import Fold, Problem
from truckroll.sync.fold import Member, fold_key, folded, regroup

FIELDS = ("title", "when", "status", "customer", "notes")
MAP = {"Off": "cancelled"}


def on(day, hour=9):
    start = datetime.fromisoformat(f"2026-12-{day:02}T{hour:02}:00:00")
    return Timed(start=start, zone="UTC", seconds=3600)


def world_of(*, targets=("b",), fields=FIELDS, rules=None, **more):
    ends = {name: Nasty(name.upper()) for name in targets}
    a = Nasty("A")
    fold = Fold("customer", {"notes": "list", **(rules or {})})
    return (a, *ends.values(), World(a, ends, fields=fields, fold=fold, **more))


def put(a, id_, customer, day, **fields):
    said = {"title": f"t{id_}", "status": "scheduled", "notes": f"n{id_}", **fields}
    a.put(id_, customer=customer, when=on(day), **said)


def events(system):
    return {
        fields["customer"]: (fields["title"], fields["when"].start.day, fields["notes"])
        for fields in system.show().values()
    }


def only(system):
    assert len(system.records) == 1, system.show()
    return next(iter(system.show().items()))


def waiting(world):
    return sorted(link.hold for link in world.store.link_rows.values() if link.hold)


def live(world):
    return sorted(one.fold for one in world.store.link_rows.values() if one.state == "live")


def hear_status(world, invert):
    """Let the source's words for a status go through a map."""
    lines = [replace(one, invert=invert) if one.slot == "status" else one
             for one in world.mirror.lines["source"]]  # fmt: skip
    sides = {**world.mirror.lines, "source": tuple(lines)}
    world.mirror = replace(world.mirror, lines=sides)


async def test_two_rows_of_a_customer_are_one_event_that_follows_the_latest():
    a, b, world = world_of()
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    put(a, "3", "Jones", 7)
    await world.settle()
    assert events(b) == {"Smith": ("t2", 9, "n1, n2"), "Jones": ("t3", 7, "n3")}
    names = set(b.records)
    a.put("2", title="changed")
    a.put("1", title="not heard")
    await world.settle()
    assert events(b)["Smith"] == ("changed", 9, "n1, n2")
    put(a, "4", "Smith", 10)
    await world.settle()
    assert events(b)["Smith"] == ("t4", 10, "n1, n2, n4")
    a.put("1", when=on(11))
    await world.settle()
    assert events(b)["Smith"] == ("not heard", 11, "n2, n4, n1")
    assert set(b.records) == names


async def test_a_second_pass_writes_nothing_and_nothing_is_ever_written_at_the_source():
    a, b, world = world_of()
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    await world.settle()
    writes = b.writes
    for _ in range(3):
        await world.run()
    assert b.writes == writes == 1
    assert a.writes == 0


async def test_what_is_not_told_by_the_speaking_record_moves_nothing():
    a, b, world = world_of(rules={"notes": "latest"})
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    await world.settle()
    a.put("1", title="x", notes="y", status="done")
    await world.settle()
    assert b.writes == 1


async def test_when_the_latest_goes_the_event_follows_the_rest_and_the_last_is_decided_by_rule():
    a, b, world = world_of(deletes="propagate")
    for id_, day in (("1", 8), ("2", 9)):
        put(a, id_, "Smith", day)
    await world.settle()
    name, _ = only(b)
    a.drop("2")
    await world.settle()
    assert events(b) == {"Smith": ("t1", 8, "n1")}
    assert only(b)[0] == name
    a.drop("1")
    await world.settle()
    assert b.records == {}
    assert live(world) == []


@pytest.mark.parametrize(("deletes", "left"), [("propagate", 0), ("unlink", 1), ("ask", 1)])
async def test_the_last_record_of_a_link_is_deleted(deletes, left):
    a, b, world = world_of(deletes=deletes)
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    await world.settle()
    a.drop("1")
    a.drop("2")
    await world.settle()
    assert len(b.records) == left
    assert world.holds() == ([("source_deleted", "existence")] if deletes == "ask" else [])


async def test_a_new_record_makes_the_question_of_the_deleted_ones_moot():
    a, b, world = world_of(deletes="ask")
    put(a, "1", "Smith", 8)
    await world.settle()
    a.drop("1")
    await world.settle()
    put(a, "2", "Smith", 9)
    await world.settle()
    assert world.holds() == []
    assert events(b) == {"Smith": ("t2", 9, "n2")}


@pytest.mark.parametrize("off", ["cancelled", "Off"])
async def test_a_cancelled_record_does_not_speak_while_another_is_on(off):
    a, b, world = world_of()
    hear_status(world, lambda word: MAP.get(word, word))
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    await world.settle()
    a.put("2", status=off)
    await world.settle()
    assert events(b) == {"Smith": ("t1", 8, "n1")}
    a.put("1", status=off)
    await world.settle()
    assert b.records == {}
    a.put("2", status="scheduled")
    await world.settle()
    assert events(b) == {"Smith": ("t2", 9, "n2")}


async def test_a_record_that_changes_its_customer_leaves_and_joins():
    a, b, world = world_of()
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    put(a, "3", "Jones", 7)
    await world.settle()
    names = set(b.records)
    a.put("2", customer="Jones")
    await world.settle()
    assert events(b) == {"Smith": ("t1", 8, "n1"), "Jones": ("t2", 9, "n3, n2")}
    assert set(b.records) == names
    a.put("2", customer="smith ")
    await world.settle()
    assert events(b) == {"smith ": ("t2", 9, "n1, n2"), "Jones": ("t3", 7, "n3")}
    a.put("2", customer="Brown")
    await world.settle()
    assert events(b)["Brown"] == ("t2", 9, "n2")
    assert len(b.records) == 3


async def test_a_link_whose_last_record_joins_another_ends_by_the_rule_of_leaving():
    a, b, world = world_of(deletes="ask")
    put(a, "1", "Smith", 8)
    put(a, "2", "Jones", 9)
    await world.settle()
    a.put("1", customer="Jones")
    report = await world.run(confirmed=10)
    assert sorted(step.op for step in report.done) == ["delete", "update"]
    assert events(b) == {"Jones": ("t2", 9, "n1, n2")}
    await world.settle()
    assert live(world) == ["jones"]
    a.put("1", customer="Smith")
    await world.settle()
    assert events(b) == {"Jones": ("t2", 9, "n2"), "Smith": ("t1", 8, "n1")}


async def test_a_customer_with_a_new_name_keeps_the_event():
    a, b, world = world_of()
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    await world.settle()
    name, _ = only(b)
    a.put("1", customer="Smith Ltd")
    a.put("2", customer="Smith Ltd")
    await world.settle()
    assert only(b)[0] == name
    assert events(b) == {"Smith Ltd": ("t2", 9, "n1, n2")}
    assert live(world) == ["smith ltd"]


async def test_a_record_without_the_value_waits_alone_and_goes_when_it_has_one():
    a, b, world = world_of()
    put(a, "1", "", 8)
    put(a, "2", None, 9)
    put(a, "3", "Smith", 7)
    await world.settle()
    assert events(b) == {"Smith": ("t3", 7, "n3")}
    assert waiting(world) == ["fold_key_missing", "fold_key_missing"]
    a.put("1", customer="Smith")
    a.put("2", customer="Jones")
    await world.settle()
    assert events(b) == {"Smith": ("t1", 8, "n3, n1"), "Jones": ("t2", 9, "n2")}
    assert waiting(world) == []


async def test_an_event_whose_customer_is_no_longer_known_is_frozen():
    a, b, world = world_of()
    put(a, "1", "Smith", 8)
    await world.settle()
    a.put("1", customer="", title="x")
    await world.settle()
    assert waiting(world) == ["fold_key_missing"]
    assert events(b) == {"Smith": ("t1", 8, "n1")}
    a.put("1", customer="Smith")
    await world.settle()
    assert events(b) == {"Smith": ("x", 8, "n1")}


async def test_fan_out_goes_to_the_people_of_the_speaking_record():
    a, b, c, world = world_of(targets=("b", "c"), per="people")
    put(a, "1", "Smith", 8, people=("b",))
    put(a, "2", "Smith", 9, people=("c",))
    await world.settle()
    assert (len(b.records), len(c.records)) == (0, 1)
    a.drop("2")
    await world.settle()
    assert (len(b.records), len(c.records)) == (1, 0)
    assert events(b) == {"Smith": ("t1", 8, "n1")}


async def test_what_somebody_accepted_at_the_event_stands_until_the_records_say_another_thing():
    a, b, world = world_of(drift="hold")
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    await world.settle()
    name, _ = only(b)
    b.put(name, title="by hand")
    await world.settle()
    assert world.holds() == [("drift", "title")]
    world.answer("title", "accept")
    await world.settle()
    assert events(b)["Smith"][0] == "by hand"
    a.put("1", notes="told")
    await world.settle()
    assert events(b)["Smith"] == ("by hand", 9, "told, n2")
    assert a.writes == 0
    a.drop("2")
    await world.settle()
    assert events(b)["Smith"] == ("t1", 8, "told")


async def test_a_word_without_meaning_is_held_for_as_long_as_its_record_speaks():
    a, b, world = world_of()
    hear_status(world, lambda word: Problem("status_unmapped", word) if word == "Huh" else word)
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    await world.settle()
    a.put("2", status="Huh", title="new")
    await world.settle()
    assert world.holds() == [("status_unmapped", "status")]
    assert only(b)[1] | {"when": 0} == {
        "title": "new", "status": "scheduled", "customer": "Smith", "notes": "n1, n2", "when": 0
    }  # fmt: skip
    put(a, "3", "Smith", 10, status="confirmed")
    await world.settle()
    assert world.holds() == []
    assert only(b)[1]["status"] == "confirmed"


async def test_a_scope_that_cannot_be_read_changes_nothing():
    a, b, world = world_of()
    put(a, "1", "Smith", 8)
    put(a, "2", "Smith", 9)
    await world.settle()
    a.drop("2")
    a.signed_out = True
    await world.run()
    assert events(b) == {"Smith": ("t2", 9, "n1, n2")}
    a.signed_out = False
    await world.settle()
    assert events(b) == {"Smith": ("t1", 8, "n1")}


async def test_undo_of_a_fold_is_not_repeated():
    a, b, world = world_of()
    put(a, "1", "Smith", 8)
    await world.settle()
    put(a, "2", "Smith", 9)
    await world.run()
    await world.undo(world.last_run)
    assert events(b) == {"Smith": ("t1", 8, "n1")}
    await world.settle()
    assert events(b) == {"Smith": ("t1", 8, "n1")}
    a.put("2", when=on(12))
    await world.settle()
    assert events(b)["Smith"][1] == 12


def of_group(rows):
    """The plain model: what the event of these rows shows, or None."""
    rows = sorted(rows, key=lambda one: (one[1]["when"].begins, one[0]))
    rows = [fields for _, fields in rows if fields["status"] != "cancelled"]
    if not rows:
        return None
    notes = list(dict.fromkeys(one["notes"] for one in rows if one["notes"]))
    told = {**rows[-1], "notes": ", ".join(notes), "title": rows[0]["title"]}
    return {name: told[name] for name in FIELDS}


def model(rows):
    groups = {}
    for id_, fields in rows.items():
        key = (fields["customer"] or "").casefold().strip()
        if key:
            groups.setdefault(key, []).append((id_, fields))
    events = {key: of_group(group) for key, group in groups.items()}
    return {key: one for key, one in events.items() if one is not None}


def set_aside(world):
    """Rows that came back after their link had ended: they are held, like any such record."""
    return {
        end.external_id
        for link in world.store.link_rows.values()
        if link.state == "ended"
        for end in link.ends
        if end.side == "source" and end.state != "released"
    }


def told(world, system):
    """What the events of living links show, by fold key; those of keyless links are frozen."""
    shown = system.show()
    found = {
        link.fold: shown.pop(end.external_id)
        for link in world.store.link_rows.values()
        for end in link.ends
        if end.side == "target" and end.external_id in shown
    }
    assert shown == {}
    return {key: fields for key, fields in found.items() if key}


@pytest.mark.parametrize("seed", range(40))
async def test_random_rows_make_what_the_plain_model_says(seed):
    chance = random.Random(seed)
    a, b, world = world_of(rules={"title": "earliest"})
    for _ in range(12):
        for _ in range(chance.randint(1, 5)):
            id_ = str(chance.randint(1, 7))
            if id_ in a.records and chance.random() < 0.25:
                a.drop(id_)
                continue
            a.put(
                id_,
                customer=chance.choice(("A", "a ", "B", "C", "", None)),
                when=on(chance.randint(1, 9), chance.randint(8, 9)),
                title=f"t{chance.randint(1, 9)}",
                notes=chance.choice(("", "x", "y", "z")),
                status=chance.choice(("scheduled", "scheduled", "confirmed", "cancelled")),
            )
        assert await world.settle() == 0
        let_go = set_aside(world)
        rows = {id_: one for id_, one in a.show().items() if id_ not in let_go}
        shown = {
            key: {name: fields.get(name) or "" for name in FIELDS}
            for key, fields in told(world, b).items()
        }
        assert shown == model(rows)
        before = b.writes
        await world.run(confirmed=10_000)
        assert b.writes == before
        assert a.writes == 0


def test_the_key_is_the_value_without_case_and_spare_spaces():
    _, _, world = world_of()
    assert fold_key(world.mirror, {"customer": " Ana  RUIZ\n"}) == "ana ruiz"
    assert fold_key(world.mirror, {"customer": "a\0b"}) == "ab"
    assert fold_key(world.mirror, {}) == fold_key(world.mirror, {"customer": None}) == ""
    long = [fold_key(world.mirror, {"customer": "x" * 5000 + end}) for end in "ab"]
    assert len(set(long)) == 2
    assert max(map(len, long)) <= 200


def test_a_link_follows_its_records_to_a_key_that_nobody_has():
    homes = {"a": 1, "b": 2}
    found = regroup([(1, "a", [Member(10, "c"), Member(11, "b")])], homes)
    assert found == ({1: "c"}, [Member(11, "b")])
    assert homes == {"c": 1, "b": 2}
    found = regroup([(1, "c", [Member(10, "b")])], homes)
    assert found == ({}, [Member(10, "b")])
    found = regroup([(3, "", [Member(12, ""), Member(13, "")])], homes)
    assert found == ({}, [Member(13, "")])


def test_exceptions_go_with_the_time_and_one_private_record_makes_all_private():
    fold = Fold("customer", {"when": "earliest"})
    away = Occurrences({"2026-12-08": Occurrence(cancelled=True)})
    early = {"when": AllDay(date(2026, 12, 1), date(2026, 12, 2)), "private": True}
    late = {"when": on(9), "occurrences": away, "private": False, "title": "t"}
    assert folded(fold, [early, late], ["notes"]) == {
        "when": early["when"], "occurrences": None, "private": True, "title": "t", "notes": None
    }  # fmt: skip


def test_a_list_has_each_value_once_and_lines_where_there_are_lines():
    fold = Fold("customer", {"notes": "list", "people": "list"})
    rows = [
        {"notes": "b", "people": ("x", "y")},
        {"notes": "a"},
        {"notes": "b", "people": ("z", "x")},
    ]
    assert folded(fold, rows) == {"notes": "b, a", "people": ("x", "y", "z")}
    assert folded(fold, [{"notes": "a\nb"}, {"notes": "c"}])["notes"] == "a\nb\nc"
    assert folded(fold, [{"notes": ""}, {"notes": None}])["notes"] is None
