"""The first chapter: a company that keeps its visits in a table, and calendars on Radicale."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from truckroll.app.demo import TECHNICIANS, ZONE, Table
from truckroll.cli.demo.story import RECIPE

if TYPE_CHECKING:
    from truckroll.cli.demo.story import Story


def tell(story: Story) -> None:
    """Tell of a company that keeps its visits in a table."""
    table = Table(story.stage.folder / "jobs.csv")
    _set_up(story, table)
    _first_fill(story)
    office = _office(story, table)
    _technicians(story, table)
    _looking_back(story, office)


def _set_up(story: Story, table: Table) -> None:
    rows = table.write(date.today())  # noqa: DTZ011 -- the person's own day is meant
    story.say(
        f"Acme Comfort repairs heating and cooling. Its office keeps {rows} visits in a table, and"
        f" each of its {len(TECHNICIANS)} technicians looks at a calendar on a phone. Nothing here"
        " leaves this machine: the calendars are on a Radicale server that was just started."
    )
    story.run("init")
    story.run(
        *("account", "add", "jobs", "--system", "file", "--zone", ZONE),
        *("--path", str(table.path)),
    )
    story.add_calendars(TECHNICIANS)
    story.say("A recipe says what is kept in step. If a technician moves a visit, it shall ask.")
    story.run(*("recipe", "install", RECIPE, "--from", "jobs", "--to", "field"))
    story.run("recipe", "set", RECIPE, "two_way=ask", "travel_minutes=15")
    story.run("people", "suggest", "--take-sure")


def _first_fill(story: Story) -> None:
    story.say("Before anything is written, every write is named.")
    story.run("plan")
    story.check(not _count(story), "a plan wrote something")
    story.run("apply")
    there = _count(story)
    story.screen.line(f"  The calendars have {there} events now, says the calendar server.")
    said = re.search(r"(\d+) writes", story.ran[-1].output)
    story.check(said is not None and int(said[1]) == there, "the run and the server disagree")
    story.say(
        "Among them: a crew job in three calendars (J-1057), a weekly visit with one cancelled and"
        " one moved (J-1058), a series that goes on through the change of the clocks (J-1059), and"
        " a night watch in that very night (J-1060). Once more, nothing is to be done:"
    )
    story.check("0 writes" in story.run("apply"), "the second pass wrote")


def _office(story: Story, table: Table) -> str:
    story.say(
        "The office works in its table: one visit is moved, one goes to somebody else, one is"
        " cancelled, and of the weekly visits one more is cancelled."
    )
    table.move("J-1004", hours=2)
    table.change("J-1012", Technicians="Eli Stone")
    table.change("J-1020", Status="Cancelled")
    series = table.rows()["J-1058"]
    third = re.findall(r"\d{4}-\d\d-\d\d", series["Exceptions"])[1]
    table.change("J-1058", Exceptions=series["Exceptions"].split(";")[0] + f"; {third} cancelled")
    story.run("plan")
    story.run("apply")
    return story.last_run()


def _technicians(story: Story, table: Table) -> None:
    story.say("Ana moves a visit on her phone, three hours later. Nobody asked the office.")
    before = table.rows()["J-1001"]["Start"]
    story.calendars.move("Ana Ruiz", "J-1001", hours=3)
    plan = story.run("plan", codes=(1,))
    story.check("J-1001" in plan and "by hand" in plan, "the move was not noticed")
    story.say("It waits for the dispatcher, who thinks that Ana is right.")
    story.run("holds", "--accept", "J-1001")
    story.run("apply")
    after = table.rows()["J-1001"]["Start"]
    story.screen.line(f"  The table said {before} for J-1001, and says {after} now.")
    story.check(after != before, "the table was not told")
    story.say("Ben tries the same. This time the dispatcher wants it back.")
    was = story.text("Ben Cole", "J-1002")
    story.calendars.move("Ben Cole", "J-1002", hours=3)
    story.run("plan", codes=(1,))
    story.run("holds", "--restore", "J-1002")
    story.run("apply")
    story.check(_times(story.text("Ben Cole", "J-1002")) == _times(was), "it was not put back")


def _looking_back(story: Story, office: str) -> None:
    story.say("Why is it as it is? Ask about any visit, by its number or a part of its title.")
    story.run("why", "J-1001")
    story.say(f"The office's changes of run {office} were a mistake? They can be taken back.")
    story.run("undo", office)
    story.say(
        "What was undone is left alone until somebody changes it. A last pass, and the proof that"
        " all is in step:"
    )
    last = story.run("apply", codes=(0, 1))
    story.check("0 writes" in last, "the last pass wrote")


def _count(story: Story) -> int:
    return sum(len(story.calendars.events(title)) for title in TECHNICIANS)


def _times(text: str) -> list[str]:
    return re.findall(r"^DT(?:START|END).*$", text, re.MULTILINE)
