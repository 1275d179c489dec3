"""up: the service."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from truckroll.app.home import home_directory
from truckroll.app.logs import start_logs
from truckroll.app.subscriptions import public_address
from truckroll.app.trouble import TroubleError
from truckroll.app.up import UpView
from truckroll.app.up import up as serve
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from truckroll.app.up import Web

USUAL = "127.0.0.1:8460"
LISTEN = "TRUCKROLL_LISTEN"
LEVEL = "TRUCKROLL_LOG"  # debug, info, warning (as shipped), error


async def up(args: Namespace, screen: Screen) -> int:
    """Serve until a signal ends it."""
    home = home_directory(getattr(args, "home", ""))
    public = public_address(args.url)
    web = None if args.role == "worker" else _web(args)
    start_logs(json=not sys.stderr.isatty(), level=os.environ.get(LEVEL, "WARNING").upper())
    with _signals() as stop:
        await serve(
            home,
            stop,
            role=args.role,
            database=getattr(args, "database", None),
            web=web,
            public=public,
            told=lambda view: show(screen, view),
        )
    screen.line("  ended")
    return 0


def _web(args: Namespace) -> Web:
    from truckroll.web.server import listen_on, serve_web  # noqa: PLC0415 -- a worker does without

    return partial(serve_web, listen_on(*place(args.listen or os.environ.get(LISTEN) or USUAL)))


def place(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT or PORT; raises TroubleError."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 -- the largest port there is
        raise TroubleError(f"“{text}” is no address; write {USUAL}", usage=True)
    return host.strip("[]") or "127.0.0.1", int(port)


def show(screen: Screen, view: UpView) -> None:
    """Say what is up."""
    screen.data(view, indent=-1)
    kept = f"{count(view.recipes, 'recipe')}, {count(view.scopes, 'part')} of accounts"
    doing = "answers" if view.role == "web" else f"keeps in step by itself: {kept}"
    screen.line(f"  {screen.sign(well=True)} Truckroll is up and {doing}")
    if view.web:
        screen.line(f"    API at  {view.web}/api/v1  (what it can: {view.web}/api/openapi.json)")
        if not view.public:
            screen.line(
                "    It looks for changes itself: no system can tell it without  --url https://…"
            )
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
