"""The shipped recipes under the real planner, between simulated systems."""

from dataclasses import replace
from datetime import datetime

import pytest
from msgspec import structs

from support import nasty
from support.nasty import Nasty, World
from truckroll.kit.normal import Stored
from truckroll.model.records import APPOINTMENT, Occurrence, Occurrences
from truckroll.model.time import Rule, Timed
from truckroll.recipes.check import load
from truckroll.recipes.compile import builtin, compile_mirror

NY = "America/New_York"
wall = datetime.fromisoformat
WHEN = Timed(wall("2026-12-02T09:00"), NY, 3600)
LATER = Timed(wall("2026-12-02T13:00"), NY, 3600)
JOB = {
    "number": "J-1",
    "title": "Leak",
    "when": WHEN,
    "status": "Sched.",
    "notes": "Gate 7",
    "customer": "Roe",
}


@pytest.fixture(autouse=True)
def all_fields(monkeypatch):
    monkeypatch.setattr(nasty, "FIELDS", tuple(APPOINTMENT.fields))


def calendar(name):
    return Nasty(name, stores={slot: Stored(omits_empty=True) for slot in APPOINTMENT.fields})


class Recipe(World):
    def __init__(self, name, source, targets, **choices):
        super().__init__(source, targets)
        self.recipe = name
        self.choose(**choices)

    def choose(self, **choices):
        mirror = compile_mirror(load(builtin()[self.recipe], self.recipe), choices)
        place = None if mirror.per else next(iter(self.places.values()))
        self.mirror = replace(mirror, place=place)
        for link in list(self.store.link_rows.values()):
            self.store.link_rows[link.id] = structs.replace(link, look_at=self.at)


def jobs(*people, **choices):
    source, ana, ben = Nasty("Jobs"), calendar("Ana"), calendar("Ben")
    world = Recipe("appointments-to-calendars", source, {"Ana": ana, "Ben": ben}, **choices)
    source.put("1", **JOB, people=people)
    return world, source, ana, ben


def event(system):
    ((id_, fields),) = system.show().items()
    return id_, fields


async def test_an_appointment_lands_with_each_technician_and_settles():
    world, source, ana, ben = jobs("Ana", "Ben")
    await world.run()
    for system in (ana, ben):
        _, fields = event(system)
        assert (fields["title"], fields["status"]) == ("J-1 Leak · Roe", "scheduled")
        assert fields["notes"] == "Crew: Ana, Ben\n\nGate 7"
    assert await world.settle() == 0
    assert source.writes == 0


async def test_what_a_technician_who_joins_has_already_is_not_made_again():
    """Ana has it for long; Ben, who joins the crew, wrote it into the own calendar before."""
    world, source, ana, ben = jobs("Ana")
    await world.settle()
    ben.put("own", title="J-1 Leak · Roe", when=WHEN)
    await world.settle()
    source.put("1", people=("Ana", "Ben"))
    assert await world.settle() == 0
    assert list(ben.show()) == ["own"]
    assert ben.show()["own"]["notes"] == event(ana)[1]["notes"]


async def test_its_own_record_seen_through_another_account_is_no_match():
    """Ana's calendar is Ben's scope too: linked as Ben's, Ana's would be removed under it."""
    world, source, ana, ben = jobs("Ana")
    await world.settle()
    own, fields = event(ana)
    ben.put(own, title=fields["title"], when=fields["when"])
    ben.marks[own] = ana.marks[own]
    source.put("1", people=("Ana", "Ben"))
    assert await world.settle() == 0
    assert len(ben.show()) == 2
    source.put("1", people=("Ana",))
    assert await world.settle() == 0
    assert own in ben.show()


async def test_an_edit_at_the_source_is_one_update_of_the_same_event():
    world, source, ana, _ = jobs("Ana")
    await world.settle()
    id_, _ = event(ana)
    source.put("1", when=LATER, customer="Mu")
    await world.run()
    assert event(ana)[0] == id_
    assert event(ana)[1]["when"] == LATER
    assert event(ana)[1]["title"] == "J-1 Leak · Mu"
    assert [act for act, _ in ana.log].count("update") == 1
    assert await world.settle() == 0


@pytest.mark.behaviour("CAL-7")
async def test_a_technicians_move_reschedules_where_it_was_chosen():
    world, source, ana, ben = jobs("Ana", "Ben", two_way="reschedule")
    await world.settle()
    ana.put(event(ana)[0], when=LATER)
    assert await world.settle() == 0
    assert source.show()["1"]["when"] == LATER
    assert event(ben)[1]["when"] == LATER
    assert source.show()["1"]["status"] == "Sched."


@pytest.mark.behaviour("CAL-7")
@pytest.mark.parametrize("two_way", ["off", "ask"])
async def test_a_move_waits_for_the_dispatcher_unless_chosen(two_way):
    world, source, ana, _ = jobs("Ana", two_way=two_way)
    await world.settle()
    ana.put(event(ana)[0], when=LATER)
    assert await world.settle() == 0
    assert source.show()["1"]["when"] == WHEN
    assert ("drift", "when") in world.holds()
    world.answer("when", "restore")
    assert await world.settle() == 0
    assert event(ana)[1]["when"] == WHEN


async def test_an_accepted_move_reaches_the_appointment():
    world, source, ana, _ = jobs("Ana", two_way="ask")
    await world.settle()
    ana.put(event(ana)[0], when=LATER)
    await world.settle()
    world.answer("when", "accept")
    await world.settle()
    assert source.show()["1"]["when"] == LATER


@pytest.mark.behaviour("CAL-7")
async def test_a_record_that_becomes_private_loses_its_content_in_the_calendar():
    world, source, ana, _ = jobs("Ana")
    await world.settle()
    source.put("1", private=True)
    assert await world.settle() == 0
    _, fields = event(ana)
    assert fields["title"] == "Busy"
    assert fields["when"] == WHEN
    assert "Gate 7" not in str(fields)
    assert "Roe" not in str(fields)


@pytest.mark.behaviour("CAL-7")
async def test_two_way_calendars_copy_no_private_event_from_either_side():
    a, b = calendar("A"), calendar("B")
    world = Recipe("calendar-to-calendar", a, {"b": b}, two_way="on")
    a.put("1", title="Dentist", when=WHEN, private=True)
    b.put("2", title="Doctor", when=LATER, private=True)
    b.put("3", title="Lunch", when=LATER, private=False)
    assert await world.settle() == 0
    assert sorted(fields["title"] for fields in a.show().values()) == ["Dentist", "Lunch"]
    assert sorted(fields["title"] for fields in b.show().values()) == ["Doctor", "Lunch"]


async def test_one_way_calendars_show_a_private_event_as_busy():
    a, b = calendar("A"), calendar("B")
    world = Recipe("calendar-to-calendar", a, {"b": b})
    a.put("1", title="Dentist", notes="root", when=WHEN, private=True, busy=True)
    assert await world.settle() == 0
    _, fields = event(b)
    assert fields == {"title": "Busy", "when": WHEN, "busy": True, "private": True}


@pytest.mark.fault("F30")
async def test_an_unknown_status_waits_and_is_released_by_its_row():
    world, source, ana, _ = jobs("Ana")
    source.put("1", status="Rolling")
    await world.settle()
    assert ("status_unmapped", "status") in world.holds()
    assert "status" not in event(ana)[1]
    world.choose(**{'maps.status."Rolling"': "on_the_way"})
    await world.settle()
    assert event(ana)[1]["status"] == "on_the_way"
    assert world.holds() == []


async def test_a_visit_moved_in_the_calendar_loses_nothing_of_the_series():
    world, source, ana, _ = jobs("Ana", two_way="reschedule")
    rule = Rule(rrule=("FREQ=WEEKLY;COUNT=4",))
    exceptions = Occurrences(
        {"2026-12-09T09:00:00": Occurrence(fields={"customer": "Mu", "materials": "valve"})}
    )
    weekly = Timed(WHEN.start, NY, 3600, rule=rule)
    source.put("1", when=weekly, occurrences=exceptions)
    await world.settle()
    id_, fields = event(ana)
    shown = fields["occurrences"].by_start
    assert shown["2026-12-09T09:00:00"].fields["title"] == "J-1 Leak · Mu"
    moved = Occurrences({**shown, "2026-12-16T09:00:00": Occurrence(fields={"when": LATER})})
    ana.put(id_, occurrences=moved)
    assert await world.settle() == 0
    kept = source.show()["1"]["occurrences"].by_start
    assert kept["2026-12-09T09:00:00"] == exceptions.by_start["2026-12-09T09:00:00"]
    assert kept["2026-12-16T09:00:00"].fields == {"when": LATER}
