"""Days of a company whose office works in ServiceTitan, and half of whose calendars are Google's."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from support.company import brief
from support.fleet import ZONE, fleet
from truckroll.kit.ical.read import read_calendar

TECHNICIANS, ON_SERVER = 4, 2


class Days:
    """A fleet on two kinds of calendars, read by what is written in them."""

    def __init__(self, acme, server):
        self.acme = acme
        self.server = server
        rows = acme.titan.records["technicians"].list({})
        self.mails = {row["id"]: row["email"] for row in rows}
        self.on_google = [row["id"] for row in rows[: TECHNICIANS - ON_SERVER]]
        self.on_server = [row["id"] for row in rows[TECHNICIANS - ON_SERVER :]]

    def box(self, technician):
        """Return the texts of a technician's events, each with its begin and end (UTC)."""
        mail = self.mails[technician]
        if technician in self.on_google:
            events = self.acme.google.records["events"].list({"calendar": mail})
            return {
                event["summary"]: (moment(event["start"]), moment(event["end"]))
                for event in events
                if event["status"] != "cancelled"
            }
        texts = self.server.events(mail.partition("@")[0]).values()
        shown = [read_calendar(text.encode()).entries[0].fields for text in texts]
        return {one["title"]: (one["when"].begins, one["when"].ends) for one in shown}

    def visit(self, technician):
        """Return a visit that this technician alone goes to."""
        crews = {}
        for number, mail in self.acme.assigned():
            crews.setdefault(number, set()).add(mail)
        mine = [one for one, crew in crews.items() if crew == {self.mails[technician]}]
        return self.acme.visits()[min(mine)]

    def times(self, technician, visit):
        """Return when a technician's calendar has a visit, None where it has not."""
        job = str(visit["jobId"])
        found = [times for title, times in self.box(technician).items() if title.startswith(job)]
        assert len(found) <= 1, "a visit stands in a calendar twice"
        return found[0] if found else None


def moment(said):
    return datetime.fromisoformat(said["dateTime"]).astimezone(UTC)


async def both(store, tmp_path, server, **sample):
    size = {"technicians": TECHNICIANS, "appointments": 24, "days": 8, "return_share": 0.0}
    return fleet(store, tmp_path, server=server, on_server=ON_SERVER, **{**size, **sample})


@pytest.mark.behaviour("CAL-2")
async def test_what_the_office_changes_reaches_both_kinds_of_calendars(
    store, tmp_path, fresh_radicale
):
    async with await both(store, tmp_path, fresh_radicale) as acme:
        days = Days(acme, fresh_radicale)
        first = await acme.apply()
        assert first.by_op == {"create": len(acme.assigned())}, brief(first)
        there = sum(len(days.box(one)) for one in (*days.on_google, *days.on_server))
        assert there == first.writes
        for event in acme.events():
            assert event["location"].endswith("Springfield, IL 62701, USA")
            for line in ("Work: ", "Contact: ", "Crew: "):
                assert line in event["description"], event["description"]

        ours, theirs = days.on_google[0], days.on_server[0]
        for who in (ours, theirs):
            visit = days.visit(who)
            acme.office("reschedule", appointmentId=visit["id"], **acme.later(visit["id"], hours=1))
        moved = [(who, days.visit(who)) for who in (ours, theirs)]
        assert (await acme.apply()).by_op == {"update": 2}
        for who, visit in moved:
            assert days.times(who, visit) == (visit["start"], visit["end"])

        given = days.visit(ours)
        acme.office("assign", appointmentId=given["id"], technicianIds=[theirs])
        assert (await acme.apply()).by_op == {"create": 1, "delete": 1}
        assert days.times(ours, given) is None
        assert days.times(theirs, given) == (given["start"], given["end"])
        assert (await acme.apply()).writes == 0
        assert not acme.google.kit.outbox.messages


async def test_cancelled_jobs_leave_and_a_visit_made_shorter_ends_earlier(
    store, tmp_path, fresh_radicale
):
    async with await both(store, tmp_path, fresh_radicale) as acme:
        days = Days(acme, fresh_radicale)
        await acme.apply()
        gone = [(who, days.visit(who)) for who in (days.on_google[0], days.on_server[0])]
        for _, visit in gone:
            acme.office("cancel", jobId=visit["jobId"])
        early = days.visit(days.on_google[1])
        half = (early["start"] + timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
        acme.office("reschedule", appointmentId=early["id"], end=half)
        done = await acme.apply()
        assert done.by_op == {"cancel": 2, "update": 1}, brief(done)
        says = "cancelled in the tenant “titan”"
        assert [one.reason for one in done.steps if one.op == "cancel"] == [says] * 2
        assert all(days.times(who, visit) is None for who, visit in gone)
        begin, end = days.times(days.on_google[1], early)
        assert end - begin == timedelta(minutes=30)
        assert (await acme.apply()).writes == 0


@pytest.mark.behaviour("CAL-5")
async def test_events_deleted_by_hand_are_put_back(store, tmp_path, fresh_radicale):
    async with await both(store, tmp_path, fresh_radicale) as acme:
        days = Days(acme, fresh_radicale)
        await acme.apply()
        ours, theirs = days.on_google[0], days.on_server[0]
        lost = [(who, days.visit(who)) for who in (ours, theirs)]
        job = str(lost[0][1]["jobId"])
        event = next(one for one in acme.events() if one["summary"].startswith(job))
        acme.google.records["events"].remove(event["id"], {"calendar": days.mails[ours]})
        calendar = days.mails[theirs].partition("@")[0]
        job = str(lost[1][1]["jobId"])
        name = next(one for one, text in days.server.events(calendar).items() if job in text)
        days.server.delete(calendar, name)
        back = await acme.apply()
        assert back.by_op == {"create": 2}, brief(back)
        assert all(one.reason.startswith("put back: it was deleted in") for one in back.steps)
        assert all(days.times(who, visit) is not None for who, visit in lost)
        assert (await acme.apply()).writes == 0


@pytest.mark.behaviour("CAL-11")
@pytest.mark.parametrize("change", ["2027-03-14", "2027-11-07"])
async def test_visits_around_a_change_of_the_clocks_are_at_their_hour(
    store, tmp_path, fresh_radicale, change
):
    zone = ZoneInfo(ZONE)
    day = datetime.fromisoformat(change).date()
    eve = (day - timedelta(days=1)).isoformat()
    sample = {"first_day": eve, "days": 3, "appointments": 16, "crew_share": 0.0}
    async with await both(store, tmp_path, fresh_radicale, **sample) as acme:
        days = Days(acme, fresh_radicale)
        await acme.apply()
        offsets = set()
        for who in (*days.on_google, *days.on_server):
            for begin, end in days.box(who).values():
                local = begin.astimezone(zone)
                assert 8 <= local.hour <= 16, "the sample's visits begin between eight and four"
                assert end > begin
                offsets.add(local.utcoffset())
        assert len(offsets) == 2, "visits lie on both sides of the change"
        assert (await acme.apply()).writes == 0
