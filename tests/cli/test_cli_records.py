"""why and holds: the questions of a dispatcher, and the answers."""

import pytest

from cli.conftest import MONDAY, job

MOVED = f"{MONDAY:%Y%m%d}T090000", f"{MONDAY:%Y%m%d}T110000"
ENDED = f"{MONDAY:%Y%m%d}T100000", f"{MONDAY:%Y%m%d}T120000"


def moved_by_hand(desk):
    desk.work(job("J-1"), choices=("two_way=ask",))
    desk.well("apply")
    desk.move("ana", "J-1", *MOVED)
    desk.move("ana", "J-1", *ENDED)


@pytest.mark.behaviour("CAL-7")
def test_a_move_by_hand_waits_and_is_written_back_when_accepted(desk):
    moved_by_hand(desk)
    plan = desk("plan")
    assert plan.code == 1
    assert "changed by hand in the calendar “Ana Ruiz”" in plan.out
    assert "truckroll holds --accept J-1    or    truckroll holds --restore J-1" in plan.out
    assert desk.cells()["J-1"]["Start"].endswith("09:00")
    desk.well("holds", "--accept", "J-1")
    desk.well("apply")
    assert desk.cells()["J-1"]["Start"] == f"{MONDAY} 11:00"
    assert "0 writes" in desk.well("apply").out


def test_a_move_by_hand_is_put_back_when_restored(desk):
    moved_by_hand(desk)
    assert desk("apply").code == 1
    listed = desk("holds")
    assert listed.code == 1
    assert "drift: 1 record" in listed.out
    assert "since" in listed.out
    (held,) = desk("holds", "--json").json["holds"]
    assert (held["hold"]["ref"], held["hold"]["field"]) == ("J-1", "when")
    answered = desk.well("holds", "--restore", "J-1", "--field", "when", "--json").json
    assert answered["answered"][0]["answer"] == "restore"
    desk.well("apply")
    assert MOVED[0] in next(iter(desk.events().values()))
    assert desk.well("holds").out.strip() == "nothing waits"


def test_an_edit_that_stays_is_asked_about_once(desk):
    moved_by_hand(desk)
    desk("plan")
    desk.well("holds", "--keep", "J-1")
    desk.well("apply")
    assert MOVED[1] in next(iter(desk.events().values()))
    assert desk.cells()["J-1"]["Start"].endswith("09:00")
    assert desk.well("plan", "--json").json["writes"] == 0


def test_a_title_that_is_made_of_several_fields_cannot_be_taken_over(desk):
    desk.work(job("J-1"))
    desk.well("apply")
    desk.move("ana", "J-1", "Boiler service", "Boiler gone")
    desk("plan")
    refused = desk("holds", "--accept", "J-1")
    assert refused.code == 2
    assert "is made of several fields" in refused.err
    assert "--restore or --keep" in refused.err
    desk.well("holds", "--restore", "J-1")
    desk.well("apply")
    assert "Boiler service" in next(iter(desk.events().values()))


def test_answers_to_what_does_not_wait_say_so(desk):
    desk.work(job("J-1"), job("J-2", "Nobody Known"))
    desk("apply")
    assert desk("holds", "--accept", "J-1").err == "nothing of J-1 waits\n"
    other = desk("holds", "--accept", "J-2")
    assert other.code == 2
    assert "nobody said which calendar is Nobody Known's" in other.err
    assert 'truckroll people map "Nobody Known"' in other.err
    assert desk("holds", "--accept", "J-9").code == 2


@pytest.mark.fault("F30")
def test_why_names_the_cause_and_the_release_and_it_goes_by_itself(desk):
    desk.work(job("J-1", "Benny"))
    desk("apply")
    why = desk("why", "J-1")
    assert why.code == 1
    assert "J-1 Boiler service" in why.out
    assert "the table “jobs.csv”" in why.out
    assert "nobody said which calendar is Benny's" in why.out
    assert "It will go" in why.out
    desk.well("people", "map", "Benny", "field/Ben Cole")
    desk.well("apply")
    assert len(desk.events("ben")) == 1
    now = desk.well("why", "j-1")
    assert "everything of it is in step" in now.out
    assert "(run 2)" in now.out
    (told,) = desk.well("why", "J-1", "--json").json["records"]
    assert [place["here"] for place in told["places"]] == [True, True]


def test_why_tells_of_what_was_never_linked_and_of_what_was_never_heard_of(desk):
    desk.work(job("J-1001"), job("J-1002", Start="next week"))
    desk("apply")
    unreadable = desk("why", "J-1002")
    assert "row 3, column Start: 'next week' is not a date" in unreadable.out
    assert unreadable.code == 1
    never = desk("why", "J-101")
    assert never.code == 2
    assert "Truckroll never heard of “J-101”. Did you mean J-1001" in never.err
    by_title = desk.well("why", "boiler")
    assert "J-1001 Boiler service" in by_title.out


def test_why_asks_which_where_several_fit(desk):
    desk.work(job("J-1"), job("J-2", hour=13))
    desk.well("apply")
    several = desk("why", "boiler")
    assert several.code == 2
    assert "J-1 · Boiler service" in several.out
    assert "J-2 · Boiler service" in several.out


def test_why_tells_what_the_next_pass_will_do(desk):
    desk.work(job("J-1"))
    desk.well("apply")
    desk.change("J-1", Start=f"{MONDAY} 11:00", End=f"{MONDAY} 12:00")
    desk.well("plan")
    said = desk.well("why", "J-1").out
    assert "update in the calendar “Ana Ruiz”: moved in the table “jobs.csv”" in said
