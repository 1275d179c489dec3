"""How the demo tells: a stage with real servers, numbered paragraphs, the real commands."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from truckroll.app.calendars import USER, Calendars
from truckroll.store.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from truckroll.app.simulators import Simulators
    from truckroll.cli.screen import Screen

RECIPE = "appointments-to-calendars"
_RUN = re.compile(r"run (\d+)")


class BrokenPromiseError(Exception):
    """The demo found that something it had said is not so."""


class Ran(NamedTuple):
    """A command that was run, and what came of it."""

    command: str
    code: int
    output: str


class Stage:
    """A company's servers and hub in a new folder: `strike` ends them and takes all away."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="truckroll-demo-"))
        self.home = self.folder / "home"
        self.simulators: Simulators | None = None
        with contextlib.ExitStack() as failed:
            failed.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.calendars = Calendars(self.folder / "calendars")
            failed.callback(self.calendars.stop)
            self._database = Embedded(self.home)
            self._database.hold()  # the commands then find it started
            failed.pop_all()
        self.data = self._database.data

    def leave(self) -> None:
        """Let go of the database; the servers stay up."""
        self._database.let_go()

    def strike(self) -> None:
        """End everything, and remove what it kept."""
        self.leave()
        self.calendars.stop()
        if self.simulators is not None:
            self.simulators.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.data is not None:  # under root it stands where the server's account can reach it
            shutil.rmtree(self.data.parent, ignore_errors=True)

    @property
    def pids(self) -> list[int]:
        """The processes that stay up."""
        more = [self.simulators.pid] if self.simulators is not None else []
        return [self.calendars.pid, *more]

    @property
    def places(self) -> list[Path]:
        """The directories in which all is kept."""
        apart = self.data is not None and not self.data.is_relative_to(self.folder)
        return [self.folder, self.data.parent] if self.data is not None and apart else [self.folder]


class Story:
    """The demo's teller: numbers its paragraphs, runs the real commands, checks what it says."""

    def __init__(self, stage: Stage, screen: Screen, ran: list[Ran]) -> None:
        self.stage = stage
        self.calendars = stage.calendars
        self.screen = screen
        self.ran = ran
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
        self.screen.text(f"$ truckroll\xa0{shown}", hang="    ")
        heard = io.StringIO()
        with contextlib.redirect_stdout(heard):
            code = main(["--home", str(self.stage.home), *words])
        if not self.screen.json:
            sys.stdout.write(heard.getvalue())
            sys.stdout.flush()
        self.ran.append(Ran(shown, code, heard.getvalue()))
        self.check(code in codes, f"“truckroll {shown}” ended with {code}")
        return heard.getvalue()

    def add_calendars(self, titles: Sequence[str]) -> None:
        """Make a calendar for each title on the calendar server, and sign in to it."""
        self.calendars.make(titles)
        with secrets(password=self.calendars.password):
            self.run(
                *("account", "add", "field", "--system", "caldav", "--url", self.calendars.url),
                *("--user", USER, "--private", "yes"),
            )

    def check(self, so: bool, otherwise: str) -> None:
        """Keep the demo honest: stop it where something is not so."""
        if not so:
            raise BrokenPromiseError(otherwise)

    def last_run(self) -> str:
        """Return the number of the run that was told of last."""
        found = [match for ran in self.ran for match in _RUN.findall(ran.output)]
        return str(found[-1])

    def text(self, title: str, word: str) -> str:
        """Return the event of a calendar that has a word in its text, as iCalendar."""
        return next(text for text in self.calendars.events(title).values() if word in text)


@contextmanager
def secrets(**said: str) -> Iterator[None]:
    """Give secrets to the commands in the environment, where no shell's history keeps them."""
    named = {f"TRUCKROLL_{name.upper()}": value for name, value in said.items()}
    os.environ.update(named)
    try:
        yield
    finally:
        for name in named:
            del os.environ[name]
