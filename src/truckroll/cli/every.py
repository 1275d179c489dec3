"""apply --every: a run now and then, one line each, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from datetime import timedelta
from typing import TYPE_CHECKING

from truckroll.app.trouble import TroubleError
from truckroll.app.views import stopped
from truckroll.cli.passes import run, summary
from truckroll.kit.errors import VendorError

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.app.hub import Hub
    from truckroll.cli.screen import Screen

# A run that is at work when the signal comes may go on for so long; then it is cut short, and
# what was in flight is looked up by the next run.
GRACE = timedelta(seconds=8)
_EVERY = re.compile(r"(\d+)\s*([smh]?)")
_UNITS = {"s": 1, "": 1, "m": 60, "h": 3600}


def seconds(text: str) -> int:
    """Return a length of time such as 30s, 5m or 1h in seconds; raises TroubleError."""
    match = _EVERY.fullmatch(text.strip().lower())
    if match is None or not int(match[1]):
        says = f"“{text}” is no length of time; write 30s, 5m or 1h"
        raise TroubleError(says, usage=True)
    return int(match[1]) * _UNITS[match[2]]


async def every(hub: Hub, args: Namespace, screen: Screen) -> int:
    """Apply every so often; return 0 when a signal ends it."""
    pause = seconds(args.every)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        while not stop.is_set():
            began = loop.time()
            await _until(stop, asyncio.create_task(_one(hub, args, screen)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, began + pause - loop.time())):
                    await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    screen.line(f"{_now(hub)}  ended")
    return 0


async def _until(stop: asyncio.Event, work: asyncio.Task[None]) -> None:
    """Wait for a run; after a signal only for as long as the grace lasts."""
    signalled = asyncio.create_task(stop.wait())
    await asyncio.wait({work, signalled}, return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not work.done():
        await asyncio.wait({work}, timeout=GRACE.total_seconds())
        work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def _one(hub: Hub, args: Namespace, screen: Screen) -> None:
    try:
        view = await run(hub, args.recipe, confirmed=args.confirmed)
    except TroubleError as error:
        if error.usage:
            raise
        _say(hub, screen, error.says)
    except VendorError as error:
        _say(hub, screen, error.says)
    else:
        screen.data(view, indent=-1)
        stops = "".join(f" · {stopped(view.writes)}: {text}" for text in view.stops)
        first = next(iter((*view.problems, *view.failures)), "")
        told = summary(view) + stops + (f" · {first}" if first else "")
        screen.line(f"{_now(hub)}  {told}")


def _say(hub: Hub, screen: Screen, says: str) -> None:
    screen.data({"error": says}, indent=-1)
    screen.line(f"{_now(hub)}  {says}")


def _now(hub: Hub) -> str:
    return f"{hub.now().astimezone():%H:%M:%S}"
