"""follow: offers that a dispatcher reads in one look, takes by a code, and takes back."""

import re

from cli.conftest import MONDAY, job


def at_work(desk):
    desk.work(
        job("J-1033", hour=10, Title="Leak"),
        job("J-1042", hour=12),
        job("J-1051", hour=14),
        job("J-1077", who="", hour=16, Title="No heat"),
    )
    desk("apply")


def cancelled(desk):
    at_work(desk)
    desk.change("J-1033", Status="Cancelled")
    desk("apply")


def starts(desk):
    return {number: row["Start"][-5:] for number, row in desk.cells().items()}


def test_nothing_is_offered_where_nothing_happened(desk):
    at_work(desk)
    assert "nothing is offered" in desk.well("follow").out
    assert desk.well("follow", "--json").json == {"happened": [], "uncertain": []}


def test_an_offer_is_read_looked_at_taken_and_taken_back(desk):
    cancelled(desk)
    said = desk.well("follow").out
    day = f"{MONDAY:%a} {MONDAY.day} {MONDAY:%b}"
    assert f"{day}, Ana Ruiz: J-1033 Leak 10:00–11:00 was cancelled" in said
    code = re.search(r"a  (\w+)  move 2 later visits up", said)[1]
    assert "(J-1042 12:00→10:00, J-1051 14:00→12:00)" in " ".join(said.split())
    assert "b  " in said
    assert "give 10:00–11:00 to J-1077 No heat (unassigned, 60 min, 12 Elm St, the same place)" in (
        " ".join(said.split())
    )

    shown = desk.well("follow", "take", code, "--plan").out
    assert "nothing has been written" in shown
    assert "12:00–13:00 → 10:00–11:00" in shown
    assert starts(desk)["J-1042"] == "12:00"

    done = desk.well("follow", "take", code).out
    assert "4 writes" in done
    run = re.search(r"truckroll undo (\d+)", done)[1]
    assert (starts(desk)["J-1042"], starts(desk)["J-1051"]) == ("10:00", "12:00")
    assert "decided: moved up" in desk("why", "J-1042").out

    desk.well("undo", run)
    assert (starts(desk)["J-1042"], starts(desk)["J-1051"]) == ("12:00", "14:00")


def test_an_offer_that_is_not_there_any_more_is_refused(desk):
    cancelled(desk)
    (happened,) = desk.well("follow", "--json").json["happened"]
    code = happened["offers"][0]["code"]
    desk.change("J-1042", Start=f"{MONDAY} 13:00", End=f"{MONDAY} 14:00")
    ran = desk("follow", "take", code)
    assert ran.code == 2
    assert f'there is no offer "{code}" now' in ran.err
    assert starts(desk)["J-1051"] == "14:00"


def test_a_double_booking_is_told_with_who_else_and_when_else(desk):
    desk.work(
        job("J-1"),
        job("J-2"),
        job("J-3", who="Ben Cole", day=1),
        job("J-4", who="Chu Park"),
    )
    desk("apply")
    said = desk("conflicts").out
    assert re.search(r"free next: \w{3} \d+ \w{3} 10:00–11:00, ", said)
    assert "free then: Ben Cole" in said
