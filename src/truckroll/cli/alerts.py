"""alerts list, channels, add, test, remove, silence."""

from __future__ import annotations

import getpass
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from truckroll.app import alerts
from truckroll.app.freshness import ago
from truckroll.cli.ask import hub_of, settings
from truckroll.cli.every import seconds

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.cli.screen import Screen

_ASKED = {"mail": "password", "slack": "url"}


async def listed(args: Namespace, screen: Screen) -> int:
    """Show what asks for somebody; 1 where something does."""
    async with hub_of(args) as hub:
        found = await alerts.listed(hub, closed=args.all)
        now = hub.now()
    screen.data({"alerts": found})
    if not found:
        screen.line(f"  {screen.sign(well=True)} nothing asks for you")
    for one in found:
        over = one.closed_at is not None
        since = ago((now - one.opened_at).total_seconds())
        state = f"over since {ago((now - one.closed_at).total_seconds())}" if one.closed_at else ""
        if one.silenced_until is not None:
            state = f"silenced until {one.silenced_until:%Y-%m-%d %H:%M} UTC"
        lead = f"  {screen.sign(well=over)} {one.id}  "
        screen.text(one.says, indent=lead, hang="      ")
        screen.line(f"      {', '.join(filter(None, (f'seen first {since}', state)))}")
        if one.act and not over:
            screen.line(f"      → {one.act}")
    return int(any(one.closed_at is None for one in found))


async def channels(args: Namespace, screen: Screen) -> int:
    """Show over which channels alerts are told."""
    async with hub_of(args) as hub:
        views = await alerts.channel_views(hub)
    screen.data({"channels": views})
    if not views:
        screen.line("  nobody is told of alerts yet:  truckroll alerts add NAME mail --set to=…")
    for one in views:
        told = ", ".join(f"{key}={value}" for key, value in one.settings.items())
        screen.text(f"{one.name}  {one.kind}  {told}".rstrip(), indent="  ", hang="      ")
    return 0


async def add(args: Namespace, screen: Screen) -> int:
    """Add a channel; its settings are kept sealed."""
    answers = settings(args.settings)
    asked = _ASKED.get(args.kind, "")
    if asked and asked not in answers:
        given = _secret(args, asked)
        answers |= {asked: given} if given else {}
    async with hub_of(args) as hub:
        view = await alerts.add_channel(hub, args.name, args.kind, answers)
    screen.data(view)
    screen.line(f"  {screen.sign(well=True)} alerts are told over “{view.name}” from now on")
    if view.secret:
        screen.line(f"  its messages are signed; the secret is shown this once:  {view.secret}")
    screen.line(f"  → truckroll alerts test {view.name}")
    return 0


def _secret(args: Namespace, name: str) -> str:
    if args.secret_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if given := os.environ.get(f"TRUCKROLL_{name.upper()}"):
        return given
    asks = "Address of Slack's incoming webhook" if name == "url" else "Password (empty: none)"
    return getpass.getpass(f"{asks}: ") if sys.stdin.isatty() else ""


async def test(args: Namespace, screen: Screen) -> int:
    """Send a test over a channel."""
    async with hub_of(args) as hub:
        await alerts.test_channel(hub, args.name)
    screen.data({"sent": args.name})
    screen.line(f"  {screen.sign(well=True)} the test was taken by “{args.name}”")
    return 0


async def remove(args: Namespace, screen: Screen) -> int:
    """Remove a channel."""
    async with hub_of(args) as hub:
        await alerts.remove_channel(hub, args.name)
    screen.data({"removed": args.name})
    screen.line(f"  “{args.name}” is forgotten")
    return 0


async def silence(args: Namespace, screen: Screen) -> int:
    """Tell nobody of an alert's reason for a while; it stays on the list."""
    async with hub_of(args) as hub:
        until = await alerts.silence(hub, args.number, timedelta(seconds=seconds(args.length)))
    screen.data({"alert": args.number, "until": until})
    screen.line(f"  nobody is told of it until {until:%Y-%m-%d %H:%M} UTC")
    return 0
