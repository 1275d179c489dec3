"""tenant list, add, rename, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.app import tenants
from truckroll.cli.ask import hub_of

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.cli.screen import Screen


async def listed(args: Namespace, screen: Screen) -> int:
    """List the tenants of the hub."""
    async with hub_of(args) as hub:
        found = await tenants.listed(hub)
        present = hub.store.tenant
    screen.data({"tenants": found})
    screen.table((one.name, "" if one.number != present else "← here") for one in found)
    return 0


async def add(args: Namespace, screen: Screen) -> int:
    """Add a tenant."""
    async with hub_of(args) as hub:
        made = await tenants.add(hub, args.name)
    screen.data(made)
    screen.line(f"  {screen.sign(well=True)} {made.name} is a tenant of the hub now")
    screen.line(f'    Work in it:  truckroll --tenant "{made.name}" account list')
    return 0


async def rename(args: Namespace, screen: Screen) -> int:
    """Give the present tenant another name."""
    async with hub_of(args) as hub:
        named = await tenants.rename(hub, args.name)
    screen.data(named)
    screen.line(f"  {screen.sign(well=True)} the tenant is called {named.name} now")
    return 0


async def remove(args: Namespace, screen: Screen) -> int:
    """Remove a tenant, if its name is said twice."""
    async with hub_of(args) as hub:
        await tenants.remove(hub, args.name, confirmed=args.yes)
    screen.data({"removed": args.name})
    screen.line(f"  {args.name} is gone with all that the hub kept of it;")
    screen.line("  what is in its systems stays as it is")
    return 0
