from importlib import metadata
from importlib.metadata import EntryPoint

import pytest

from truckroll.recipes import functions
from truckroll.recipes.check import check, load
from truckroll.recipes.compile import compile_mirror
from truckroll.recipes.mirror import GateContext, Problem


def nearby(fields, ctx: GateContext, *, city: str) -> Problem | None:
    """Let only visits in one city through."""
    return None if fields.get("city") == city else Problem("too_far", f"it is not in {city}")


def untyped(fields, ctx, *, city):
    """Say nothing about types."""


def has_time(fields, ctx: GateContext) -> Problem | None:
    """Try to take the place of a built-in gate."""
    return Problem("mine", "mine")


@pytest.fixture
def own(monkeypatch):
    here = __name__
    points = [
        EntryPoint("nearby", f"{here}:nearby", "truckroll.gates"),
        EntryPoint("untyped", f"{here}:untyped", "truckroll.gates"),
        EntryPoint("broken", "no_such_module_anywhere:x", "truckroll.gates"),
        EntryPoint("has_time", f"{here}:has_time", "truckroll.gates"),
    ]

    monkeypatch.setattr(
        metadata, "entry_points", lambda group: [p for p in points if p.group == group]
    )
    functions.find.cache_clear()
    yield
    functions.find.cache_clear()


def recipe(gate):
    return f"""
name = "x"
title = "X"
version = 1
[mirror.m]
kind = "appointment"
deletes = "ask"
gates = [{gate}]
[[mirror.m.field]]
target = "title"
from = "title"
"""


def test_a_gate_of_an_entry_point_is_used_with_its_settings(own):
    mirror = compile_mirror(load(recipe('{ gate = "nearby", city = "Austin" }'), "x"), {})
    ((name, gate),) = [one for one in mirror.gates if one[0] == "nearby"]
    assert name == "nearby"
    assert gate({"city": "Austin"}, None) is None
    assert gate({"city": "Waco"}, None) == Problem("too_far", "it is not in Austin")


def test_its_settings_are_checked_like_any(own):
    (slip,) = check(recipe('{ gate = "nearby", city = 3 }'), "x.toml")
    assert str(slip) == 'x.toml:8  "city" must be a text'
    (slip,) = check(recipe('"nearb"'), "x.toml")
    assert 'did you mean "nearby"?' in slip.text


def test_one_that_cannot_be_loaded_or_says_no_types_is_a_slip(own):
    (slip,) = check(recipe('"broken"'), "x.toml")
    assert "could not be loaded from no_such_module_anywhere:x" in slip.text
    (slip,) = check(recipe('"untyped"'), "x.toml")
    assert 'the gate "untyped" does not say its types' in slip.text


def test_a_built_in_gate_is_not_replaced(own):
    mirror = compile_mirror(load(recipe('"has_time"'), "x"), {})
    problem = dict(mirror.gates)["has_time"]({}, None)
    assert problem.reason == "no_time"
