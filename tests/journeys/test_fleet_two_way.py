"""Technicians move visits in Google, and the office is right: rescheduled, asked, or left alone."""

import random
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from support.company import brief
from support.fleet import ZONE, fleet
from support.office import api_text, instant
from truckroll.app import holds, passes, why
from truckroll.recipes.compile import builtin

SAMPLE = {"technicians": 3, "appointments": 12, "customers": 6, "days": 4, "crew_share": 0.5}


def by_hand(acme, event, *, hours, **more):
    """Let the technician drag an event in their calendar."""
    body = {
        name: {"dateTime": api_text(instant(event[name]["dateTime"]) + timedelta(hours=hours)),
               "timeZone": ZONE}
        for name in ("start", "end")
    }  # fmt: skip
    acme.google.records["events"].edit(
        event["id"], {**body, **more}, {"calendar": event["calendarId"]}
    )


def begins(acme, number):
    return instant(acme.visits()[number]["start"])


def events_of(acme, number):
    """The events of a visit; each of its job's visits has its own hour here."""
    row = acme.visits()[number]
    job = acme.titan.records["jobs"].get(str(row["jobId"]), {})["jobNumber"]
    return [one for one in acme.events() if one.get("summary", "").startswith(f"{job} ")]


def alone(acme):
    """The visits that are their job's only one, those with a crew first."""
    jobs = [row["jobId"] for row in acme.visits().values()]
    single = [n for n, row in acme.visits().items() if jobs.count(row["jobId"]) == 1]
    return sorted(single, key=lambda n: -len(events_of(acme, n)))


@pytest.mark.behaviour("CAL-7")
async def test_a_technicians_move_reschedules_the_visit(store, tmp_path):
    async with fleet(store, tmp_path, choices={"two_way": "reschedule"}, **SAMPLE) as acme:
        await acme.apply()
        crewed, *others = alone(acme)
        mine, theirs = events_of(acme, crewed)
        single = next(one for one in others if len(events_of(acme, one)) == 1)
        old = {number: begins(acme, number) for number in (crewed, single)}
        acme.forget_calls()
        by_hand(acme, mine, hours=2)
        by_hand(acme, events_of(acme, single)[0], hours=1)
        view = await acme.apply()
        assert sorted(step.account for step in view.steps) == ["google", "titan", "titan"], brief(
            view
        )
        assert begins(acme, crewed) == old[crewed] + timedelta(hours=2)
        assert begins(acme, single) == old[single] + timedelta(hours=1)
        assert [instant(one["start"]["dateTime"]) for one in events_of(acme, crewed)] == [
            begins(acme, crewed)
        ] * 2
        assert theirs["id"] in {one["id"] for one in events_of(acme, crewed)}
        written = acme.written_to_titan()
        assert len(written) == 2, written
        assert all("reschedule" in one for one in written), written
        assert (await acme.apply()).writes == 0
        assert not acme.google.kit.outbox.messages
        assert not acme.titan.kit.outbox.messages


@pytest.mark.behaviour("CAL-7")
@pytest.mark.parametrize("said", ["accept", "restore"])
async def test_a_technicians_move_waits_for_the_dispatcher(store, tmp_path, said):
    async with fleet(store, tmp_path, choices={"two_way": "ask"}, **SAMPLE) as acme:
        await acme.apply()
        number = alone(acme)[0]
        old, count = begins(acme, number), len(events_of(acme, number))
        acme.forget_calls()
        by_hand(acme, events_of(acme, number)[0], hours=3)
        asked = await acme.apply()
        assert asked.writes == 0, brief(asked)
        assert [hold.reason for hold in asked.holds] == ["drift"], brief(asked)
        assert acme.written_to_titan() == []
        ref = events_of(acme, number)[0]["summary"].split()[0]
        answered = await holds.answer(acme.hub, ref, said, by="the dispatcher")
        assert [one.fields for one in answered] == [["when"]]
        view = await acme.apply()
        now = old + timedelta(hours=3) if said == "accept" else old
        assert view.writes == (count if said == "accept" else 1), brief(view)
        assert begins(acme, number) == now
        shown = [instant(one["start"]["dateTime"]) for one in events_of(acme, number)]
        assert shown == [now] * count
        assert len(acme.written_to_titan()) == (1 if said == "accept" else 0)
        last = await acme.apply()
        assert (last.writes, last.held) == (0, 0), brief(last)


@pytest.mark.behaviour("CAL-7")
async def test_where_both_move_a_visit_the_office_is_right_and_the_story_says_so(store, tmp_path):
    async with fleet(store, tmp_path, choices={"two_way": "reschedule"}, **SAMPLE) as acme:
        await acme.apply()
        number = alone(acme)[0]
        old = begins(acme, number)
        by_hand(acme, events_of(acme, number)[0], hours=5)
        acme.office("reschedule", appointmentId=number, **acme.later(number, hours=1))
        acme.forget_calls()
        view = await acme.apply()
        count = len(events_of(acme, number))
        assert view.by_op == {"update": count}, brief(view)
        assert acme.written_to_titan() == []
        assert begins(acme, number) == old + timedelta(hours=1)
        shown = {instant(one["start"]["dateTime"]) for one in events_of(acme, number)}
        assert shown == {begins(acme, number)}
        ref = events_of(acme, number)[0]["summary"].split()[0]
        found = await why.why(acme.hub, ref)
        texts = [line.text for one in found.records for line in one.story]
        assert any(text.startswith("when: ") and "gave way to" in text for text in texts), texts
        assert (await acme.apply()).writes == 0


@pytest.mark.behaviour("CAL-7")
@pytest.mark.parametrize("act", ["cancel", "arrive"])
async def test_a_move_that_the_visits_state_forbids_is_told_once_and_not_tried_again(
    store, tmp_path, act
):
    async with fleet(store, tmp_path, choices={"two_way": "reschedule"}, **SAMPLE) as acme:
        await acme.apply()
        number = alone(acme)[0]
        old, row = begins(acme, number), acme.visits()[number]
        by_hand(acme, events_of(acme, number)[0], hours=2)
        acme.office(act, jobId=row["jobId"], appointmentId=number)
        first = await acme.apply(confirmed=10)
        assert (first.failed, first.held) == (0, 1), "it is told once, as what waits"
        (refused,) = first.holds
        assert refused.detail.endswith("[409]."), brief(first)
        assert refused.release.startswith("truckroll holds --retry"), brief(first)
        acme.forget_calls()
        again = await acme.apply()
        assert (again.writes, again.failed, acme.written_to_titan()) == (0, 0, []), brief(again)
        assert [hold.reason for hold in again.holds] == ["refused"], brief(again)
        row = acme.titan.records["appointments"].get(str(number), {})
        assert instant(row["start"]) == old


@pytest.mark.behaviour("CAL-7")
async def test_in_a_busy_week_every_move_arrives_and_the_office_wins(store, tmp_path):
    chance = random.Random(7)
    async with fleet(store, tmp_path, choices={"two_way": "reschedule"}, **SAMPLE) as acme:
        await acme.apply()
        singles = alone(acme)
        for _ in range(4):
            wanted = {number: begins(acme, number) for number in acme.visits()}
            for number in chance.sample(singles, 4):
                hours = chance.randint(1, 4)
                by_hand(acme, chance.choice(events_of(acme, number)), hours=hours)
                wanted[number] += timedelta(hours=hours)
            for number in chance.sample(singles, 3):
                acme.office("reschedule", appointmentId=number, **acme.later(number, hours=6))
                wanted[number] = begins(acme, number)
            await acme.apply()
            assert {number: begins(acme, number) for number in acme.visits()} == wanted
            for number in singles:
                shown = {instant(one["start"]["dateTime"]) for one in events_of(acme, number)}
                assert shown == {wanted[number]}
            again = await acme.apply()
            assert (again.writes, again.held) == (0, 0), brief(again)


SECRET = "Dr Zyx oncology"


def places_in_store(url, text):
    """Name the columns of the store in which a text stands."""
    found = []
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "select table_schema, table_name, column_name, udt_name from information_schema.columns"
            " where table_schema not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table, column, kind in columns:
            name = sql.Identifier(schema, table)
            field = sql.Identifier(column)
            hay = sql.SQL("{}" if kind == "bytea" else "convert_to({}::text, 'UTF8')").format(field)
            query = sql.SQL("select count(*) from {} where position(%s::bytea in {}) > 0")
            if connection.execute(query.format(name, hay), [text.encode()]).fetchone()[0]:
                found.append(f"{table}.{column}")
    return found


def an_event(acme, calendar, title, **more):
    """Put an event into a calendar by hand."""
    body = {
        "summary": title,
        "description": f"about {title}",
        "location": f"at {title}",
        "start": {"dateTime": "2031-03-04T09:00:00-06:00", "timeZone": ZONE},
        "end": {"dateTime": "2031-03-04T10:00:00-06:00", "timeZone": ZONE},
        **more,
    }
    return acme.google.records["events"].add(body, {"calendar": calendar})


@pytest.mark.behaviour("CAL-7")
async def test_nothing_of_a_private_event_is_kept(store, tmp_path, database_url):
    async with fleet(store, tmp_path, choices={"two_way": "reschedule"}, **SAMPLE) as acme:
        await acme.apply()
        one, other, *_ = sorted(acme.emails.values())
        an_event(acme, one, "Open lunch")
        an_event(acme, one, SECRET, visibility="private")
        weekly = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"]}
        an_event(acme, one, f"{SECRET} weekly", visibility="confidential", **weekly)
        turned = an_event(acme, one, f"{SECRET} later")
        at = {"visibility": "private"}
        view = await acme.apply()
        assert view.writes == 0, brief(view)
        assert places_in_store(database_url, "Open lunch")
        assert places_in_store(database_url, f"{SECRET} later")
        acme.google.records["events"].edit(turned["id"], at, {"calendar": one})

        text = builtin()["calendar-to-calendar"]
        bound = {"from": f"google/{one}", "to": f"google/{other}", "zone": ZONE}
        await store.install_recipe("calendar-to-calendar", text, bound, {})
        copied = await passes.apply(acme.hub, "calendar-to-calendar", confirmed=1000)
        assert copied.failed == 0, brief(copied)
        there = [event for event in acme.events() if event["calendarId"] == other]
        assert any(event.get("summary") == "Open lunch" for event in there)
        assert not any(SECRET in str(event) for event in there)
        starts = [event["start"]["dateTime"][:10] for event in there]
        assert starts.count("2031-03-04") == 4
        assert (await passes.apply(acme.hub, "calendar-to-calendar")).writes == 0
        assert (await acme.apply()).writes == 0
        assert places_in_store(database_url, SECRET) == []


@pytest.mark.behaviour("CAL-7")
async def test_what_was_copied_is_taken_out_of_the_copy_of_what_became_private(store, tmp_path):
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        one, other, *_ = sorted(acme.emails.values())
        mine = an_event(acme, one, SECRET)
        text = builtin()["calendar-to-calendar"]
        bound = {"from": f"google/{one}", "to": f"google/{other}", "zone": ZONE}
        await store.install_recipe("calendar-to-calendar", text, bound, {})
        await passes.apply(acme.hub, "calendar-to-calendar")
        (copy,) = (event for event in acme.events() if event["calendarId"] == other)
        assert SECRET in str(copy)
        at = {"visibility": "private"}
        acme.google.records["events"].edit(mine["id"], at, {"calendar": one})
        await passes.apply(acme.hub, "calendar-to-calendar")
        (copy,) = (event for event in acme.events() if event["calendarId"] == other)
        assert SECRET not in str(copy)
        assert copy["start"]["dateTime"][:10] == "2031-03-04"
        assert (await passes.apply(acme.hub, "calendar-to-calendar")).writes == 0
