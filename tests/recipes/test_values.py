import pytest

from truckroll.model.records import STATUSES
from truckroll.recipes.mirror import Problem
from truckroll.recipes.schema import ValueMap
from truckroll.recipes.values import backward, forward, reversible, with_rows

TABLE = ValueMap("status", {"Sched.": "scheduled", "Gone": "cancelled"}, "hold")


def carry(value, table=TABLE):
    return forward(table, "status", "visits")(value)


def test_words_are_read_in_any_case_and_spacing():
    assert carry("Sched.") == carry("SCHED.") == carry("  sched. ") == "scheduled"


def test_case_counts_where_the_map_says_so():
    table = ValueMap("status", {"S": "scheduled", "s": "done"}, "hold", ignore_case=False)
    assert (carry("S", table), carry("s", table)) == ("scheduled", "done")


@pytest.mark.parametrize("word", STATUSES)
def test_the_hubs_own_words_need_no_row(word):
    assert carry(word) == word


def test_a_row_goes_before_the_hubs_own_word():
    assert carry("done", ValueMap("status", {"done": "working"}, "hold")) == "working"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_nothing_stays_the_nothing_that_it_is(value):
    assert carry(value) == value


@pytest.mark.fault("F30")
def test_an_unknown_word_is_held_with_the_command_that_adds_it():
    problem = carry("On way")
    assert isinstance(problem, Problem)
    assert problem.reason == "status_unmapped"
    assert problem.detail == 'the status "On way" has no meaning in the map "status"'
    assert problem.release == (
        "say what it means, for instance:  "
        "truckroll recipe set visits 'maps.status.\"On way\"=on_the_way'"
    )
    assert carry("On way", with_rows(TABLE, {"On way": "on_the_way"})) == "on_the_way"


def test_a_map_may_leave_unknown_words_alone():
    problem = carry("Foo", ValueMap("status", {}, "skip"))
    assert isinstance(problem, Problem)
    assert (problem.reason, problem.release) == ("status_unmapped", "")


def test_a_map_may_give_unknown_words_one_meaning():
    assert carry("Foo", ValueMap("status", {}, "tentative")) == "tentative"


def test_back_goes_the_first_word_that_means_it():
    table = ValueMap("status", {"Sched.": "scheduled", "Planned": "scheduled"}, "hold")
    back = backward(table, "status")
    assert back("scheduled") == "Sched."
    assert back("done") == "done"
    assert back(None) is None
    assert not reversible(table)
    assert reversible(TABLE)


def test_a_meaning_without_word_is_a_problem_where_the_list_is_the_systems():
    found = backward(ValueMap("colours", {"Red": "urgent"}, "hold"), "category")("calm")
    assert isinstance(found, Problem)
    assert found.reason == "category_unmapped"
