"""timetable, and now, as people type them."""

from cli.conftest import job


def test_a_row_is_set_shown_and_taken_out(desk):
    desk.work(job("J-1"))
    assert "the timetable is empty" in desk.well("timetable", "list").out
    said = desk.well(
        "timetable", "set", "--cron", "0 6 * * mon-fri", "--complete", "--zone", "Europe/Berlin"
    )
    assert "0 6 * * mon-fri (Europe/Berlin)" in said.out
    assert "read completely, next" in said.out
    shift = desk.well("timetable", "set", "--shift", "mon-sun 07:30", "--person", "Ana Ruiz").out
    assert "Ana Ruiz's shift, mon-sun 07:30 (America/New_York)" in shift
    rows = desk.well("timetable", "list", "--json").json["rows"]
    assert sorted(one["kind"] for one in rows) == ["cron", "shift"]
    for one in rows:
        desk.well("timetable", "remove", str(one["id"]))
    assert desk.well("timetable", "list", "--json").json["rows"] == []


def test_what_cannot_be_is_said_in_a_sentence(desk):
    desk.work(job("J-1"))
    wrong = desk("timetable", "set", "--minutes", "75")
    assert (wrong.code, wrong.err.strip()) == (
        2,
        "“75” is no schedule: write minutes of an hour, as 3,18,33,48",
    )
    assert "say whose shift it is" in desk("timetable", "set", "--shift", "mon 7:00").err
    assert (
        "is no IANA zone" in desk("timetable", "set", "--minutes", "5", "--zone", "Mars/Base").err
    )
    assert "has no row 99" in desk("timetable", "remove", "99").err
    assert 'there is no account "nobody"' in desk("timetable", "every", "nobody", "5m").err


def test_how_often_an_account_is_read_is_said_and_unsaid(desk):
    desk.work(job("J-1"))
    assert "field is read every 90 seconds" in desk.well("timetable", "every", "field", "90s").out
    assert "as often as is usual" in desk.well("timetable", "every", "field", "usual").out
