"""The benches run, on sizes that take no time; no duration is asserted."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import bare, calendars, events, figures, growth, planning, rows, vendors
from support import servers


def test_events_are_the_same_each_time_and_of_all_sorts():
    texts = events.events(60)
    assert [text.split("DTSTAMP")[0] for text in texts.values()] == [
        text.split("DTSTAMP")[0] for text in events.events(60).values()
    ]
    assert any("VALUE=DATE" in text for text in texts.values())
    assert any("RRULE:FREQ=WEEKLY" in text for text in texts.values())
    assert "(edit 7)" in events.edited(texts["visit-00001.ics"], 7)


def test_planning_is_measured_on_links_that_are_new_and_on_links_in_step():
    new, same, alone, *both = planning.figures(count=20, rounds=1)
    assert new.asks == same.asks == alone.asks == "≥ 20,000/s"
    assert all(one.ratio > 0 for one in (new, *both))


def test_links_in_step_are_decoded_from_their_rows():
    link = planning.fresh(7, planning.appointment(7))
    made = planning.settled(7, planning.plan_link(link, planning.context(planning.mirror())))
    again = planning.decoded(planning.stored(made))
    assert again == made
    assert again.ends[1].given is not again.ends[1].shown


@pytest.mark.skipif("vdirsyncer" not in figures.versions("vdirsyncer"), reason="no vdirsyncer")
def test_both_sides_and_the_bare_loop_write_the_same():
    found, bench = calendars.on(
        servers.radicale, count=calendars.EDITS, pairs=1, rounds=1, peer=sys.executable
    )
    assert bench.counts["none ours"] == [2]
    assert bench.counts["edits ours"] == [22]
    assert bench.counts["initial bare"] == [calendars.EDITS]
    assert len(found) == 10


def test_the_bare_loop_finds_the_token_of_a_list():
    assert bare._TOKEN.findall("<D:sync-token>t1</D:sync-token>") == ["t1"]
    assert bare._TOKEN.findall("<sync-token>t2</sync-token>") == ["t2"]


def test_the_hub_and_the_bare_loop_fill_the_same_calendars():
    found = vendors.figures(visits=40, technicians=4, rounds=1)
    assert [one.what.split(",")[0] for one in found][-1] == "no change"
    assert len(found) == 5


def test_a_pass_is_measured_at_each_size():
    found = growth.measure([1000, 2000], 1)
    assert list(found) == [1000, 2000]
    assert all(len(passes) == 1 for passes in found.values())


async def test_the_bare_rows_are_those_of_the_store(database_url, tmp_path):
    (line,) = await rows.figures(database_url, tmp_path, count=40, rounds=1)
    assert line.what.startswith("store")


def test_a_missed_goal_is_said(tmp_path):
    lines = [
        figures.Figure("a", "1 s", "2 s", 0.5, 1.0),
        figures.Figure("b", "3 s", "2 s", 1.5, 1.0),
        figures.Figure("c", "9/s", "8/s", 1.1, 0.5, least=True),
        figures.Figure("d", "9/s", "8/s", 1.1),
    ]
    assert [one.met for one in lines] == [True, False, True, None]
    page = tmp_path / "page.md"
    page.write_text("head\n<!-- figures: x -->\nold\n<!-- figures: end of x -->\ntail\n")
    figures.keep("x", figures.table(lines), page)
    text = page.read_text()
    assert text.startswith("head\n")
    assert text.endswith("tail\n")
    assert "old" not in text
    assert "✗" in text
    with pytest.raises(ValueError, match="no place for y"):
        figures.keep("y", "", page)
