"""up: the service."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from truckroll.app.home import home_directory
from truckroll.app.up import UpView
from truckroll.app.up import up as serve
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator


async def up(args: Namespace, screen: Screen) -> int:
    """Serve until a signal ends it."""
    home = home_directory(getattr(args, "home", ""))
    with _signals() as stop:
        await serve(
            home,
            stop,
            role=args.role,
            database=getattr(args, "database", None),
            told=lambda view: show(screen, view),
        )
    screen.line("  ended")
    return 0


def show(screen: Screen, view: UpView) -> None:
    """Say what is up."""
    screen.data(view, indent=-1)
    kept = f"{count(view.recipes, 'recipe')}, {count(view.scopes, 'calendar or feed')}"
    if view.scopes != 1:
        kept = f"{count(view.recipes, 'recipe')}, {view.scopes:,} calendars and feeds"
    doing = "answers" if view.role == "web" else f"keeps in step by itself: {kept}"
    screen.line(f"  {screen.sign(well=True)} Truckroll is up and {doing}")
    if view.web:
        screen.line(f"    Pages and API at  {view.web}")
    if not view.recipes and view.role != "web":
        screen.line("    Nothing is installed yet; from another window:  truckroll recipe list")
    screen.line("    See what it does with  truckroll runs    End it with Ctrl-C")


@contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """Give an event that a polite end sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
