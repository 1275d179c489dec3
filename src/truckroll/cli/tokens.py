"""token list, create, revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.app import members
from truckroll.cli.ask import hub_of

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.app.members import TokenView
    from truckroll.cli.screen import Screen


async def listed(args: Namespace, screen: Screen) -> int:
    """List the tokens; never a secret."""
    async with hub_of(args) as hub:
        found = await members.tokens(hub)
    screen.data({"tokens": found})
    if not found:
        screen.line("  no token yet:  truckroll token create NAME --member NAME")
    screen.table(_row(one) for one in found)
    return 0


def _row(one: TokenView) -> tuple[str, ...]:
    used = f"used {one.used_at:%Y-%m-%d %H:%M} UTC" if one.used_at else "never used"
    ends = f", ends {one.expires_at:%Y-%m-%d}" if one.expires_at and one.state == "live" else ""
    return (str(one.id), one.name, one.member, one.state + ends, used, ", ".join(one.scopes))


async def create(args: Namespace, screen: Screen) -> int:
    """Make a token and show it, once."""
    async with hub_of(args) as hub:
        made = await members.make_token(
            hub, args.name, args.member, scopes=args.scopes, days=args.days, also=args.also
        )
    screen.data(made)
    screen.line(f"  {made.secret}")
    screen.line("    This is shown once. Keep it where secrets are kept.")
    return 0


async def revoke(args: Namespace, screen: Screen) -> int:
    """End a token."""
    async with hub_of(args) as hub:
        await members.revoke(hub, args.token)
    screen.data({"revoked": args.token})
    screen.line(f"  token {args.token} has ended")
    return 0
