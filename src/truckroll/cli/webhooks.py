"""webhooks add, list, remove, test, log, redeliver, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.app import webhooks
from truckroll.cli.ask import hub_of
from truckroll.cli.screen import count

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.cli.screen import Screen
    from truckroll.store.webhooks import Delivery


async def add(args: Namespace, screen: Screen) -> int:
    """Add an address that hears of events."""
    async with hub_of(args) as hub:
        view = await webhooks.add(hub, args.url, args.event, private=args.private == "yes")
    screen.data(view)
    types = ", ".join(view.types) or "every event"
    screen.text(f"webhook {view.id} hears of {types}", indent=f"  {screen.sign(well=True)} ")
    screen.line(f"  the secret that proves them is shown this once:  {view.secret}")
    screen.line(f"  → truckroll webhooks test {view.id}")
    return 0


async def listed(args: Namespace, screen: Screen) -> int:
    """Show the addresses; 1 where one is paused."""
    async with hub_of(args) as hub:
        found = await webhooks.listed(hub)
    screen.data({"webhooks": found})
    if not found:
        screen.line("  nobody hears of events yet:  truckroll webhooks add https://…")
    for one in found:
        well = one.paused_at is None
        waiting = f", {count(one.waiting, 'event')} waiting" if one.waiting else ""
        types = ", ".join(one.types) or "every event"
        lead = f"  {screen.sign(well=well)} {one.id}  "
        screen.text(f"{one.url}  {types}{waiting}", indent=lead, hang="      ")
        if not well:
            screen.text(f"paused: {one.paused_why}", indent="      ")
            screen.line(f"      → truckroll webhooks resume {one.id}")
    return int(any(one.paused_at is not None for one in found))


async def remove(args: Namespace, screen: Screen) -> int:
    """Remove an address with what waits for it."""
    async with hub_of(args) as hub:
        await webhooks.remove(hub, args.number)
    screen.data({"removed": args.number})
    screen.line(f"  webhook {args.number} is forgotten")
    return 0


async def resume(args: Namespace, screen: Screen) -> int:
    """Go on with a paused address."""
    async with hub_of(args) as hub:
        await webhooks.resume(hub, args.number)
    screen.data({"resumed": args.number})
    screen.line(f"  {screen.sign(well=True)} webhook {args.number} gets what waits for it")
    return 0


async def test(args: Namespace, screen: Screen) -> int:
    """Deliver a test event now; 1 where it was not taken."""
    async with hub_of(args) as hub:
        line = await webhooks.test(hub, args.number)
    return _told(line, screen)


async def redeliver(args: Namespace, screen: Screen) -> int:
    """Deliver an event once more; 1 where it was not taken."""
    async with hub_of(args) as hub:
        line = await webhooks.redeliver(hub, args.number)
    return _told(line, screen)


async def log(args: Namespace, screen: Screen) -> int:
    """Show what was delivered, and how it was answered."""
    async with hub_of(args) as hub:
        lines = await webhooks.log(hub, args.webhook, limit=args.limit)
    screen.data({"deliveries": lines})
    if not lines:
        screen.line("  nothing was delivered yet")
    for line in lines:
        screen.text(_says(line), indent=f"  {_sign(line, screen)} ", hang="      ")
    return 0


def _told(line: Delivery, screen: Screen) -> int:
    screen.data(line)
    screen.text(_says(line), indent=f"  {_sign(line, screen)} ", hang="      ")
    if line.head and line.done_at is None:
        screen.text(f"it answered: {line.head}", indent="      ")
    return int(line.done_at is None)


def _sign(line: Delivery, screen: Screen) -> str:
    waits = line.done_at is None and not line.problem
    return "…" if waits else screen.sign(well=line.done_at is not None)


def _says(line: Delivery) -> str:
    lead = f"{line.id}  {line.at:%Y-%m-%d %H:%M:%S}  {line.type}  to webhook {line.endpoint}: "
    tries = f"{count(line.attempts, 'attempt')}"
    if line.done_at is not None:
        return f"{lead}taken after {line.ms} ms, {tries} [{line.status}]"
    if not line.problem:
        return f"{lead}not sent yet"
    again = f"; again at {line.next_at:%H:%M:%S} UTC" if line.next_at else "; not tried any more"
    return f"{lead}{line.problem} {tries}{again}"
