"""subscriptions list, renew, stop, add."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from truckroll.app import subscriptions
from truckroll.cli.ask import hub_of
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from truckroll.app.subscriptions import SubscriptionView, Worked

_STATES = {
    "making": "not made yet",
    "live": "at work",
    "lost": "lost; it is made again",
    "off": "stopped",
}


async def listed(args: Namespace, screen: Screen) -> int:
    """Show which systems tell of changes by themselves, and what came."""
    address = subscriptions.public_address(args.url)
    async with hub_of(args) as hub:
        views = await subscriptions.listed(hub, args.account)
    screen.data({"address": address, "subscriptions": views})
    if not address:
        screen.text(subscriptions.no_address(), indent="  ")
    elif not views:
        screen.line("  no subscription yet:  truckroll subscriptions renew")
    screen.table([_row(one) for one in views])
    for one in views:
        if one.problem:
            screen.text(one.problem, indent=f"  {screen.sign(well=False)} ", hang="    ")
    return 0


def _row(one: SubscriptionView) -> list[str]:
    said = [count(one.pushes, "push").replace("pushs", "pushes"), f"last {_when(one.heard_at)}"]
    if one.doubled:
        said.append(f"{one.doubled:,} came again")
    if one.refused:
        said.append(f"{one.refused:,} refused")
    if one.swept:
        said.append(f"{count(one.swept, 'change')} found by reading alone")
    if one.expires_at is not None:
        said.append(f"until {_when(one.expires_at)}")
    return [one.account, one.place, _STATES[one.state], ", ".join(said)]


def _when(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}" if at is not None else "never"


async def renew(args: Namespace, screen: Screen) -> int:
    """Subscribe anew: of an account, or of all."""
    address = subscriptions.public_address(args.url)
    async with hub_of(args) as hub:
        done = await subscriptions.renew(hub, address, args.account)
    if done.polled:
        screen.data(done)
        screen.text(subscriptions.no_address(), indent=f"  {screen.sign(well=False)} ", hang="    ")
        return 1
    return _told(done, screen, f"{count(done.made, 'subscription')} made")


async def stop(args: Namespace, screen: Screen) -> int:
    """Stop what an account's system tells; it is polled from then on."""
    async with hub_of(args) as hub:
        done = await subscriptions.stop(hub, args.account)
    return _told(done, screen, f"{count(done.stopped, 'subscription')} stopped")


def _told(done: Worked, screen: Screen, says: str) -> int:
    screen.data(done)
    screen.line(f"  {screen.sign(well=not done.problems)} {says}")
    for problem in done.problems:
        screen.text(problem, indent=f"  {screen.sign(well=False)} ", hang="    ")
    return 1 if done.problems else 0


async def add(args: Namespace, screen: Screen) -> int:
    """Give out the address and the secret for a system that is set up by hand."""
    address = subscriptions.public_address(args.url)
    secret = sys.stdin.readline().strip() if args.secret_stdin else ""
    async with hub_of(args) as hub:
        made = await subscriptions.set_up_by_hand(hub, args.account, address, secret=secret)
    screen.data(made)
    screen.text(
        f"Enter these in the settings of {made.system}, and keep them to yourself:", indent="  "
    )
    screen.line(f"    address  {made.url}")
    screen.line(f"    secret   {made.secret}")
    return 0
