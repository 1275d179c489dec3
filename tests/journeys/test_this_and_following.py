"""A series is split on a phone: "this and all following" (AT-08)."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from support.company import brief, company
from truckroll.app import accounts, passes, why
from truckroll.kit.ical.read import read_calendar
from truckroll.model.recurrence import occurrences
from truckroll.recipes.compile import builtin

RECIPE = "calendar-to-calendar"
FIRST = datetime(2030, 1, 7, 9)
WEEKS = 10


def at(week: int, hour: int = 9) -> str:
    return f"{FIRST + timedelta(weeks=week, hours=hour - 9):%Y%m%dT%H%M%S}"


def series(uid: str, start: str, rule: str, *extra: str) -> str:
    zone = "TZID=America/New_York"
    master = f"DTSTART;{zone}:{start}\nDURATION:PT1H\nRRULE:{rule}\n"
    return (
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//EN\n"
        f"BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20261101T000000Z\nSUMMARY:weekly\n{master}"
        + "".join(f"{line}\n" for line in extra if line.startswith("EXDATE"))
        + "END:VEVENT\n"
        + "".join(
            f"BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20261101T000000Z\nSUMMARY:weekly\n{line}\nEND:VEVENT\n"
            for line in extra
            if line.startswith("RECURRENCE-ID")
        )
        + "END:VCALENDAR\n"
    )


def visits(server, calendar: str) -> list[datetime]:
    """All visits in a calendar, read from what the server keeps."""
    found = []
    for data in server.events(calendar).values():
        for entry in read_calendar(data.encode()).entries:
            start, end = datetime(2029, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
            fields = entry.fields
            items = occurrences(fields["when"], fields.get("occurrences"), start, end).items
            found += [one.when.begins for one in items if not one.cancelled]
    return sorted(found)


@asynccontextmanager
async def in_step(store, tmp_path, server, choices):
    """Two calendars of a server, with the recipe that keeps them in step."""
    server.make_calendar("src")
    async with company(store, tmp_path, server, "Ana") as acme:
        await accounts.refresh(acme.hub, "field")
        bound = {"from": "field/src", "to": "field/ana", "zone": "America/New_York"}
        await store.install_recipe(RECIPE, builtin()[RECIPE], bound, choices)
        yield acme


@pytest.mark.behaviour("CAL-11")
@pytest.mark.fault("AT-08")
@pytest.mark.parametrize("two_way", ["off", "on"])
async def test_a_split_loses_and_doubles_no_visit_and_the_past_keeps_its_event(
    store, tmp_path, fresh_radicale, two_way
):
    server = fresh_radicale
    async with in_step(store, tmp_path, server, {"two_way": two_way}) as acme:
        zone = "TZID=America/New_York"
        gone_early, gone_late = f"EXDATE;{zone}:{at(1)}", f"EXDATE;{zone}:{at(7)}"

        def moved(week: int) -> str:
            return f"RECURRENCE-ID;{zone}:{at(week)}\nDTSTART;{zone}:{at(week, 15)}\nDURATION:PT1H"

        whole = series(
            "w", at(0), f"FREQ=WEEKLY;COUNT={WEEKS}", gone_early, gone_late, moved(2), moved(8)
        )
        server.put("src", "w.ics", whole)
        first = await passes.apply(acme.hub, RECIPE)
        assert first.by_op == {"create": 1}, brief(first)
        (name,) = server.events("ana")
        before = visits(server, "src")
        assert visits(server, "ana") == before
        assert len(before) == WEEKS - 2

        cut = FIRST + timedelta(weeks=5) + timedelta(hours=5) - timedelta(seconds=1)
        until = f"FREQ=WEEKLY;UNTIL={cut:%Y%m%dT%H%M%SZ}"
        server.put("src", "w.ics", series("w", at(0), until, gone_early, moved(2)))
        later = [f"EXDATE;{zone}:{at(7, 11)}",
                 f"RECURRENCE-ID;{zone}:{at(8, 11)}\nDTSTART;{zone}:{at(8, 16)}\nDURATION:PT1H"]  # fmt: skip
        server.put("src", "w2.ics", series("w2", at(5, 11), "FREQ=WEEKLY;COUNT=5", *later))
        split = await passes.apply(acme.hub, RECIPE)
        assert split.by_op == {"create": 1, "update": 1}, brief(split)
        assert name in server.events("ana")
        assert visits(server, "ana") == visits(server, "src")
        assert len(visits(server, "ana")) == WEEKS - 2
        again = await passes.apply(acme.hub, RECIPE)
        assert (again.writes, again.held) == (0, 0), brief(again)


@pytest.mark.behaviour("CAL-11")
@pytest.mark.fault("AT-08")
async def test_a_visit_that_was_moved_by_hand_after_the_cut_does_not_stand_twice(
    store, tmp_path, fresh_radicale
):
    server = fresh_radicale
    async with in_step(store, tmp_path, server, {"edits_by_hand": "hold"}) as acme:
        zone, rule = "TZID=America/New_York", f"FREQ=WEEKLY;COUNT={WEEKS}"
        server.put("src", "w.ics", series("w", at(0), rule))
        await passes.apply(acme.hub, RECIPE)
        name, made, uid = the_event(server)
        moved = f"RECURRENCE-ID;{zone}:{at(7)}\nDTSTART;{zone}:{at(7, 15)}\nDURATION:PT1H"
        server.put("ana", name, with_mark_of(series(uid, at(0), rule, moved), made))
        by_hand = await passes.apply(acme.hub, RECIPE)
        assert (by_hand.writes, by_hand.held) == (0, 1), brief(by_hand)

        cut = FIRST + timedelta(weeks=5) + timedelta(hours=5) - timedelta(seconds=1)
        server.put("src", "w.ics", series("w", at(0), f"FREQ=WEEKLY;UNTIL={cut:%Y%m%dT%H%M%SZ}"))
        server.put("src", "w2.ics", series("w2", at(5, 11), "FREQ=WEEKLY;COUNT=5"))
        split = await passes.apply(acme.hub, RECIPE)
        assert split.by_op == {"create": 1, "update": 1}, brief(split)
        assert visits(server, "ana") == visits(server, "src")
        again = await passes.apply(acme.hub, RECIPE)
        assert (again.writes, again.held) == (0, 0), brief(again)
        (found,) = (await why.why(acme.hub, "w.ics")).records
        story = " ".join(line.text for line in found.story)
        week = f"{FIRST + timedelta(weeks=7):%Y-%m-%d}"
        assert f"the visits that were changed by hand: {week}" in story


def the_event(server):
    """Return the one event in the other calendar: its name, its text and its UID."""
    ((name, made),) = server.events("ana").items()
    return name, made, next(line for line in made.splitlines() if line.startswith("UID:"))[4:]


def with_mark_of(event: str, copied: str) -> str:
    """As many apps do it: what they copy keeps the properties that they do not know."""
    (mark,) = (line for line in copied.splitlines() if line.startswith("X-TRUCKROLL-LINK"))
    return event.replace("SUMMARY:weekly\n", f"SUMMARY:weekly\n{mark}\n", 1)


@pytest.mark.behaviour("CAL-11")
@pytest.mark.fault("AT-08")
async def test_a_split_on_the_other_side_that_copies_the_mark_comes_back_whole(
    store, tmp_path, fresh_radicale
):
    server = fresh_radicale
    async with in_step(store, tmp_path, server, {"two_way": "on"}) as acme:
        server.put("src", "w.ics", series("w", at(0), f"FREQ=WEEKLY;COUNT={WEEKS}"))
        await passes.apply(acme.hub, RECIPE)
        name, made, uid = the_event(server)

        cut = FIRST + timedelta(weeks=5) + timedelta(hours=5) - timedelta(seconds=1)
        until = f"FREQ=WEEKLY;UNTIL={cut:%Y%m%dT%H%M%SZ}"
        server.put("ana", name, with_mark_of(series(uid, at(0), until), made))
        later = with_mark_of(series("w2", at(5, 11), "FREQ=WEEKLY;COUNT=5"), made)
        server.put("ana", "w2.ics", later)
        split = await passes.apply(acme.hub, RECIPE)
        assert split.by_op == {"create": 1, "update": 1}, brief(split)
        assert visits(server, "src") == visits(server, "ana")
        assert len(visits(server, "src")) == WEEKS
        again = await passes.apply(acme.hub, RECIPE)
        assert (again.writes, again.held) == (0, 0), brief(again)
