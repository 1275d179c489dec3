"""Time, and the three values of nothing, from a table to a real calendar and back."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from support.company import SOON, brief, company, row
from truckroll.app import accounts, passes
from truckroll.kit.ical.read import read_calendar
from truckroll.model.time import AllDay, Timed
from truckroll.recipes.compile import builtin


def whens(server, calendar):
    """Every event's time as an independent reading of the stored object gives it."""
    return {
        entry.fields["title"]: entry.fields["when"]
        for data in server.events(calendar).values()
        for entry in read_calendar(data.encode()).entries
    }


@pytest.mark.behaviour("CAL-11")
@pytest.mark.fault("F49")
@pytest.mark.fault("AT-05")
async def test_both_changes_of_the_clocks_land_on_their_instants_and_stay(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana", window_past_days="3650") as acme:
        expected = {
            "2027-03-14 01:30": datetime(2027, 3, 14, 6, 30, tzinfo=UTC),
            "2027-03-14 02:30": datetime(2027, 3, 14, 7, 30, tzinfo=UTC),
            "2027-03-14 03:30": datetime(2027, 3, 14, 7, 30, tzinfo=UTC),
            "2027-11-07 00:30": datetime(2027, 11, 7, 4, 30, tzinfo=UTC),
            "2027-11-07 01:30": datetime(2027, 11, 7, 5, 30, tzinfo=UTC),
            "2027-11-07 02:30": datetime(2027, 11, 7, 7, 30, tzinfo=UTC),
        }
        acme.rows = [
            row(n, "Ana", Start=start, Customer="") for n, start in enumerate(expected, start=1)
        ]
        acme.save()
        first = await acme.apply()
        assert first.by_op == {"create": 6}, brief(first)
        shown = whens(fresh_radicale, "ana")
        for number, instant in enumerate(expected.values(), start=1):
            when = shown[f"J-{number} Visit {number}"]
            assert isinstance(when, Timed)
            assert when.begins == instant
            assert when.ends == instant + timedelta(hours=1)
            assert when.zone == "America/New_York"
        for data in fresh_radicale.events("ana").values():
            in_utc = re.search(r"DTSTART:\d+T\d+Z", data)
            assert in_utc or {"BEGIN:DAYLIGHT", "BEGIN:STANDARD"} <= set(data.split())
        for _ in range(2):
            again = await acme.apply()
            assert again.writes == 0, brief(again)


@pytest.mark.behaviour("CAL-11")
@pytest.mark.fault("F52")
@pytest.mark.fault("AT-07")
async def test_whole_days_keep_their_dates_and_have_no_zone(store, tmp_path, fresh_radicale):
    first = (SOON + timedelta(days=5)).date()
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        acme.rows = [row(1, "Ana", Start=f"{first:%Y-%m-%d}", Duration="", Customer="")]
        acme.save()
        view = await acme.apply()
        assert view.by_op == {"create": 1}, brief(view)
        when = whens(fresh_radicale, "ana")["J-1 Visit 1"]
        assert when == AllDay(first, first + timedelta(days=1))
        (data,) = fresh_radicale.events("ana").values()
        assert f"DTSTART;VALUE=DATE:{first:%Y%m%d}" in data
        assert "TZID" not in data
        assert (await acme.apply()).writes == 0


@pytest.mark.fault("AT-13")
async def test_a_visit_that_leaves_the_window_and_returns_is_the_same_event(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana", window_past_days="2") as acme:
        await acme.apply()
        (name,) = fresh_radicale.events("ana")
        acme.rows[0]["Start"] = f"{SOON - timedelta(days=40):%Y-%m-%d} 09:00"
        acme.save()
        out = await acme.apply()
        assert out.writes == 0, brief(out)
        assert [hold.reason for hold in out.holds] == ["outside_window"]
        acme.rows[0]["Start"] = f"{SOON + timedelta(days=1):%Y-%m-%d} 16:00"
        acme.save()
        back = await acme.apply()
        assert back.by_op == {"update": 1}, brief(back)
        assert list(fresh_radicale.events("ana")) == [name]
        assert back.held == 0


@pytest.mark.fault("AT-23")
async def test_a_cleared_cell_clears_the_event_and_a_missing_column_clears_nothing(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        acme.rows = [row(1, "Ana", Address="1 Elm St", Notes="beware of the dog")]
        acme.save()
        await acme.apply()
        (data,) = fresh_radicale.events("ana").values()
        assert "LOCATION:1 Elm St" in data
        acme.rows[0] |= {"Address": "", "Notes": ""}
        acme.save()
        view = await acme.apply()
        assert set(view.steps[0].fields) == {"location", "notes"}
        (data,) = fresh_radicale.events("ana").values()
        assert "LOCATION" not in data
        assert "dog" not in data
        assert (await acme.apply()).writes == 0

        acme.rows[0] |= {"Address": "2 Oak St"}
        acme.save()
        await acme.apply()
        lines = acme.table.read_text().splitlines()
        keep = [n for n, name in enumerate(lines[0].split(",")) if name != "Address"]
        cut = [",".join(line.split(",")[n] for n in keep) for line in lines]
        acme.table.write_text("\n".join(cut) + "\n")
        view = await acme.apply()
        assert view.writes == 0, brief(view)
        (data,) = fresh_radicale.events("ana").values()
        assert "LOCATION:2 Oak St" in data


@pytest.mark.fault("AT-09")
@pytest.mark.fault("F51")
@pytest.mark.behaviour("CAL-10")
async def test_one_event_that_cannot_be_understood_stops_no_other(store, tmp_path, fresh_radicale):
    day = (SOON + timedelta(days=6)).date()
    feed = tmp_path / "feed.ics"

    def event(uid: str, body: str) -> str:
        return f"BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20261101T000000Z\nSUMMARY:{uid}\n{body}\nEND:VEVENT\n"

    feed.write_text(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//EN\n"
        + event("fine", f"DTSTART:{day:%Y%m%d}T100000Z\nDTEND:{day:%Y%m%d}T110000Z")
        + event("odd", f"DTSTART;TZID=Nowhere/Land:{day:%Y%m%d}T100000\nDURATION:PT1H")
        + event("worse", f"DTSTART:{day:%Y%m%d}T100000Z\nRRULE:FREQ=SOMETIMES")
        + event("dates", f"DTSTART:{day:%Y%m%d}T080000Z\nDURATION:PT1H\n"
                f"RDATE:{day + timedelta(days=2):%Y%m%d}T080000Z")
        + "END:VCALENDAR\n"
    )  # fmt: skip
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        await accounts.add(acme.hub, "feed", "ical-feed", {"path": str(feed)})
        text = builtin()["calendar-to-calendar"]
        bound = {"from": "feed", "to": "field/ana"}
        await store.install_recipe("calendar-to-calendar", text, bound, {})
        view = await passes.apply(acme.hub, "calendar-to-calendar")
        assert view.by_op == {"create": 2}, brief(view)
        refused = {hold.ref: hold.detail for hold in view.holds}
        assert "Nowhere/Land" in refused["odd"]
        assert "SOMETIMES" in refused["worse"]
        data = "".join(fresh_radicale.events("ana").values())
        assert "RDATE" in data
        again = await passes.apply(acme.hub, "calendar-to-calendar")
        assert again.writes == 0, brief(again)


@pytest.mark.fault("AT-06")
async def test_a_series_keeps_the_zone_it_was_made_in(store, tmp_path, fresh_radicale):
    berlin, york = "Europe/Berlin", "America/New_York"
    feed = tmp_path / "feed.ics"
    feed.write_text(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//EN\nBEGIN:VEVENT\nUID:weekly\n"
        f"DTSTAMP:20261101T000000Z\nSUMMARY:weekly\nDTSTART;TZID={berlin}:20270301T090000\n"
        f"DTEND;TZID={berlin}:20270301T100000\nRRULE:FREQ=WEEKLY;COUNT=8\nEND:VEVENT\nEND:VCALENDAR\n"
    )
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        await accounts.add(acme.hub, "feed", "ical-feed", {"path": str(feed)}, zone=york)
        text = builtin()["calendar-to-calendar"]
        bound = {"from": "feed", "to": "field/ana", "zone": york}
        await store.install_recipe("calendar-to-calendar", text, bound, {})
        view = await passes.apply(acme.hub, "calendar-to-calendar")
        assert view.by_op == {"create": 1}, brief(view)
        (data,) = fresh_radicale.events("ana").values()
        assert re.search(rf"DTSTART;TZID={berlin}:20270301T090000", data), data
        assert (await passes.apply(acme.hub, "calendar-to-calendar")).writes == 0
