"""The words of folding: what a recipe may say, and what is a slip."""

import pytest

from truckroll.recipes.check import check, load
from truckroll.recipes.compile import compile_mirror
from truckroll.recipes.schema import Recipe

GOOD = """\
name = "customers"
title = "Customers"
version = 1
[maps.words]
unmapped = "hold"
words = { "x" = "y" }
[mirror.customers]
kind = "appointment"
fold = "contact.mail"
deletes = "propagate"
source_maps = { job_type = "words" }
[[mirror.customers.field]]
target = "title"
text = "{customer} {title}"
[[mirror.customers.field]]
target = "when"
from = "when"
fold = "earliest"
[[mirror.customers.field]]
target = "notes"
from = "notes"
fold = "list"
"""


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def slips(text):
    return [str(slip).removeprefix("my.toml:") for slip in check(text, "my.toml")]


def test_a_folding_mirror_knows_its_field_and_who_speaks():
    assert slips(GOOD) == []
    recipe = load(GOOD, "my.toml")
    assert isinstance(recipe, Recipe)
    mirror = compile_mirror(recipe, {})
    assert mirror.fold.by == "contact.mail"
    assert mirror.fold.rules == {"when": "earliest", "notes": "list"}
    plain = changed('fold = "contact.mail"\n', "").replace('fold = "earliest"', "")
    recipe = load(plain.replace('fold = "list"', ""), "my.toml")
    assert compile_mirror(recipe, {}).fold is None


@pytest.mark.parametrize(
    ("old", "new", "slip"),
    [
        ("contact.mail", "contact.mial", 'by "contact.mial"; did you mean "contact.mail"?'),
        ('fold = "contact.mail"', 'fold = "people"', 'cannot be put together by "people"'),
        ('fold = "contact.mail"', 'fold = "when"', 'cannot be put together by "when"'),
        ('fold = "contact.mail"', "fold = 7", '"fold" must be a text in quotes'),
        ('from = "when"\n', 'from = "when"\nboth = "newest"\n', "cannot be two-way"),
        ('deletes = "propagate"', 'deletes = "ask"\noriginates = "both"', "cannot take new records"),
        ('fold = "earliest"', 'fold = "earlyest"', 'did you mean "earliest"?'),
        ('fold = "earliest"', 'fold = "list"', '"when" cannot be a list'),
        ('"notes"\nfold', '"job_type"\nfold', "goes through a map"),
        ('"notes"\nfold', '"status"\nfold', '"status" cannot be a list'),
        ('from = "notes"\n', 'text = "{notes}"\n', 'only a line with "from" says'),
        ('fold = "list"', ('fold = "latest"\n[[mirror.customers.field]]\ntarget = "materials"\n'
         'from = "notes"\nfold = "list"'), '"notes" is "latest" in another line'),
        ('target = "notes"\nfrom = "notes"\nfold = "list"', ('target = "occurrences"\n'
         'from = "occurrences"\nfold = "earliest"'), '"occurrences" go with "when"'),
    ],
)  # fmt: skip
def test_slips_are_said_with_what_there_is_instead(old, new, slip):
    found = slips(changed(old, new))
    assert len(found) == 1, found
    assert slip in found[0]


def test_people_who_are_fanned_out_to_are_those_of_one_record():
    text = changed('kind = "appointment"', 'kind = "appointment"\nper = "people"')
    text = text.replace('target = "notes"\nfrom = "notes"', 'target = "people"\nfrom = "people"')
    (slip,) = slips(text)
    assert "the copies go to those of the record that speaks" in slip


def test_who_speaks_is_said_in_mirrors_that_fold_alone():
    found = slips(changed('fold = "contact.mail"\n', ""))
    assert len(found) == 2
    assert all('only in a mirror with a "fold"' in one for one in found)
