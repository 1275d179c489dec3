"""demo: everything once, with sample companies, real calendars, and the real commands."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from truckroll.app.calendars import USER
from truckroll.cli.demo import table, vendors
from truckroll.cli.demo.story import BrokenPromiseError, Ran, Stage, Story
from truckroll.store.embedded import URL_VARIABLE

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.cli.screen import Screen

_CHAPTERS = (table.tell, vendors.tell)


def demo(args: Namespace, screen: Screen) -> int:
    """Show two companies' days; 1 where something that was said is not so."""
    # A company's own database is none of the demo's business.
    named = os.environ.pop(URL_VARIABLE, None)
    try:
        return _demo(screen, keep=args.keep)
    finally:
        if named is not None:
            os.environ[URL_VARIABLE] = named


def _demo(screen: Screen, *, keep: bool) -> int:
    ran: list[Ran] = []
    stages: list[Stage] = []
    with ExitStack() as cleared:
        code = 0
        for tell in _CHAPTERS:
            stage = Stage()
            cleared.callback(stage.strike)
            stages.append(stage)
            code = code or _told(tell, Story(stage, screen, ran))
        screen.data({"well": code == 0, "commands": [one._asdict() for one in ran]})
        if keep and code == 0:
            cleared.pop_all()
            for stage in stages:
                stage.leave()
                _how_to_go_on(screen, stage)
    return code


def _told(tell: vendors.Chapter, story: Story) -> int:
    try:
        tell(story)
    except BrokenPromiseError as error:
        story.screen.line()
        story.screen.line(f"  ! The demo is not right here: {error}. Please report this.")
        return 1
    story.screen.line()
    return 0


def _how_to_go_on(screen: Screen, stage: Stage) -> None:
    screen.line(f"  The calendars stay up:  {stage.calendars.url}")
    screen.line(f"    login     {USER}, password {stage.calendars.password}")
    if stage.simulators is not None:
        screen.line(f"    vendors   {stage.simulators.url}/_sim/  (ServiceTitan and Google)")
    else:
        screen.line(f"    table     {stage.folder / 'jobs.csv'}")
    screen.line(f"    go on     truckroll --home {stage.home} plan")
    pids, places = " ".join(map(str, stage.pids)), " ".join(map(str, stage.places))
    screen.line(f"    stop      kill {pids}; rm -r {places}")
    screen.line()
