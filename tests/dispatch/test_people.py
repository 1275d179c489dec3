import pytest

from truckroll.dispatch.people import Calendar, ambiguous, suggest

ANA = Calendar(1, "Ana Ruiz", "ana@acme.example")
BEN = Calendar(2, "Jobs", "Ben Cole")
MIKE_D = Calendar(3, "work", "mike.d@acme.example")
MIKE_S = Calendar(4, "work", "mike.s@acme.example")
ALL = [ANA, BEN, MIKE_D, MIKE_S]


def one(person, calendars=ALL):
    found = suggest([person], calendars)
    assert len(found) == 1, found
    return found[0].calendar.scope, found[0].sure, found[0].why


@pytest.mark.parametrize(
    "person", ["ana@acme.example", "ANA@Acme.example", "Ana <ana@acme.example>"]
)
def test_the_same_mail_address_is_sure(person):
    assert one(person) == (1, True, "same mail address")


@pytest.mark.parametrize("person", ["Ana Ruiz", "ana ruiz", "Ruiz, Ana", "Ána Ruíz"])
def test_the_same_name_is_sure_in_any_order_case_and_accents(person):
    assert one(person) == (1, True, "same name")


def test_the_owners_name_counts_like_the_title():
    assert one("Ben Cole") == (2, True, "same name")


@pytest.mark.parametrize(
    "title", ["Ana Ruiz's calendar", "Ana Ruiz’s schedule", "Calendar of Ana Ruiz"]
)
def test_a_title_around_the_name_does_not_hide_it(title):
    assert one("Ana Ruiz", [Calendar(7, title)]) == (7, True, "same name")


@pytest.mark.parametrize("person", ["Ana R.", "A. Ruiz"])
def test_an_initial_is_a_guess_that_a_person_confirms(person):
    assert one(person) == (1, False, "same name but for an initial")


def test_a_mail_address_that_reads_like_the_name_is_a_guess():
    calendar = Calendar(8, "work", "dee.fox@acme.example")
    assert one("Dee Fox", [calendar]) == (8, False, "the mail address reads like the name")


def test_a_given_name_alone_is_a_guess():
    assert one("Ana") == (1, False, "same given name")


def test_two_calendars_for_one_name_are_both_listed_and_neither_is_taken():
    found = suggest(["Mike"], ALL)
    assert [(s.calendar.scope, s.sure) for s in found] == [(3, False), (4, False)]
    problem = ambiguous("Mike", found)
    assert problem is not None
    assert problem.reason == "person_ambiguous"
    assert problem.detail == (
        'it is assigned to "Mike", and two calendars belong to somebody of that name: '
        "mike.d@acme.example, mike.s@acme.example"
    )
    assert (
        problem.release
        == 'as soon as you say which:  truckroll people map "Mike" mike.d@acme.example'
    )


def test_a_bare_name_is_not_sure_beside_a_fuller_one():
    calendars = [Calendar(1, "Mike"), Calendar(2, "Mike Davis")]
    assert [s.sure for s in suggest(["Mike"], calendars)] == [False, False]
    assert one("Mike", calendars[:1]) == (1, True, "same name")


def test_two_calendars_of_one_owner_are_a_question():
    both = [Calendar(1, "Jobs", "ana@acme.example"), Calendar(2, "Private", "ana@acme.example")]
    assert [s.sure for s in suggest(["ana@acme.example"], both)] == [False, False]


def test_one_calendar_for_two_different_people_is_sure_for_neither():
    shared = Calendar(1, "Ben Cole", "Ana Ruiz")
    assert [s.sure for s in suggest(["Ana Ruiz", "Ben Cole"], [shared])] == [False, False]
    assert [s.sure for s in suggest(["Ana Ruiz", "Ruiz, Ana"], [shared])] == [True, True]


def test_a_stranger_gets_no_suggestion_and_no_problem():
    found = suggest(["Zoë Quinn", "", "x"], ALL)
    assert found == []
    assert ambiguous("Zoë Quinn", found) is None
