"""demo: everything once, with a sample company, real calendars, and the real commands."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from truckroll.app.calendars import USER, Calendars
from truckroll.app.demo import TECHNICIANS, ZONE, Table
from truckroll.store.embedded import URL_VARIABLE, Embedded

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.cli.screen import Screen

RECIPE = "appointments-to-calendars"
_RUN = re.compile(r"run (\d+)")


class _BrokenPromiseError(Exception):
    """The demo found that something it had said is not so."""


class _Ran(NamedTuple):
    command: str
    code: int
    output: str


def demo(args: Namespace, screen: Screen) -> int:
    """Show the sample company's day; 1 where something that was said is not so."""
    folder = Path(tempfile.mkdtemp(prefix="truckroll-demo-"))
    # A company's own database is none of the demo's business.
    named = os.environ.pop(URL_VARIABLE, None)
    kept, data = False, None
    try:
        calendars = Calendars(folder / "calendars")
        database = Embedded(folder / "home")
        try:
            database.hold()
            data = database.data
            story = _Story(folder, calendars, screen)
            code = _tell(story)
            kept = args.keep and code == 0
        finally:
            database.let_go()
            if not kept:
                calendars.stop()
        screen.data({"well": code == 0, "commands": [ran._asdict() for ran in story.ran]})
        if kept:
            _how_to_go_on(screen, folder, data, calendars)
        return code
    finally:
        if named is not None:
            os.environ[URL_VARIABLE] = named
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
            if data is not None:  # under root it stands where the server's account can reach it
                shutil.rmtree(data.parent, ignore_errors=True)


class _Story:
    """The demo's teller: numbers its paragraphs, runs the real commands, checks what it says."""

    def __init__(self, folder: Path, calendars: Calendars, screen: Screen) -> None:
        self.folder = folder
        self.calendars = calendars
        self.screen = screen
        self.table = Table(folder / "jobs.csv")
        self.ran: list[_Ran] = []
        self._number = 0

    def say(self, text: str) -> None:
        """Begin a new paragraph."""
        self._number += 1
        self.screen.line()
        lead = f"{self._number}. "
        self.screen.text(text, indent=lead, hang=" " * len(lead))
        self.screen.line()

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command as a person would, and return what it printed."""
        from truckroll.cli.main import main  # noqa: PLC0415 -- it imports the commands

        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        self.screen.line(f"$ truckroll {shown}")
        heard = io.StringIO()
        with contextlib.redirect_stdout(heard):
            code = main(["--home", str(self.folder / "home"), *words])
        if not self.screen.json:
            sys.stdout.write(heard.getvalue())
            sys.stdout.flush()
        self.ran.append(_Ran(shown, code, heard.getvalue()))
        self.check(code in codes, f"“truckroll {shown}” ended with {code}")
        return heard.getvalue()

    def check(self, so: bool, otherwise: str) -> None:
        """Keep the demo honest: stop it where something is not so."""
        if not so:
            raise _BrokenPromiseError(otherwise)

    def last_run(self) -> str:
        """Return the number of the run that was told of last."""
        found = [match for ran in self.ran for match in _RUN.findall(ran.output)]
        return str(found[-1])


def _tell(story: _Story) -> int:
    try:
        _set_up(story)
        _first_fill(story)
        office = _office(story)
        _technicians(story)
        _looking_back(story, office)
    except _BrokenPromiseError as error:
        story.screen.line()
        story.screen.line(f"  ! The demo is not right here: {error}. Please report this.")
        return 1
    story.screen.line()
    return 0


def _set_up(story: _Story) -> None:
    rows = story.table.write(date.today())  # noqa: DTZ011 -- the person's own day is meant
    story.calendars.make(TECHNICIANS)
    story.say(
        f"Acme Comfort repairs heating and cooling. Its office keeps {rows} visits in a table, and"
        f" each of its {len(TECHNICIANS)} technicians looks at a calendar on a phone. Nothing here"
        " leaves this machine: the calendars are on a Radicale server that was just started."
    )
    story.run("init")
    story.run(
        *("account", "add", "jobs", "--system", "file", "--zone", ZONE),
        *("--path", str(story.table.path)),
    )
    os.environ["TRUCKROLL_PASSWORD"] = story.calendars.password
    try:
        story.run(
            *("account", "add", "field", "--system", "caldav", "--url", story.calendars.url),
            *("--user", USER, "--private", "yes"),
        )
    finally:
        del os.environ["TRUCKROLL_PASSWORD"]
    story.say("A recipe says what is kept in step. If a technician moves a visit, it shall ask.")
    story.run(*("recipe", "install", RECIPE, "--from", "jobs", "--to", "field"))
    story.run("recipe", "set", RECIPE, "two_way=ask", "travel_minutes=15")
    story.run("people", "suggest", "--take-sure")


def _first_fill(story: _Story) -> None:
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


def _office(story: _Story) -> str:
    story.say(
        "The office works in its table: one visit is moved, one goes to somebody else, one is"
        " cancelled, and of the weekly visits one more is cancelled."
    )
    table = story.table
    table.move("J-1004", hours=2)
    table.change("J-1012", Technicians="Eli Stone")
    table.change("J-1020", Status="Cancelled")
    series = table.rows()["J-1058"]
    third = re.findall(r"\d{4}-\d\d-\d\d", series["Exceptions"])[1]
    table.change("J-1058", Exceptions=series["Exceptions"].split(";")[0] + f"; {third} cancelled")
    story.run("plan")
    story.run("apply")
    return story.last_run()


def _technicians(story: _Story) -> None:
    story.say("Ana moves a visit on her phone, three hours later. Nobody asked the office.")
    before = story.table.rows()["J-1001"]["Start"]
    story.calendars.move("Ana Ruiz", "J-1001", hours=3)
    plan = story.run("plan", codes=(1,))
    story.check("J-1001" in plan and "by hand" in plan, "the move was not noticed")
    story.say("It waits for the dispatcher, who thinks that Ana is right.")
    story.run("holds", "--accept", "J-1001")
    story.run("apply")
    after = story.table.rows()["J-1001"]["Start"]
    story.screen.line(f"  The table said {before} for J-1001, and says {after} now.")
    story.check(after != before, "the table was not told")
    story.say("Ben tries the same. This time the dispatcher wants it back.")
    was = _text(story, "Ben Cole", "J-1002")
    story.calendars.move("Ben Cole", "J-1002", hours=3)
    story.run("plan", codes=(1,))
    story.run("holds", "--restore", "J-1002")
    story.run("apply")
    story.check(_times(_text(story, "Ben Cole", "J-1002")) == _times(was), "it was not put back")


def _looking_back(story: _Story, office: str) -> None:
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


def _count(story: _Story) -> int:
    return sum(len(story.calendars.events(title)) for title in TECHNICIANS)


def _text(story: _Story, title: str, word: str) -> str:
    return next(text for text in story.calendars.events(title).values() if word in text)


def _times(text: str) -> list[str]:
    return re.findall(r"^DT(?:START|END).*$", text, re.MULTILINE)


def _how_to_go_on(screen: Screen, folder: Path, data: Path | None, calendars: Calendars) -> None:
    apart = data is not None and not data.is_relative_to(folder)
    places = f"{folder} {data.parent}" if data is not None and apart else str(folder)
    screen.line(f"  The calendars stay up:  {calendars.url}")
    screen.line(f"    login     {USER}, password {calendars.password}")
    screen.line(f"    table     {folder / 'jobs.csv'}")
    screen.line(f"    go on     truckroll --home {folder / 'home'} plan")
    screen.line(f"    stop      kill {calendars.pid}; rm -r {places}")
