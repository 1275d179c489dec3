import pytest

from truckroll.model.records import Address, Contact
from truckroll.recipes import transforms as t
from truckroll.recipes.transforms import TRANSFORMS


@pytest.mark.parametrize(
    ("call", "value", "settings", "expected"),
    [
        (
            t.one_line_address,
            Address(line1="12 Elm St", city="Austin", state="TX", postal="78701"),
            {},
            "12 Elm St, Austin, TX 78701",
        ),
        (t.one_line_contact, Contact("Jane", "55"), {}, "Jane · 55"),
        (t.phone_only, Contact("Jane", "55"), {}, "55"),
        (t.sentence, ("Ana", "Ben", "Chu"), {}, "Ana, Ben and Chu"),
        (t.sentence, ("Ana",), {}, "Ana"),
        (t.sentence, (), {}, ""),
        (t.sentence, ("Ana", "Ben"), {"last": "y"}, "Ana y Ben"),
        (t.prefix, "igniter", {"text": "Bring: "}, "Bring: igniter"),
        (t.prefix, "", {"text": "Bring: "}, ""),
        (t.suffix, "2", {"text": " h"}, "2 h"),
        (t.first_line, "\n  Leak \nmore", {}, "Leak"),
        (t.one_line, "a\n  b", {}, "a b"),
        (t.shorten, "Boiler service", {"length": 10}, "Boiler…"),
        (t.shorten, "Boiler", {"length": 10}, "Boiler"),
        (t.shorten, "Boilerservice", {"length": 5}, "Boil…"),
        (
            t.strip_html,
            "<p>Gate&nbsp;7 &amp; dog</p><ul><li>a</li><li>b</li></ul><script>x()</script>",
            {},
            "Gate 7 & dog\na\nb",
        ),
        (t.strip_html, "a < b", {}, "a < b"),
        (t.first_name, "Ana Ruiz", {}, "Ana"),
        (t.first_name, "Ruiz, Ana", {}, "Ana"),
        (t.first_name, "", {}, ""),
        (t.initials, "Ana Ruiz", {}, "AR"),
        (t.upper, "a", {}, "A"),
        (t.lower, "A", {}, "a"),
        (t.capital, "leak IN cellar", {}, "Leak IN cellar"),
        (t.opposite, True, {}, False),
    ],
)
def test_a_transform_does_what_it_says(call, value, settings, expected):
    assert call(value, **settings) == expected


def test_every_transform_is_tried_here():
    tried = {
        mark.args[1][i][0]
        for mark in test_a_transform_does_what_it_says.pytestmark
        for i in range(len(mark.args[1]))
    }
    assert set(TRANSFORMS.values()) <= tried
