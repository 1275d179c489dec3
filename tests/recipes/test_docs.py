import re
from pathlib import Path

import pytest

from truckroll.recipes.check import check, load
from truckroll.recipes.compile import builtin, compile_mirror
from truckroll.recipes.reference import sections
from truckroll.recipes.schema import Recipe

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


def fenced(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_pieces_of_the_page_are_together_a_recipe_that_loads():
    recipe = load("\n".join(fenced("toml")), "page.toml")
    assert isinstance(recipe, Recipe), [str(slip) for slip in recipe]
    mirror = compile_mirror(recipe, {"two_way": "reschedule", "work": "Repair, Leak"})
    assert [name for name, _ in mirror.gates] == [
        "has_time",
        "assigned",
        "inside_window",
        "type_enabled",
    ]
    gate = dict(mirror.gates)["type_enabled"]
    assert gate({"job_type": "Leak"}, None) is None
    assert gate({"job_type": "Sales"}, None).reason == "type_not_enabled"
    call = next(line for line in mirror.lines["target"] if line.slot == "contact")
    assert call.render({}) is None


def test_the_folding_recipe_of_the_page_loads():
    (text,) = fenced("toml fold")
    recipe = load(text, "page.toml")
    assert isinstance(recipe, Recipe), [str(slip) for slip in recipe]
    assert compile_mirror(recipe, {}).fold.rules == {"number": "list"}


def test_the_slips_are_what_the_check_says():
    (bad,) = fenced("toml slips")
    (said,) = fenced("text")
    assert said.splitlines() == [str(slip) for slip in check(bad, "my.toml")]


def test_the_python_of_the_page_runs():
    (code,) = fenced("python")
    names = {}
    exec(code, names)
    assert names["nearby"]({"location": None}, None, city="Austin").reason == "too_far"


@pytest.mark.parametrize("name", list(sections()))
def test_the_reference_is_what_the_code_says(name):
    found = re.search(rf"<!-- {name} -->\n\n(.*?)\n\n<!-- end -->", PAGE, re.DOTALL)
    assert found, f"docs/recipes.md has no section <!-- {name} -->"
    assert found[1] == sections()[name]


def test_the_commands_of_the_page_name_choices_that_there_are():
    recipe = load("\n".join(fenced("toml")), "page.toml")
    for key, value in re.findall(r"recipe set visits-to-calendars '?([^\s=]+)=(\w+)", PAGE):
        compile_mirror(recipe, {key: value})


def test_every_shipped_recipe_is_named_on_the_page():
    assert "appointments-to-calendars" in PAGE
    assert set(builtin()) == {"appointments-to-calendars", "calendar-to-calendar"}
