"""What follows a cancellation, an early end or a delay: offered, done in one run, undone as one."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from support.company import brief, company
from support.fleet import ZONE, fleet
from truckroll.app import follow, passes
from truckroll.app.trouble import TroubleError
from truckroll.kit.ical.read import read_calendar

NEW_YORK = ZoneInfo("America/New_York")
DAY = date.today() + timedelta(days=3)  # noqa: DTZ011 -- any day soon will do


def job(number, who, start, minutes=60, **cells):
    return {
        "Job": f"J-{number}",
        "Title": f"Visit {number}",
        "Start": f"{DAY} {start}",
        "Duration": str(minutes),
        "Technician": who,
        "Status": "Scheduled",
        "Address": f"{number} Elm St",
        "Customer": "Smith",
        "Notes": "",
        **cells,
    }


def rows():
    return [
        job(1033, "Ana", "10:00"),
        job(1042, "Ana", "11:30"),
        job(1051, "Ana", "13:00"),
        job(1060, "Ben", "11:00"),
        job(1077, "", "16:00", Title="No heat"),
    ]


def times(made, calendar):
    """Return the wall times in a calendar by job number, read back by an independent client."""
    found = {}
    for text in made.server.events(calendar).values():
        fields = read_calendar(text.encode()).entries[0].fields
        when = fields["when"]
        local = (one.astimezone(NEW_YORK) for one in (when.begins, when.ends))
        found[fields["title"].split()[0]] = "–".join(f"{one:%H:%M}" for one in local)
    return found


def starts(made):
    return {one["Job"]: one["Start"].split()[1] for one in made.saved()}


def change(made, number, **cells):
    for one in made.rows:
        if one["Job"] == number:
            one.update(cells)
    made.save()


async def the_offers(made):
    found = await follow.offers(made.hub)
    return {offer.letter: offer for one in found for offer in one.offers}, found


async def test_a_cancellation_offers_the_later_visits_and_the_next_fitting_job(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana", "Ben") as made:
        made.rows = rows()
        made.save()
        await made.apply()
        assert (await follow.offers(made.hub)) == []

        change(made, "J-1033", Status="Cancelled")
        await made.apply()
        offers, (happened,) = await the_offers(made)
        day = f"{DAY:%a} {DAY.day} {DAY:%b}"
        assert happened.what == f"{day}, Ana: J-1033 Visit 1033 10:00–11:00 was cancelled"
        assert offers["a"].says == (
            "move 2 later visits up (J-1042 11:30→10:00, J-1051 13:00→11:30)"
        )
        assert offers["b"].says == (
            "give 10:00–11:00 to J-1077 No heat (unassigned, 60 min, 1077 Elm St)"
        )

        shown = await follow.take_offer(made.hub, offers["a"].code, by="kim", plan=True)
        assert shown.by_op == {"update": 4}
        assert starts(made)["J-1042"] == "11:30", "a plan writes nothing"

        done = await follow.take_offer(made.hub, offers["a"].code, by="kim")
        assert done.by_op == {"update": 4}, brief(done)
        assert {one.reason for one in done.steps} == {
            "moved up by kim, as J-1033 Visit 1033 was cancelled"
        }
        assert starts(made) | {"J-1042": "10:00", "J-1051": "11:30"} == starts(made)
        assert times(made, "ana") == {"J-1042": "10:00–11:00", "J-1051": "11:30–12:30"}
        assert (await made.apply()).writes == 0

        story = await store.story((await store.find_links("J-1042"))[0].id)
        assert any(line.text.startswith("kim decided: moved up") for line in story)

        back = await made.undo(done.run)
        assert back.writes == 4
        assert back.not_undone == []
        assert starts(made) | {"J-1042": "11:30", "J-1051": "13:00"} == starts(made)
        assert times(made, "ana") == {"J-1042": "11:30–12:30", "J-1051": "13:00–14:00"}
        assert (await made.apply()).writes == 0


async def test_a_free_slot_is_given_to_a_job_that_was_nobodys(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana", "Ben") as made:
        made.rows = rows()
        made.save()
        await made.apply()
        change(made, "J-1033", Status="Cancelled")
        await made.apply()
        offers, _ = await the_offers(made)
        done = await follow.take_offer(made.hub, offers["b"].code, by="kim")
        assert done.by_op == {"create": 1, "update": 1}, brief(done)
        assert times(made, "ana")["J-1077"] == "10:00–11:00"
        saved = {one["Job"]: one for one in made.saved()}["J-1077"]
        assert (saved["Technician"], saved["Start"]) == ("Ana", f"{DAY} 10:00")
        assert (await made.apply()).writes == 0
        with pytest.raises(TroubleError, match="there is no offer"):
            await follow.take_offer(made.hub, offers["a"].code, by="kim")

        await made.undo(done.run)
        assert "J-1077" not in times(made, "ana")
        saved = {one["Job"]: one for one in made.saved()}["J-1077"]
        assert (saved["Technician"], saved["Start"]) == ("", f"{DAY} 16:00")
        assert (await made.apply()).writes == 0
