"""What dispatchers and technicians do all day, on a real CalDAV server."""

import random
import re
from datetime import timedelta

import pytest

from support.company import SOON, brief, company, row, slot
from truckroll.app import accounts, passes
from truckroll.recipes.compile import builtin


def text_of(server, calendar):
    events = server.events(calendar)
    assert len(events) == 1, events
    return next(iter(events.items()))


def moved(data: str, hours: int) -> str:
    """Move an event as a calendar app does."""

    def later(found: re.Match) -> str:
        return f"{found[1]}T{int(found[2]) + hours:02d}{found[3]}"

    return re.sub(r"(DT(?:START|END)[^\n]*:\d{8})T(\d\d)(\d{4})", later, data)


@pytest.mark.behaviour("CAL-1")
async def test_an_appointment_becomes_an_event_with_all_that_the_technician_needs(
    store, tmp_path, radicale
):
    async with company(store, tmp_path, radicale, "Eve") as acme:
        acme.rows = [row(7, "Eve", Notes="Key under the mat")]
        acme.save()
        await acme.apply()
        _, data = text_of(radicale, "eve")
        for part in ("J-7", "Smith", "7 Elm St", "Key under the mat", "America/New_York"):
            assert part in data, data
        assert "BEGIN:VTIMEZONE" in data
        assert "ATTENDEE" not in data


@pytest.mark.behaviour("CAL-2")
@pytest.mark.fault("AT-11")
async def test_a_reschedule_moves_the_same_event(store, tmp_path, fresh_radicale):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        await acme.apply()
        name, _ = text_of(fresh_radicale, "ana")
        acme.rows[0]["Start"] = slot(3, 14)
        acme.save()
        view = await acme.apply()
        assert view.by_op == {"update": 1}
        assert list(view.steps[0].fields) == ["when"]
        again, data = text_of(fresh_radicale, "ana")
        assert again == name
        assert f"{SOON + timedelta(days=3):%Y%m%d}T140000" in data


@pytest.mark.behaviour("CAL-2")
@pytest.mark.fault("AT-24")
async def test_a_thousand_reassignments_leave_no_orphan_and_none_missing(
    store, tmp_path, fresh_radicale
):
    people = "Ana", "Ben", "Chu", "Dee"
    chance = random.Random(24)
    async with company(store, tmp_path, fresh_radicale, *people) as acme:
        acme.rows = [row(n, "Ana", day=3 + n // 8, hour=8 + n % 8) for n in range(1, 11)]
        for _ in range(10):
            for _ in range(100):
                crew = chance.sample(people, chance.randint(0, 3))
                chance.choice(acme.rows)["Technician"] = "; ".join(crew)
            acme.save()
            await acme.apply(confirmed=1000)
            for person in people:
                wanted = sorted(
                    f"{one['Job']} {one['Title']} · Smith"
                    for one in acme.rows
                    if person in one["Technician"]
                )
                assert acme.titles(person.lower()) == wanted
        last = await acme.apply()
        assert last.writes == 0, brief(last)


@pytest.mark.behaviour("CAL-3")
@pytest.mark.parametrize("choice", ["remove", "mark"])
async def test_a_cancellation_removes_or_marks_and_comes_back(
    store, tmp_path, fresh_radicale, choice
):
    async with company(store, tmp_path, fresh_radicale, "Ana", cancelled=choice) as acme:
        await acme.apply()
        acme.rows[0]["Status"] = "Cancelled"
        acme.save()
        await acme.apply()
        events = fresh_radicale.events("ana")
        if choice == "remove":
            assert not events
        else:
            assert "STATUS:CANCELLED" in text_of(fresh_radicale, "ana")[1]
        acme.rows[0]["Status"] = "Scheduled"
        acme.save()
        await acme.apply()
        assert "CANCELLED" not in text_of(fresh_radicale, "ana")[1]
        assert (await acme.apply()).writes == 0


@pytest.mark.behaviour("CAL-5")
async def test_what_was_deleted_by_hand_is_put_back(store, tmp_path, fresh_radicale):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        await acme.apply()
        name, _ = text_of(fresh_radicale, "ana")
        fresh_radicale.delete("ana", name)
        view = await acme.apply()
        assert view.by_op == {"create": 1}, brief(view)
        assert "put back" in view.steps[0].reason
        text_of(fresh_radicale, "ana")
        assert (await acme.apply()).writes == 0


@pytest.mark.behaviour("CAL-5")
@pytest.mark.parametrize("answer", ["accept", "restore"])
async def test_a_move_by_hand_waits_for_the_dispatcher(store, tmp_path, fresh_radicale, answer):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        await acme.apply()
        name, data = text_of(fresh_radicale, "ana")
        fresh_radicale.put("ana", name, moved(data, 2))
        plan = await acme.plan()
        assert plan.writes == 0
        assert [hold.reason for hold in plan.holds] == ["drift"], brief(plan)
        await acme.apply()
        (link, hold, _), *_ = await store.holds(1)
        await store.answer(link.id, hold.end, hold.field, answer, "the dispatcher")
        view = await acme.apply()
        assert view.writes == 1, brief(view)
        start = acme.saved()[0]["Start"]
        _, data = text_of(fresh_radicale, "ana")
        if answer == "accept":
            assert "11:00" in start
            assert "T110000" in data
        else:
            assert "09:00" in start
            assert "T090000" in data
        last = await acme.apply()
        assert (last.writes, last.held) == (0, 0), brief(last)


@pytest.mark.behaviour("CAL-7")
async def test_a_technician_reschedules_where_that_is_wanted(store, tmp_path, fresh_radicale):
    async with company(store, tmp_path, fresh_radicale, "Ana", two_way="reschedule") as acme:
        await acme.apply()
        name, data = text_of(fresh_radicale, "ana")
        fresh_radicale.put("ana", name, moved(data, 3))
        view = await acme.apply()
        assert [step.account for step in view.steps] == ["jobs"], brief(view)
        assert "12:00" in acme.saved()[0]["Start"]
        assert (await acme.apply()).writes == 0


@pytest.mark.behaviour("CAL-7")
@pytest.mark.behaviour("CAL-12")
async def test_two_calendars_of_two_accounts_go_both_ways(
    store, tmp_path, fresh_radicale, radicale
):
    fresh_radicale.make_calendar("one")
    radicale.make_calendar("two")
    async with company(store, tmp_path, fresh_radicale, "Zoe") as acme:
        signed = {"user": "ana", "password": "secret", "private": "yes"}
        await accounts.add(acme.hub, "left", "caldav", {"url": fresh_radicale.url, **signed})
        await accounts.add(acme.hub, "right", "caldav", {"url": radicale.url, **signed})
        await store.install_recipe(
            "calendar-to-calendar",
            builtin()["calendar-to-calendar"],
            {"from": "left/one", "to": "right/two"},
            {"two_way": "on"},
        )
        event = (
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//EN\nBEGIN:VEVENT\nUID:{0}\n"
            "DTSTAMP:20261101T000000Z\nDTSTART:20301104T{1:02d}0000Z\nDTEND:20301104T{2:02d}0000Z\n"
            "SUMMARY:{0}\nEND:VEVENT\nEND:VCALENDAR\n"
        )
        fresh_radicale.put("one", "l.ics", event.format("from the left", 9, 10))
        radicale.put("two", "r.ics", event.format("from the right", 11, 12))
        for server, box in ((fresh_radicale, "one"), (radicale, "two")):
            same = event.format("in both", 14, 15).replace("UID:in both", f"UID:both-{box}")
            server.put(box, "b.ics", same)

        async def go():
            return await passes.apply(acme.hub, "calendar-to-calendar")

        def titles(server, box):
            acme.server = server
            return acme.titles(box)

        first = await go()
        assert first.writes == 2, brief(first)
        both = ["from the left", "from the right", "in both"]
        assert titles(fresh_radicale, "one") == titles(radicale, "two") == both
        assert (await go()).writes == 0
        radicale.put("two", "r.ics", event.format("from the right", 16, 17))
        moved_back = await go()
        assert [step.account for step in moved_back.steps] == ["left"], brief(moved_back)
        assert (await go()).writes == 0


async def test_an_unmapped_technician_is_held_and_released_by_the_map(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana", "Ben") as acme:
        await store.unmap_person("Ben")
        acme.rows = [row(1, "Ana", "Ben"), row(2, "Ben", hour=12)]
        acme.save()
        first = await acme.apply()
        assert first.by_op == {"create": 1}, brief(first)
        assert {hold.reason for hold in first.holds} == {"person_unmapped"}
        await acme.map(Ben="ben")
        await store.touch(1)
        second = await acme.apply()
        assert second.by_op == {"create": 2}, brief(second)
        assert second.held == 0


@pytest.mark.behaviour("CAL-6")
async def test_a_visit_that_grows_over_days_is_refused_where_it_comes_to_overlap(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana", overlap="refuse") as acme:
        monday = f"{SOON + timedelta(days=3):%Y-%m-%d}"
        acme.rows = [row(1, "Ana", Start=monday, Duration="1 day"), row(2, "Ana", day=7)]
        acme.save()
        view = await acme.apply()
        assert view.by_op == {"create": 2}, brief(view)
        acme.rows[0]["Duration"] = "5 days"
        acme.save()
        view = await acme.apply()
        assert view.writes == 0, brief(view)
        assert {hold.reason for hold in view.holds} == {"overlap"}, brief(view)


@pytest.mark.behaviour("CAL-6")
async def test_an_overlap_is_shown_or_refused(store, tmp_path, fresh_radicale):
    async with company(store, tmp_path, fresh_radicale, "Ana", travel_minutes="15") as acme:
        acme.rows = [row(1, "Ana", hour=9), row(2, "Ana", hour=10)]
        acme.save()
        shown = await acme.plan()
        assert shown.writes == 2
        assert len(shown.overlaps) == 1, shown.overlaps
        assert "15 min" in shown.overlaps[0]
        await store.set_choices(
            "appointments-to-calendars", {"overlap": "refuse", "travel_minutes": "15"}
        )
        await store.touch(1)
        refused = await acme.apply()
        assert refused.writes < 2
        assert any("overlap" in hold.reason for hold in refused.holds), brief(refused)
        acme.rows[1]["Start"] = slot(3, 13)
        acme.save()
        mended = await acme.apply()
        assert len(acme.titles("ana")) == 2, brief(mended)
        assert mended.held == 0, brief(mended)


@pytest.mark.behaviour("CAL-12")
async def test_undo_takes_a_run_back_on_a_real_server(store, tmp_path, fresh_radicale):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        acme.rows = [row(1, "Ana"), row(2, "Ana", hour=12)]
        acme.save()
        await acme.apply()
        before = acme.titles("ana")
        acme.rows = [row(2, "Ana", hour=12, Title="renamed"), row(3, "Ana", hour=15)]
        acme.save()
        changed = await acme.apply()
        assert changed.by_op == {"cancel": 1, "create": 1, "update": 1}, brief(changed)
        await acme.undo(changed.run)
        assert acme.titles("ana") == before
        last = await acme.apply()
        assert last.writes == 0, brief(last)
        assert acme.titles("ana") == before


@pytest.mark.fault("F44")
async def test_a_reset_account_is_read_again_and_nothing_is_created_twice(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        acme.rows = [row(n, "Ana", hour=8 + n) for n in range(1, 6)]
        acme.save()
        await acme.apply()
        for account in await store.accounts():
            await store.reset_account(account.id)
        again = await acme.apply()
        assert again.writes == 0, brief(again)
        assert len(acme.titles("ana")) == 5


@pytest.mark.behaviour("CAL-11")
async def test_a_series_with_exceptions_lands_and_one_visit_moved_by_hand_is_only_that_visit(
    store, tmp_path, fresh_radicale
):
    first = SOON + timedelta(days=4)
    second, third = first + timedelta(days=7), first + timedelta(days=14)
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        await acme.apply()
        header = acme.table.read_text().splitlines()[0]
        acme.table.write_text(
            f"{header},Rule,Exceptions\n"
            f"J-9,Maintenance,{first:%Y-%m-%d} 09:00,60,Ana,Scheduled,9 Elm St,Smith,,"
            f"FREQ=WEEKLY;COUNT=6,"
            f'"{second:%Y-%m-%d} cancelled; {third:%Y-%m-%d} 09:00 -> {third:%Y-%m-%d} 14:00"\n'
        )
        view = await acme.apply(confirmed=10)
        assert view.by_op["create"] == 1, brief(view)
        _, data = text_of(fresh_radicale, "ana")
        assert "RRULE:FREQ=WEEKLY" in data
        assert f"RECURRENCE-ID;TZID=America/New_York:{third:%Y%m%d}T090000" in data
        assert f"EXDATE;TZID=America/New_York:{second:%Y%m%d}T090000" in data
        again = await acme.apply()
        assert again.writes == 0, brief(again)


@pytest.mark.fault("AT-04")
async def test_a_field_that_is_written_again_and_again_is_held_and_named(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana", edits_by_hand="restore") as acme:
        await acme.apply()
        for turn in range(8):
            name, data = text_of(fresh_radicale, "ana")
            mine = data.replace("Visit 1", f"Somebody else's {turn}")
            fresh_radicale.put("ana", name, mine)
            view = await acme.apply()
        assert view.writes == 0, brief(view)
        assert [hold.reason for hold in view.holds] == ["churn"]
        assert "title" in view.holds[0].detail
