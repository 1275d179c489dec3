"""Random work in a simulated office, and what must be seen after it."""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from support.fleet import ZONE, Fleet
from truckroll.app import accounts, people
from truckroll_sim.servicetitan import work

BREAK = timedelta(minutes=61)
CIRCLE = "calendar-to-calendar"
ALL_RIGHT = 100_000
"""A person's answer to every brake: so many removals are right."""


def instant(at: str | datetime) -> datetime:
    """The instant that an API's text says, or a row."""
    return (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(UTC)


def api_text(at: datetime) -> str:
    """An instant as the API takes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Hours:
    """A clock for the hub that may be put forward, so that a day's work is not one hour's."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """The present instant for the hub."""
        return datetime.now(UTC) + self.ahead

    def rest(self) -> None:
        """Let more than an hour go by."""
        self.ahead += BREAK


@dataclass
class Office:
    """A random office: it books, moves, staffs and cancels, and technicians meddle.

    `of` says which calendar a technician's is, as far as somebody said it. `kept` are visits in
    the calendar of a technician who was taken out of the map, `stood` what was there at the last
    pass: visit, technician, calendar.
    """

    acme: Fleet
    chance: random.Random
    hours: Hours
    spare: list[str] = field(default_factory=list)
    of: dict[int, str | None] = field(default_factory=dict)
    kept: dict[tuple[int, int], str] = field(default_factory=dict)
    stood: list[tuple[int, int, str]] = field(default_factory=list)
    meddled: set[str | None] = field(default_factory=set)
    did: list[str] = field(default_factory=list)

    async def change(self) -> None:
        """Do one thing that can be done."""
        acts = (
            (20, self.staff), (15, self.reassign), (10, self.unassign), (12, self.move),
            (6, self.cancel), (6, self.restore), (5, self.book), (5, self.add_visit),
            (4, self.delete_visit), (5, self.work), (8, self.meddle),
        )  # fmt: skip
        before = len(self.did)
        while len(self.did) == before:
            weights, deeds = zip(*acts, strict=True)
            with suppress(ValueError, KeyError, IndexError):
                self.chance.choices(deeds, weights)[0]()

    def _say(self, act: str, **body: Any) -> Any:
        answer = self.acme.office(act, **body)
        self.did.append(f"{act} {body}")
        return answer

    def _visit(self) -> dict[str, Any]:
        return self.chance.choice(list(self.acme.visits().values()))

    def _crew(self, least: int = 0) -> list[int]:
        return self.chance.sample(list(self.acme.emails), self.chance.randint(least, 3))

    def _present(self, visit: int) -> list[int]:
        return [one["technicianId"] for one in work.crew(self.acme.titan.tenant, visit)]

    def staff(self) -> None:
        """Set who goes, several at once or nobody."""
        self._say("assign", appointmentId=self._visit()["id"], technicianIds=self._crew())

    def reassign(self) -> None:
        """Give a visit from one technician to another."""
        number = self._visit()["id"]
        there = self._present(number)
        others = [one for one in self.acme.emails if one not in there]
        there[self.chance.randrange(len(there))] = self.chance.choice(others)
        self._say("assign", appointmentId=number, technicianIds=there)

    def unassign(self) -> None:
        """Take one technician off."""
        number = self._visit()["id"]
        there = self._present(number)
        there.pop(self.chance.randrange(len(there)))
        self._say("assign", appointmentId=number, technicianIds=there)

    def move(self) -> None:
        """Drag a visit to another time, or make it longer."""
        visit = self._visit()
        begin, end = instant(visit["start"]), instant(visit["end"])
        by = timedelta(minutes=30 * self.chance.randint(-6, 12))
        times = {"start": api_text(begin + by), "end": api_text(end + by)}
        if self.chance.random() < 0.3:
            times = {"end": api_text(end + timedelta(minutes=30))}
        self._say("reschedule", appointmentId=visit["id"], **times)

    def cancel(self) -> None:
        """Cancel a job, with all of its visits."""
        self._say("cancel", jobId=self._visit()["jobId"])

    def restore(self) -> None:
        """Take back the cancellation of a job."""
        tenant = self.acme.titan.tenant
        gone = [row["id"] for row in tenant["jobs"].seen() if row["_canceled"]]
        job = self.chance.choice(gone)
        work.restore_job(tenant, job)
        self.did.append(f"restore {job}")

    def book(self) -> None:
        """Book a job like another one, with a crew."""
        like = self.acme.titan.records["jobs"].get(str(self._visit()["jobId"]), {})
        names = ("customerId", "locationId", "businessUnitId", "jobTypeId", "campaignId")
        body = {name: like[name] for name in (*names, "priority", "summary")}
        self._say("book", **body, appointments=[self._times()])

    def add_visit(self) -> None:
        """Put one more visit on a job."""
        self._say("add_visit", jobId=self._visit()["jobId"], **self._times())

    def _times(self) -> dict[str, Any]:
        at = instant(self._visit()["start"]) + timedelta(hours=self.chance.randint(1, 9))
        ends = at + timedelta(hours=1)
        return {"start": api_text(at), "end": api_text(ends), "technicianIds": self._crew()}

    def delete_visit(self) -> None:
        """Delete a visit from its job."""
        self._say("delete_visit", appointmentId=self._visit()["id"])

    def work(self) -> None:
        """Drive off, arrive or be done."""
        act = self.chance.choice(("dispatch", "dispatch", "arrive", "done"))
        self._say(act, appointmentId=self._visit()["id"])

    def meddle(self) -> None:
        """Delete an event by hand, or all of a calendar one by one."""
        book = self.chance.choice([one for one in self.of.values() if one])
        events = [one for one in self.acme.events() if one["calendarId"] == book]
        several = len(events) if self.chance.random() < 0.2 else 1
        for event in self.chance.sample(events, several):
            self.acme.google.records["events"].remove(event["id"], {"calendar": book})
        self.meddled.add(book)
        self.did.append(f"delete {several} by hand in {book}")

    async def remap(self) -> None:
        """Say anew whose calendar is whose, or that somebody has none."""
        technician = self.chance.choice(list(self.of))
        taken = {*self.of.values(), *self.kept.values()}
        free = [one for one in self.spare if one not in taken]
        own = self.acme.emails[technician]
        wanted = self.chance.choice([own, own, *free, None])
        if wanted is None:
            if self.of[technician] in (None, *self.meddled):
                return
            await people.unmap(self.acme.hub, self.person(technician))
            self.kept |= {(v, who): book for v, who, book in self.stood if who == technician}
            self.of[technician] = None
        else:
            await people.map_person(self.acme.hub, self.person(technician), wanted, by="test")
            self.of[technician] = wanted
            self.kept = {one: book for one, book in self.kept.items() if one[1] != technician}
        self.did.append(f"{technician} has {wanted}")

    def person(self, technician: int) -> str:
        """How the source names a technician."""
        row = self.acme.titan.tenant.row("technicians", technician)
        return f"{row['name']} <{row['email']}>"

    def _wanted(self) -> list[tuple[int, int, str]]:
        """Each standing visit with each technician on it and the calendar it belongs into."""
        standing, found = self.acme.visits(), []
        on = {
            (row["appointmentId"], row["technicianId"])
            for row in self.acme.titan.records["assignments"].list({})
            if row["active"] and row["appointmentId"] in standing
        }
        self.kept = {one: book for one, book in self.kept.items() if one in on}
        for visit, technician in sorted(on):
            book = self.of[technician] or self.kept.get((visit, technician))
            if book:
                found.append((visit, technician, book))
        return found

    def should(self) -> Counter:
        """What the calendars should show: calendar, job, start and end of each event."""
        standing, self.stood = self.acme.visits(), self._wanted()
        self.meddled.clear()
        jobs = {row["id"]: row["jobNumber"] for row in self.acme.titan.records["jobs"].list({})}
        return Counter(
            (book, jobs[row["jobId"]], instant(row["start"]), instant(row["end"]))
            for visit, _, book in self.stood
            for row in [standing[visit]]
        )

    def does(self) -> Counter:
        """What the calendars show."""
        return Counter(
            (
                event["calendarId"],
                event["summary"].split()[0],
                instant(event["start"]["dateTime"]),
                instant(event["end"]["dateTime"]),
            )
            for event in self.acme.events()
        )

    def differs(self) -> str:
        """In what the calendars differ from what they should show; "" if in nothing."""
        should, does = self.should(), self.does()
        return f"missing: {should - does}; too many: {does - should}" if should != does else ""


async def office(acme: Fleet, seed: int, *, spare: int = 0, without: int = 0) -> Office:
    """Open an office at a fleet: `spare` calendars are nobody's, `without` have none."""
    acme.titan.tenant.habits.calls_a_second = 0  # waits are not tested
    hours = Hours()
    acme.hub = replace(acme.hub, now=hours.now)
    made = Office(acme, random.Random(seed), hours)
    for number in range(spare):
        fields = {"summary": f"Spare {number}", "timeZone": ZONE}
        made.spare.append(acme.google.records["calendars"].add(fields, {})["id"])
    if spare:
        await accounts.refresh(acme.hub, "google")
    made.of = dict(acme.emails)
    for technician in list(made.of)[len(made.of) - without :]:
        await people.unmap(acme.hub, made.person(technician))
        made.of[technician] = None
    return made
