"""What follows a cancellation, an early end or a delay: offered, done in one run, undone as one."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from support.company import brief, company
from support.fleet import ZONE, fleet
from truckroll.app import follow, passes
from truckroll.app.trouble import TroubleError
from truckroll.connectors.file import disk
from truckroll.kit.errors import HoldRecord
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


async def test_a_free_slot_is_given_to_a_job_that_was_nobodys(store, tmp_path, fresh_radicale):
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


class Board:
    """A technician's day in ServiceTitan, put together from visits of the sample."""

    def __init__(self, acme, server, who):
        self.acme, self.server, self.who = acme, server, who
        self.mail = acme.emails[who]
        self.day = (datetime.now(ZoneInfo(ZONE)) + timedelta(days=2)).date()

    def instant(self, clock):
        wall = datetime.fromisoformat(f"{self.day}T{clock}").replace(tzinfo=ZoneInfo(ZONE))
        return wall.astimezone(UTC)

    def put(self, visit, clock, *, who=None, minutes=60):
        """Put a visit into the day, promised for any time of it."""
        say = lambda at: at.isoformat().replace("+00:00", "Z")  # noqa: E731 -- one use
        begin = self.instant(clock)
        self.acme.office(
            "reschedule",
            appointmentId=visit,
            start=say(begin),
            end=say(begin + timedelta(minutes=minutes)),
            arrivalWindowStart=say(self.instant("08:00")),
            arrivalWindowEnd=say(self.instant("17:00")),
        )
        self.acme.office(
            "assign", appointmentId=visit, technicianIds=[self.who] if who is None else who
        )

    def shown(self):
        """Return the begins in the technician's calendar by job number, on that day."""
        if self.server is None:
            events = self.acme.google.records["events"].list({"calendar": self.mail})
            found = {
                one["summary"]: datetime.fromisoformat(one["start"]["dateTime"])
                for one in events
                if one["status"] != "cancelled"
            }
        else:
            texts = self.server.events(self.mail.partition("@")[0]).values()
            read = [read_calendar(text.encode()).entries[0].fields for text in texts]
            found = {one["title"]: one["when"].begins for one in read}
        local = {title.split()[0]: at.astimezone(ZoneInfo(ZONE)) for title, at in found.items()}
        return {job: f"{at:%H:%M}" for job, at in local.items() if at.date() == self.day}

    def titan(self, visit):
        row = self.acme.titan.records["appointments"].get(str(visit), {})
        return f"{row['start'].astimezone(ZoneInfo(ZONE)):%H:%M}"


@pytest.mark.behaviour("CAL-3")
@pytest.mark.parametrize("target", ["google", "radicale"])
async def test_a_cancellation_in_servicetitan_is_followed_in_one_run_and_undone_as_one(
    store, tmp_path, fresh_radicale, target
):
    sample = {"technicians": 3, "appointments": 12, "days": 6, "crew_share": 0.0}
    sample |= {"return_share": 0.0, "first_day": str(date.today() + timedelta(days=4))}  # noqa: DTZ011
    async with fleet(store, tmp_path, server=fresh_radicale, on_server=1, **sample) as acme:
        folk = [row["id"] for row in acme.titan.records["technicians"].list({})]
        board = (
            Board(acme, None, folk[0])
            if target == "google"
            else Board(acme, fresh_radicale, folk[-1])
        )
        first, second, third, loose = sorted(acme.visits())[:4]
        jobs = {one: str(row["jobId"]) for one, row in acme.visits().items()}
        board.put(first, "10:00")
        board.put(second, "11:30")
        board.put(third, "13:00")
        board.put(loose, "16:00", who=[])
        await acme.apply()
        assert board.shown() == {jobs[first]: "10:00", jobs[second]: "11:30", jobs[third]: "13:00"}

        acme.office("cancel", jobId=int(jobs[first]))
        await acme.apply()
        (happened,) = await follow.offers(acme.hub)
        assert happened.what.endswith("10:00–11:00 was cancelled")
        up, give = happened.offers[:2]
        moved = f"{jobs[second]} 11:30→10:00, {jobs[third]} 13:00→11:30"
        assert up.says == f"move 2 later visits up ({moved})"
        assert give.says.startswith(f"give 10:00–11:00 to {jobs[loose]} ")
        assert "(unassigned, 60 min, " in give.says

        acme.forget_calls()
        planned = await follow.take_offer(acme.hub, up.code, by="kim", plan=True)
        assert planned.by_op == {"update": 4}
        assert not acme.written_to_titan()

        done = await follow.take_offer(acme.hub, up.code, by="kim")
        assert done.by_op == {"update": 4}, brief(done)
        assert board.shown() == {jobs[second]: "10:00", jobs[third]: "11:30"}
        assert (board.titan(second), board.titan(third)) == ("10:00", "11:30")
        assert len([one for one in acme.written_to_titan() if one.endswith("/reschedule")]) == 2
        assert (await acme.apply()).writes == 0

        back = await passes.undo_run(acme.hub, done.run)
        assert (back.writes, back.not_undone) == (4, [])
        assert board.shown() == {jobs[second]: "11:30", jobs[third]: "13:00"}
        assert (board.titan(second), board.titan(third)) == ("11:30", "13:00")
        assert (await acme.apply()).writes == 0

        (happened,) = await follow.offers(acme.hub)
        give = next(one for one in happened.offers if one.says.startswith("give"))
        given = await follow.take_offer(acme.hub, give.code, by="kim")
        assert given.by_op == {"create": 1, "update": 1}, brief(given)
        assert board.shown()[jobs[loose]] == "10:00"
        crew = acme.titan.records["assignments"].list({})
        assert [
            row["technicianId"] for row in crew if row["appointmentId"] == loose and row["active"]
        ] == [board.who]
        await passes.undo_run(acme.hub, given.run)
        assert jobs[loose] not in board.shown()
        assert (await acme.apply()).writes == 0
        assert not acme.google.kit.outbox.messages


@pytest.mark.behaviour("CAL-3")
async def test_a_job_done_early_moves_its_end_says_so_and_frees_time(
    store, tmp_path, fresh_radicale
):
    sample = {"technicians": 2, "appointments": 8, "days": 6, "crew_share": 0.0}
    sample |= {"return_share": 0.0, "first_day": str(date.today() + timedelta(days=4))}  # noqa: DTZ011
    async with fleet(store, tmp_path, server=fresh_radicale, on_server=1, **sample) as acme:
        technician = acme.titan.records["technicians"].list({})[0]["id"]
        board = Board(acme, None, technician)
        first, second = sorted(acme.visits())[:2]
        jobs = {one: str(row["jobId"]) for one, row in acme.visits().items()}
        board.put(first, "10:00")
        board.put(second, "11:30")
        await acme.apply()
        acme.office("arrive", appointmentId=first)
        acme.office("done", appointmentId=first)
        early = board.instant("10:40").isoformat().replace("+00:00", "Z")
        acme.titan.records["jobs"].edit(jobs[first], {"completedOn": early}, {})
        passed = await acme.apply()
        (step,) = [one for one in passed.steps if "when" in one.fields]
        assert step.reason == "done early, at 10:40, in the tenant “titan”"
        assert step.fields["when"].new.endswith("10:00–10:40")
        (link,) = await store.find_links(jobs[first])
        assert any(step.reason == line.text for line in await store.story(link.id))

        (happened,) = await follow.offers(acme.hub)
        assert happened.what.endswith("was done early, at 10:40 and not at 11:00")
        assert happened.offers[0].says == f"move 1 later visit up ({jobs[second]} 11:30→10:40)"
        await follow.take_offer(acme.hub, happened.offers[0].code, by="kim")
        assert board.shown() == {jobs[first]: "10:00", jobs[second]: "10:40"}
        assert (await acme.apply()).writes == 0


@pytest.mark.behaviour("CAL-3")
async def test_a_delay_moves_the_end_and_offers_to_move_what_it_meets(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Ana", "Ben") as made:
        made.rows = rows()
        made.rows[2]["Start"] = f"{DAY} 12:45"
        made.save()
        await made.apply()
        change(made, "J-1042", Duration="90")
        passed = await made.apply()
        assert [one.reason.partition(" in ")[0] for one in passed.steps] == [
            "ends later, at 13:00,"
        ]
        offers, (happened,) = await the_offers(made)
        assert happened.what.endswith("J-1042 Visit 1042 ends later, at 13:00 and not at 12:30")
        assert [one.says for one in offers.values()] == [
            "move 1 later visit back (J-1051 12:45→13:00)"
        ]
        done = await follow.take_offer(made.hub, offers["a"].code, by="kim")
        assert times(made, "ana")["J-1051"] == "13:00–14:00"
        assert starts(made)["J-1051"] == "13:00"
        assert (await made.undo(done.run)).not_undone == []
        assert times(made, "ana")["J-1051"] == "12:45–13:45"


async def test_a_delay_that_is_refused_is_followed_too(store, tmp_path, fresh_radicale):
    async with company(store, tmp_path, fresh_radicale, "Ana", "Ben", overlap="refuse") as made:
        made.rows = rows()
        made.rows[2]["Start"] = f"{DAY} 12:45"
        made.save()
        await made.apply()
        change(made, "J-1042", Duration="90")
        assert (await made.apply()).writes == 0
        assert times(made, "ana")["J-1042"] == "11:30–12:30"
        offers, _ = await the_offers(made)
        assert offers["a"].says == "move 1 later visit back (J-1051 12:45→13:00)"
        done = await follow.take_offer(made.hub, offers["a"].code, by="kim")
        assert done.by_op == {"update": 2}, brief(done)
        assert (await made.apply()).by_op == {"update": 1}
        assert times(made, "ana") == {
            "J-1033": "10:00–11:00",
            "J-1042": "11:30–13:00",
            "J-1051": "13:00–14:00",
        }
        assert (await made.apply()).writes == 0


async def test_an_end_moved_in_the_calendar_is_followed_too(store, tmp_path, fresh_radicale):
    async with company(store, tmp_path, fresh_radicale, "Ana", "Ben", two_way="reschedule") as made:
        made.rows = rows()
        made.save()
        await made.apply()
        name, text = next(
            one for one in made.server.events("ana").items() if "SUMMARY:J-1033" in one[1]
        )
        assert "T110000" in text
        made.server.put("ana", name, text.replace("T110000", "T103000"))
        await made.apply()
        assert {one["Job"]: one["Duration"] for one in made.saved()}["J-1033"] == "30"
        offers, (happened,) = await the_offers(made)
        assert happened.what.endswith("ends earlier, at 10:30 and not at 11:00")
        assert "J-1042 11:30→10:30" in offers["a"].says


async def test_what_the_source_does_not_take_reaches_no_calendar(
    store, tmp_path, fresh_radicale, monkeypatch
):
    async with company(store, tmp_path, fresh_radicale, "Ana", "Ben") as made:
        made.rows = rows()
        made.save()
        await made.apply()
        change(made, "J-1033", Status="Cancelled")
        await made.apply()
        offers, _ = await the_offers(made)
        before = times(made, "ana")
        refuse_writes(monkeypatch)
        done = await follow.take_offer(made.hub, offers["a"].code, by="kim")
        assert done.writes == 0
        assert done.failures == [
            "J-1042 Visit 1042 stays as it was: The table is locked by a program.",
            "J-1051 Visit 1051 stays as it was: it waits for the visit before it, which was not moved",
        ]
        monkeypatch.undo()
        assert (await made.apply()).writes == 0
        assert times(made, "ana") == before
        ids = list((await store.technicians(["Ana"])).values())
        day = made.hub.now() + timedelta(days=7)
        assert await store.claims_between(ids, made.hub.now(), day, at=made.hub.now()) == []
        again, _ = await the_offers(made)
        assert again["a"].code == offers["a"].code
        assert (await follow.take_offer(made.hub, again["a"].code, by="kim")).writes == 4


def refuse_writes(monkeypatch):
    def write(*_):
        raise HoldRecord("The table is locked by a program.")

    monkeypatch.setattr(disk, "write", write)
