"""How steps are shown: arrows, visits of a series, notes."""

from datetime import date

import pytest

from truckroll.app.demo import clock_change
from truckroll.app.views import FieldView, _field_view
from truckroll.cli.parser import pairs
from truckroll.cli.told import _field
from truckroll.model.records import Occurrence, Occurrences


def visits(**by_start):
    return Occurrences({f"2026-12-{day[1:]}T09:00:00": one for day, one in by_start.items()})


def test_only_the_visits_that_differ_are_shown():
    gone, renamed = Occurrence(cancelled=True), Occurrence(fields={"title": "Boiler"})
    shown = _field_view(visits(d08=gone), visits(d08=gone, d15=renamed, d22=gone))
    assert shown == FieldView(
        "Tue 15 Dec as usual; Tue 22 Dec as usual", "Tue 15 Dec: title Boiler; Tue 22 Dec cancelled"
    )
    assert _field_view(visits(d08=gone), visits()).new == "Tue 8 Dec as usual"


@pytest.mark.parametrize(
    ("slot", "old", "new", "said"),
    [
        ("when", "Tue 1 Dec 09:00–10:00", "Tue 1 Dec 10:00–11:00", "Tue 1 Dec 09:00–10:00 → 10:00–11:00"),
        ("when", "Tue 1 Dec 09:00–10:00", "Wed 2 Dec 09:00–10:00", "Tue 1 Dec 09:00–10:00 → Wed 2 Dec 09:00–10:00"),
        ("when", "", "Wed 2 Dec 09:00–10:00", "no time → Wed 2 Dec 09:00–10:00"),
        ("status", "scheduled", "done", "status scheduled → done"),
        ("location", "", "12 Elm St", "+ location 12 Elm St"),
        ("location", "12 Elm St", "", "- location 12 Elm St"),
        ("notes", "Bring: hose\nCrew: Ana", "Crew: Ana", "- Bring: hose"),
        ("notes", "\n".join("abcd"), "\n".join("efgh"), "notes rewritten"),
    ],
)  # fmt: skip
def test_a_field_is_said_as_what_changed(slot, old, new, said):
    assert _field(slot, FieldView(old, new)).replace("\xa0", " ") == said


def test_key_value_words():
    words = ["two_way=ask", 'maps.status."a=b"=done', 'columns={"start": "Begin=x"}', "note="]
    assert pairs(words) == {
        "two_way": "ask",
        'maps.status."a=b"': "done",
        "columns": '{"start": "Begin=x"}',
        "note": "",
    }
    for wrong in ("two_way", "=ask"):
        with pytest.raises(ValueError, match=wrong):
            pairs([wrong])


def test_the_samples_night_is_one_in_which_the_clocks_change():
    assert clock_change(date(2026, 6, 1)) == date(2026, 11, 1)
    assert clock_change(date(2026, 11, 30)) == date(2027, 3, 14)
