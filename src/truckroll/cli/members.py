"""member list, add, set, remove; audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from truckroll.app import audit as log
from truckroll.app import members
from truckroll.cli.ask import hub_of

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.app.members import MemberView
    from truckroll.cli.screen import Screen
    from truckroll.store.audit import AuditLine


async def listed(args: Namespace, screen: Screen) -> int:
    """List the members of the tenant."""
    async with hub_of(args) as hub:
        found = await members.listed(hub)
    screen.data({"members": found})
    if not found:
        screen.line("  no member yet:  truckroll member add NAME --may dispatcher")
    screen.table((one.name, ", ".join(one.presets), one.mail) for one in found)
    return 0


async def add(args: Namespace, screen: Screen) -> int:
    """Add a member."""
    async with hub_of(args) as hub:
        made = await members.add(
            hub, args.name, mail=args.mail, presets=args.presets, person=args.person
        )
    _told(screen, made)
    return 0


async def set(args: Namespace, screen: Screen) -> int:  # noqa: A001 -- named as its command is
    """Replace what a member may do."""
    async with hub_of(args) as hub:
        made = await members.give(hub, args.name, args.presets)
    _told(screen, made)
    return 0


def _told(screen: Screen, made: MemberView) -> None:
    screen.data(made)
    may = ", ".join(made.rights)
    lead = f"  {screen.sign(well=True)} {made.name} may: "
    screen.text(may, indent=lead, hang="      ")


async def remove(args: Namespace, screen: Screen) -> int:
    """Remove a member with their tokens."""
    async with hub_of(args) as hub:
        await members.remove(hub, args.name)
    screen.data({"removed": args.name})
    screen.line(f"  {args.name} is no member any more; their tokens have ended")
    return 0


async def audit(args: Namespace, screen: Screen) -> int:
    """Show who did what, the newest last."""
    async with hub_of(args) as hub:
        found = await log.listed(hub, args.word, limit=args.limit)
    screen.data({"audit": found})
    if not found:
        screen.line("  nobody did anything yet")
    screen.table(_line(one) for one in reversed(found))
    return 0


def _line(one: AuditLine) -> tuple[str, ...]:
    at = one.at.astimezone()
    who = f"{one.who} ({one.way})" if not one.token else f"{one.who} ({one.way}, {one.token})"
    old = f"{_short(one.old)} → " if one.old else ""
    said = f"{old}{_short(one.new)}" if one.new or one.old else ""
    what = " · ".join(filter(None, (one.subject, said, one.outcome)))
    return (f"{at:%a} {at.day} {at:%b %H:%M}", who, one.act, what)


def _short(values: object) -> str:
    return msgspec.json.encode(values).decode() if values else "nothing"
