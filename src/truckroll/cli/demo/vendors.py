"""The second chapter: a company that works with ServiceTitan, Google and Radicale.

ServiceTitan and Google are simulated on this machine; Radicale is real.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from truckroll.app.simulators import Simulators
from truckroll.cli.demo.story import RECIPE, secrets

if TYPE_CHECKING:
    from truckroll.cli.demo.story import Story

Chapter = Callable[["Story"], None]

ZONE = "America/Chicago"
VISITS, DAYS, TECHNICIANS, ON_GOOGLE = 60, 7, 8, 3


def tell(story: Story) -> None:
    """Tell of a company whose office works in ServiceTitan."""
    vendors = story.stage.simulators = Simulators(story.stage.folder)
    names = _company(vendors)
    _set_up(story, vendors, names)
    _first_fill(story, vendors, names)
    office = _both_move(story, vendors, names)
    _looking_back(story, vendors, office)


def _company(vendors: Simulators) -> list[str]:
    """Make the company, with visits from tomorrow on; return its technicians' names."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    size = {"technicians": TECHNICIANS, "appointments": VISITS, "customers": 20, "days": DAYS}
    return vendors.company(on_google=ON_GOOGLE, zone=ZONE, first_day=tomorrow, **size)


def _set_up(story: Story, vendors: Simulators, names: list[str]) -> None:
    story.say(
        f"Prairie Air has {TECHNICIANS} technicians, too, and its office works in ServiceTitan."
        f" {ON_GOOGLE} technicians look at Google calendars, the others at the calendars of a"
        " Radicale server. Neither ServiceTitan nor Google is asked: both are simulated on this"
        " machine, by what the vendors publish of their interfaces."
    )
    story.run("init")
    for name, system in (("titan", "servicetitan"), ("google", "google-calendar")):
        options, said = vendors.answers(system)
        with secrets(**said):
            words = ("account", "add", name, "--system", system, "--zone", ZONE)
            story.run(*words, *options)
    story.add_calendars(names[ON_GOOGLE:])
    story.run(*("recipe", "install", RECIPE, "--from", "titan", "--to", "google,field"))
    story.run("recipe", "set", RECIPE, "two_way=reschedule")
    story.run("people", "suggest", "--take-sure")


def _first_fill(story: Story, vendors: Simulators, names: list[str]) -> None:
    story.say("The first look: every visit, in the calendar of everybody who goes there.")
    story.run("plan")
    story.check(not _events(vendors), "a plan wrote something")
    story.run("apply")
    there = len(_events(vendors)) + sum(
        len(story.calendars.events(one)) for one in names[ON_GOOGLE:]
    )
    said = re.search(r"(\d+) writes", story.ran[-1].output)
    story.check(said is not None and int(said[1]) == there, "the run and the calendars disagree")
    story.screen.line(
        f"  There are {there} events now, say Google and Radicale. {_mailed(vendors)}"
    )
    story.say("Once more, nothing is to be done:")
    story.check("0 writes" in story.run("apply"), "the second pass wrote")


def _both_move(story: Story, vendors: Simulators, names: list[str]) -> str:
    visits = _visits(vendors)
    events = _events(vendors)
    mine = {event["summary"].split()[0]: event for event in events}
    job, event = next((job, event) for job, event in mine.items() if job in visits)
    other = next(number for number in sorted(visits) if number not in mine)
    story.say(
        f"The office drags job {other} two hours later on ServiceTitan's board. At the same time"
        f" {names[0].split()[0]} or a colleague moves job {job} by an hour on a phone, in Google"
        " Calendar. This company has chosen that such a move reschedules the visit."
    )
    moved = _later(visits[other], hours=2)
    vendors.ask(
        "POST",
        "/_sim/servicetitan/acts/reschedule",
        {**moved, "appointmentId": visits[other]["id"]},
    )
    times = {side: _shifted(event[side], hours=1) for side in ("start", "end")}
    path = f"/_sim/google-calendar/records/events/{event['id']}?calendar={event['calendarId']}"
    vendors.ask("PATCH", path, times)
    story.run("plan", codes=(0, 1))
    story.run("apply", codes=(0, 1))
    run = story.last_run()
    now = _visits(vendors)[job]["start"]
    story.check(now != visits[job]["start"], "ServiceTitan was not told")
    story.screen.line(f"  ServiceTitan said {visits[job]['start']} for {job}, and says {now} now.")
    story.check("0 writes" in story.run("apply", codes=(0, 1)), "the second pass wrote")
    story.say("Why is it as it is?")
    story.run("why", job)
    return run


def _looking_back(story: Story, vendors: Simulators, office: str) -> None:
    story.say(f"And run {office} can be taken back, in all three systems:")
    story.run("undo", office)
    last = story.run("apply", codes=(0, 1))
    story.check("0 writes" in last, "the last pass wrote")
    story.screen.text(_mailed(vendors), indent="  ")


def _mailed(vendors: Simulators) -> str:
    told = [
        one
        for system in ("servicetitan", "google-calendar")
        for one in vendors.listed(f"{system}/outbox")
    ]
    return f"{len(told) or 'No'} mails went to customers or technicians, say their outboxes."


def _events(vendors: Simulators) -> list[dict[str, Any]]:
    listed = vendors.listed("google-calendar/records/events")
    return [one for one in listed if one["status"] != "cancelled"]


def _visits(vendors: Simulators) -> dict[str, dict[str, Any]]:
    """Return the visits that are to come, by the number of their job; one of each job."""
    rows = vendors.listed("servicetitan/records/appointments")
    return {str(row["jobId"]): row for row in rows if row["status"] == "Scheduled"}


def _later(visit: dict[str, Any], *, hours: int) -> dict[str, str]:
    moved = timedelta(hours=hours)
    return {
        side: (datetime.fromisoformat(visit[side]) + moved).isoformat() for side in ("start", "end")
    }


def _shifted(moment: dict[str, str], *, hours: int) -> dict[str, str]:
    at = datetime.fromisoformat(moment["dateTime"]) + timedelta(hours=hours)
    return {**moment, "dateTime": at.isoformat()}
