import tomllib

from hypothesis import given
from hypothesis import strategies as st

from truckroll.recipes import where
from truckroll.recipes.check import load

TEXT = '''# head
name = "x"
a.b = 1

[one]
  list = [
    "first",
    "second",
  ]
text = """
[not.a.table]
key = 3
"""
after = { inner = 1, other = "y" }

[[many]]
n = 1
[[many]]
n = 2
[many.sub]
deep = true
[[many.more]]
z = 1
[[many.more]]
z = 2
["quoted name"]
k = 1
'''


def test_every_path_has_its_line():
    data, places, slips = where.read(TEXT)
    assert slips == []
    assert data == tomllib.loads(TEXT)
    lines = {
        ("name",): 2,
        ("a", "b"): 3,
        ("one",): 5,
        ("one", "list"): 6,
        ("one", "list", 0): 7,
        ("one", "list", 1): 8,
        ("one", "text"): 10,
        ("one", "after"): 14,
        ("one", "after", "other"): 14,
        ("many", 0): 16,
        ("many", 0, "n"): 17,
        ("many", 1): 18,
        ("many", 1, "n"): 19,
        ("many", 1, "sub"): 20,
        ("many", 1, "sub", "deep"): 21,
        ("many", 1, "more", 0, "z"): 23,
        ("many", 1, "more", 1, "z"): 25,
        ("quoted name",): 26,
        ("quoted name", "k"): 27,
    }
    assert {path: places.line(path) for path in lines} == lines


def test_what_has_no_line_gets_that_of_what_is_around_it():
    _, places, _ = where.read(TEXT)
    assert places.line(("one", "after", "gone", 3)) == 14
    assert places.line(("nothing",)) == 1


@given(st.text(st.sampled_from("ab =.\"[]{}\n#'1,"), max_size=60))
def test_no_text_whatever_crashes_the_reading(text):
    data, _, slips = where.read(text)
    try:
        known = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assert slips
    else:
        assert (data, slips) == (known, [])


@given(st.text(max_size=80))
def test_no_text_whatever_crashes_the_check(text):
    assert isinstance(load(text, "x.toml"), list)
