"""The capability table: made from the connectors, and the page that shows it."""

from dataclasses import replace
from pathlib import Path

import pytest

from truckroll.app.capabilities import LETTERS, installed, rows, sheet, table
from truckroll.app.systems import connector, systems

PAGE = (Path(__file__).parents[2] / "docs" / "connectors" / "README.md").read_text()
DONE, MISSING = {"status": "done", "proof": ["x"]}, {"status": "todo", "reason": "Not yet."}
RULES = {"listing-typed": DONE, "push": MISSING, "silent-writes": MISSING}


def with_resource(**changes):
    speaks = connector("file")
    resource = replace(speaks.resources["appointment"], **changes)
    return replace(speaks, resources={"appointment": resource})


def row(rules=None, **changes):
    (found,) = rows([(with_resource(**changes), {**RULES, **(rules or {})})])
    return found


def test_the_page_shows_the_table_that_the_connectors_make():
    start = PAGE.index("| system |")
    assert PAGE[start:] == table(installed())
    assert {one.system for one in installed()} == set(systems())


def test_each_page_is_named():
    for system in systems():
        assert f"({system}.md)" in PAGE


def test_the_letters_are_derived_from_what_the_connector_can_do():
    assert row().letters == "RCUXDQ"
    assert row(rules={"push": DONE}).letters == "RCUXPDQ"
    assert row(remove=None).letters == "RCUXDQ"
    assert row(cancel=None, remove=None, rules={"cancel": MISSING}).letters == "RCUDQ"
    told = row(notifies={"update": "the customer"})
    assert (told.letters, told.lacks["Q"]) == ("RCUXD", "Not yet.")
    chosen = row(notifies_by=lambda settings: {"update": settings.get("notify", "")})
    assert "Q" in chosen.letters


def test_each_absent_letter_has_its_reason():
    for one in installed():
        assert set(one.letters) | set(one.lacks) == set(LETTERS)
        assert all(reason.endswith(".") for reason in one.lacks.values())


def test_a_letter_that_is_absent_without_a_reason_is_an_error():
    with pytest.raises(KeyError, match="does not say why 'create' is absent"):
        row(create=None)


def test_how_a_write_meets_a_change_is_told():
    assert row().guard == "checked by the system"
    assert row(conditional=False).guard == "read just before and after"
    read_only = {"writes": frozenset(), "create": None, "update": None}
    reason = {"writes": {"status": "exempt", "reason": "It is read only."}}
    found = row(rules=reason, **read_only, cancel=None, remove=None)
    assert (found.letters, found.guard) == ("RD", "nothing is written")
    assert "C, U, X: It is read only." in table([found])


def test_a_sheet_is_found_beside_its_connector():
    assert sheet("file")["listing-typed"]["status"] == "done"
    assert sheet("google-workspace") == sheet("google-calendar")
