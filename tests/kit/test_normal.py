from datetime import date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from truckroll.kit.normal import EVENT_STATUS, LOSSLESS, Stored, explains, html_to_text, stored
from truckroll.model.records import Address, Contact, Occurrence, Occurrences
from truckroll.model.time import AllDay, Rule, Timed

texts = st.text(max_size=60) | st.text(
    alphabet="ab <>/&;pbr#12\r\n\t😀👍🏽é\u0301ßİΣ☎\ufe0f\u200d", max_size=30
)
whens = st.builds(
    Timed,
    start=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)),
    zone=st.sampled_from(["America/New_York", "Europe/Berlin", "UTC"]),
    seconds=st.integers(0, 200_000),
    days=st.integers(0, 3),
    rule=st.none() | st.just(Rule(("FREQ=DAILY",))),
)
occurrences = st.dictionaries(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)).map(
        lambda at: at.replace(second=0, microsecond=0).isoformat()
    ),
    st.builds(Occurrence, cancelled=st.booleans(), fields=st.fixed_dictionaries({"when": whens})),
    max_size=3,
).map(Occurrences)
values = st.one_of(
    texts,
    st.none(),
    st.booleans(),
    st.integers(),
    st.lists(texts, max_size=4).map(tuple),
    st.builds(Address, text=texts, line1=texts, city=texts, latitude=st.none() | st.just(1.5)),
    st.builds(Contact, name=texts, phone=texts, mail=texts),
    whens,
    occurrences,
)
hows = st.builds(
    Stored,
    limit=st.none() | st.integers(1, 40),
    **{
        name: st.booleans()
        for name in Stored.__struct_fields__
        if name not in {"limit", "words", "default"}
    },
)


@pytest.mark.fault("F35")
@given(hows, values)
def test_storing_what_is_stored_changes_nothing(how, value):
    once = stored(how, value)
    assert stored(how, once) == once


@pytest.mark.fault("F35")
@given(hows, values)
@example(Stored(as_text=True, omits_empty=True), Address(latitude=1.5))
@example(Stored(trim=True, lower=True), " <\u0130>")
def test_what_a_declared_form_makes_of_a_value_is_explained(how, value):
    assert explains(value, stored(how, value)) is not None


@given(values)
def test_a_lossless_system_keeps_everything(value):
    assert stored(LOSSLESS, value) == value
    assert explains(value, value) == "same"


@pytest.mark.parametrize(
    ("how", "sent", "kept"),
    [
        (Stored(limit=6), "Hello world", "Hello "),
        (Stored(limit=6, trim=True), "Hello world", "Hello"),
        (Stored(trim=True), "  a \n", "a"),
        (Stored(lower=True), "Ab", "ab"),
        (Stored(no_emoji=True), "Gate 7 👍🏽 ok ❤️!", "Gate 7  ok !"),
        (Stored(no_emoji=True), "Call ☎ now", "Call ☎ now"),
        (Stored(plain=True), "<p>a &amp; b</p><p>c<br>d</p>", "a & b\nc\nd\n"),
        (Stored(plain=True), "if 1 < 2 then", "if 1 < 2 then"),
        (Stored(limit=2), ("abc", "d"), ("ab", "d")),
        (Stored(as_text=True), Address(line1="1 Main", city="Reno"), Address(text="1 Main, Reno")),
        (Stored(as_text=True, limit=6), Address(line1="1 Main"), Address(text="1 Main")),
        (Stored(as_text=True), Contact("Ann", "123"), Contact("Ann · 123")),
        (Stored(omits_empty=True), "", None),
        (Stored(omits_empty=True), (), None),
        (Stored(omits_empty=True, trim=True), "  ", None),
        (Stored(omits_empty=True), Address(), None),
        (Stored(omits_empty=True), False, False),
        (EVENT_STATUS, "working", "confirmed"),
        (EVENT_STATUS, "tentative", "tentative"),
        (
            Stored(minutes=True),
            Timed(datetime(2026, 3, 1, 9, 0, 40), "UTC", seconds=100),
            Timed(datetime(2026, 3, 1, 9, 0), "UTC", seconds=120),
        ),
        (
            Stored(minutes=True),
            AllDay(date(2026, 3, 1), date(2026, 3, 2)),
            AllDay(date(2026, 3, 1), date(2026, 3, 2)),
        ),
    ],
)
def test_each_form_is_what_it_says(how, sent, kept):
    assert stored(how, sent) == kept
    assert how.words or explains(sent, kept) is not None


@pytest.mark.fault("F35")
@pytest.mark.parametrize("nothing", [None, ""])
def test_a_default_stands_for_nothing_in_a_system_that_shows_it(nothing):
    assert stored(EVENT_STATUS, nothing) == "confirmed"
    assert stored(Stored(), nothing) == nothing


NINE = Timed(datetime(2026, 3, 2, 9, 0, 40), "America/New_York", seconds=3600)


@pytest.mark.fault("F35")
@pytest.mark.parametrize(
    ("sent", "back", "name"),
    [
        ("a", "a", "same"),
        ("", None, "empty"),
        (None, (), "empty"),
        ("a\nb", "a\r\nb\r\n", "line ends"),
        (" a ", "a", "trimmed"),
        ("a  b", "a b", "spaces"),
        ("caf\u00e9", "cafe\u0301", "unicode form"),
        ("Done", "DONE", "case"),
        ("(212) 555-0100", "+1 212 555 0100", "phone form"),
        ("0170 1234567", "+49 170 1234567", "phone form"),
        ("<b>a</b> b", "a b", "html"),
        ("a & b", "<p>a &amp; b</p>", "html"),
        ("a 👍", "a", "emoji lost"),
        ("a 👍 b", "a ? b", "emoji lost"),
        ("x" * 300, "x" * 255, "cut"),
        ("Hello world", "Hello…", "cut"),
        ("Hello  WORLD 👍 and more", "hello world", "text form"),
        (("a", "b"), ("b", "a"), "order"),
        (("A", "b"), ("a", "b"), "parts"),
        (Address(line1="1 Main", city="Reno"), Address(text="1 Main, Reno"), "one line"),
        (Address(text="1 Main", latitude=1.0), Address(text="1 Main"), "one line"),
        (Contact("Ann", "(212) 555-0100"), Contact("Ann", "+12125550100"), "parts"),
        (NINE, Timed(datetime(2026, 3, 2, 9, 0), "America/New_York", seconds=3600), "rounded"),
        (NINE, Timed(datetime(2026, 3, 2, 9, 1), "US/Eastern", seconds=3600), "rounded"),
        (NINE, Timed(datetime(2026, 3, 2, 14, 0, 40), "UTC", seconds=3600), "same"),
    ],
)
def test_each_explanation_has_its_name(sent, back, name):
    assert explains(sent, back) == name


@pytest.mark.fault("F35")
@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ("done", None),
        ("done", ""),
        ("done", "scheduled"),
        ("gate 7", "gate 8"),
        ("Hello", "Hello world"),
        ("call 212 555 0100", "call 212 555 0199"),
        ("212 555 0100", "212 555 0199"),
        ("5550100", "100"),
        (("a", "b"), ("a",)),
        (("a",), ("b",)),
        (Address(text="1 Main"), Address(text="2 Main")),
        (Address(text="1 Main"), None),
        (Contact("Ann"), Contact("Bob")),
        (NINE, Timed(datetime(2026, 3, 2, 10, 0), "America/New_York", seconds=3600)),
        (NINE, Timed(datetime(2026, 3, 2, 9, 0), "America/New_York", seconds=7200)),
        (NINE, AllDay(date(2026, 3, 2), date(2026, 3, 3))),
        (True, False),
        (3, 4),
        (Occurrences({"2026-03-02": Occurrence(cancelled=True)}), Occurrences({})),
    ],
)
def test_nothing_else_is_explained(sent, back):
    assert explains(sent, back) is None


def test_a_system_with_fewer_words_keeps_one_for_another():
    how = Stored(words=(("working", "confirmed"), ("done", "confirmed")))
    assert [stored(how, word) for word in ("working", "done", "confirmed", "tentative")] == [
        "confirmed",
        "confirmed",
        "confirmed",
        "tentative",
    ]


def test_markup_is_dropped_in_linear_time():
    html_to_text("<script" * 200_000)
    html_to_text("<a " * 200_000 + ">")
    assert html_to_text("a<style>p{}</style><script>x<1</script>b") == "ab"


def test_lossy_is_told_from_lossless():
    assert not Stored().lossy
    assert Stored(limit=255).lossy


def test_a_series_in_another_zone_is_another_series():
    series = Timed(datetime(2026, 3, 2, 9), "America/New_York", 3600, rule=Rule(("FREQ=DAILY",)))
    moved = Timed(datetime(2026, 3, 2, 14), "UTC", 3600, rule=Rule(("FREQ=DAILY",)))
    assert explains(series, moved) is None
    assert timedelta(seconds=3600) == series.ends - series.begins
