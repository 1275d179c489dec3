"""Visits of a pass claim their technicians' time where a double booking is refused."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from support.company import company, row
from truckroll.app import accounts, conflicts, passes
from truckroll.app.installed import load_installed
from truckroll.app.slots import claim, watch
from truckroll.app.sources import read_sources
from truckroll.dispatch.claims import Wish
from truckroll.recipes.compile import builtin


async def test_a_visit_whose_time_somebody_is_just_taking_waits_and_is_told_when_else(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana", overlap="refuse") as made:
        installed = await load_installed(made.hub)
        watched = await watch(made.hub, installed, ["Ana"])
        begins = (await visit_of(made)).begins
        wish = Wish(watched.ids["Ana"], begins, begins + timedelta(hours=1), "other", "J-9 Other")
        held = await claim(made.hub, watched, [wish], busy=False)
        assert not held.ids, "the visit itself is in the way"
        made_claim = await store.claim(
            [wish], at=made.hub.now(), expires=made.hub.now() + timedelta(hours=1)
        )
        assert made_claim.ids

        first = await made.apply()
        assert (first.writes, made.titles("ana")) == (0, [])
        (hold,) = first.holds
        assert hold.reason == "overlap"
        assert hold.detail.startswith("it meets J-9 Other in the time of Ana, who is free next: ")
        assert (await made.apply()).writes == 0

        await store.release_claims(made_claim.ids)
        assert (await made.apply()).writes == 1
        assert await claims(store, watched.ids["Ana"], begins) == []
        assert not await store.holds(installed.row.id)
        assert (await made.apply()).writes == 0


async def visit_of(made):
    installed = await load_installed(made.hub)
    await read_sources(made.hub, installed)
    record, *_ = await made.hub.store.observed_between(
        [installed.sources[0].id],
        [],
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2100, 1, 1, tzinfo=UTC),
    )
    return record.fields["when"]


async def claims(store, technician, begins):
    day = timedelta(days=1)
    return await store.claims_between(
        [technician], begins - day, begins + day, at=datetime.now(UTC)
    )


@pytest.mark.parametrize("at_once", [False, True])
async def test_two_tables_do_not_book_one_technician_twice(
    store, tmp_path, fresh_radicale, at_once
):
    """Visits of two recipes that meet are both told of it, and none is written."""
    async with company(store, tmp_path, fresh_radicale, "Ana", overlap="refuse") as made:
        other = tmp_path / "other.csv"
        made.rows = [row(1, "Ana", hour=9)]
        made.save()
        text = made.table.read_text().replace("J-1,", "K-1,").replace("Visit 1", "Night shift")
        other.write_text(text)
        await accounts.add(made.hub, "more", "file", {"path": str(other)}, zone="America/New_York")
        toml = builtin()["appointments-to-calendars"].replace(
            'name = "appointments-to-calendars"', 'name = "second"'
        )
        bound = {"from": "more", "to": "field", "zone": "America/New_York"}
        await store.install_recipe("second", toml, bound, {"overlap": "refuse"})
        names = ("appointments-to-calendars", "second")
        if at_once:
            await asyncio.gather(*(passes.apply(made.hub, name) for name in names))
            for name in names:
                await passes.apply(made.hub, name)
        views = [await passes.apply(made.hub, name) for name in names]
        written = made.titles("ana")
        assert len(written) <= 1
        assert at_once or written == ["J-1 Visit 1 · Smith"]
        held = [hold for view in views for hold in view.holds]
        assert len(held) + len(written) == 2, "who was not written is told why"
        met = [hold for hold in held if hold.reason == "overlap"]
        assert all("in the time of Ana, who is free next: " in hold.detail for hold in met)
        # At once, one may first have to hear what became of its own write.
        rest = {hold.reason for hold in held} - {"overlap"}
        assert rest <= ({"in_doubt"} if at_once else set())


@pytest.mark.behaviour("CAL-6")
async def test_a_double_booking_names_when_else_and_who_else(store, tmp_path, fresh_radicale):
    async with company(store, tmp_path, fresh_radicale, "Ana", "Ben", "Chu") as made:
        made.rows = [
            row(1, "Ana", hour=9),
            row(2, "Ana", hour=9, Title="Boiler"),
            row(3, "Ben", hour=9),
        ]
        made.save()
        await made.apply()
        (found,) = await conflicts.conflicts(made.hub)
        assert (found.technician, found.minutes) == ("Ana", 60)
        assert len(found.slots) == 3
        assert " 10:00–11:00" in found.slots[0]
        assert found.free == ["Chu"]


async def test_what_stands_in_the_calendar_beside_visits_is_in_the_way_of_what_is_offered(
    store, tmp_path, fresh_radicale
):
    """A dentist in Ana's own calendar takes her time; Ben's visits and our own copies do not."""
    async with company(store, tmp_path, fresh_radicale, "Ana", "Ben") as made:
        made.rows = [row(1, "Ana", hour=9), row(2, "Ben", hour=11)]
        made.save()
        name, text = "dentist.ics", dentist((await visit_of(made)).begins + timedelta(hours=2))
        fresh_radicale.put("ana", name, text)
        await made.apply()
        installed = await load_installed(made.hub)
        watched = await watch(made.hub, installed)
        nine = (await visit_of(made)).begins

        def ask(begins):
            wish = Wish(watched.ids["Ana"], begins, begins + timedelta(hours=1), "new")
            return claim(made.hub, watched, [wish])

        (clash,) = (await ask(nine)).clashes
        assert clash.taken.ref == "J-1 Visit 1"
        (clash,) = (await ask(nine + timedelta(hours=2, minutes=30))).clashes
        assert clash.taken.ref == "something in their calendar"
        assert (await ask(nine + timedelta(hours=1))).ids


def dentist(begins):
    form = "%Y%m%dT%H%M%SZ"
    ends = begins + timedelta(hours=1)
    return "\r\n".join(
        (
            *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//phone//", "BEGIN:VEVENT", "UID:dentist"),
            *(f"DTSTAMP:{begins:{form}}", f"DTSTART:{begins:{form}}", f"DTEND:{ends:{form}}"),
            *("SUMMARY:Dentist", "END:VEVENT", "END:VCALENDAR", ""),
        )
    )
