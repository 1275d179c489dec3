"""timetable list, set, remove, every; now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.app import timetable
from truckroll.app.trouble import TroubleError
from truckroll.cli.ask import hub_of
from truckroll.cli.every import seconds
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from truckroll.app.timetable import RowView

_ACTS = {"read": "read", "reconcile": "read completely"}


async def listed(args: Namespace, screen: Screen) -> int:
    """Show the timetable."""
    async with hub_of(args) as hub:
        rows = await timetable.listed(hub)
    screen.data({"rows": rows})
    if not rows:
        screen.line(
            "  the timetable is empty: what is installed is read as often as its system allows"
        )
        screen.line("  Say otherwise:  truckroll timetable every ACCOUNT 5m")
        screen.line("  Add a row:  truckroll timetable set --cron '0 6 * * *' --complete")
    screen.table(_line(row) for row in rows)
    return 0


def _line(row: RowView) -> tuple[str, ...]:
    whose = f"{row.person}'s shift, " if row.person else ""
    said = f"next {_when(row.next_at)}" + (f" · {row.note}" if row.note else "")
    spec = f"minutes {row.spec}" if row.kind == "minutes" else row.spec
    return f"row {row.id}", row.recipe, f"{whose}{spec} ({row.zone})", f"{_ACTS[row.act]}, {said}"


def _when(at: datetime) -> str:
    local = at.astimezone()
    return f"{local:%a} {local.day} {local:%b %H:%M}"


async def put(args: Namespace, screen: Screen) -> int:
    """Add a row."""
    kind, spec = _schedule(args)
    async with hub_of(args) as hub:
        row = await timetable.put(
            hub,
            args.recipe,
            kind,
            spec,
            act="reconcile" if args.complete else "read",
            zone=args.zone,
            person=args.person,
        )
    screen.data(row)
    screen.table([_line(row)])
    return 0


def _schedule(args: Namespace) -> tuple[str, str]:
    if args.cron:
        return "cron", args.cron
    if args.minutes:
        return "minutes", args.minutes
    if not args.person:
        raise TroubleError(
            "say whose shift it is:  --person 'Ana Ruiz' --shift 'mon-fri 07:30'", usage=True
        )
    return "shift", args.shift


async def remove(args: Namespace, screen: Screen) -> int:
    """Take a row out."""
    async with hub_of(args) as hub:
        await timetable.remove(hub, args.row)
    screen.data({"removed": args.row})
    screen.line(f"  row {args.row} is no more")
    return 0


async def every(args: Namespace, screen: Screen) -> int:
    """Say how often an account is read at least."""
    often = None if args.often == "usual" else seconds(args.often)
    async with hub_of(args) as hub:
        parts = await timetable.set_poll(hub, args.account, often)
    screen.data({"account": args.account, "seconds": often, "parts": parts})
    how = f"every {count(often, 'second')}" if often else "as often as is usual"
    screen.line(f"  {args.account} is read {how}, and at once when something tells of a change")
    return 0


async def now(args: Namespace, screen: Screen) -> int:
    """Let what is up read everything now, and wait for it."""
    async with hub_of(args) as hub:
        view = await timetable.now(hub, args.recipe, whole=args.complete)
    screen.data(view)
    parts = [count(view.writes, "write"), f"{view.seconds:.1f} s"]
    parts += [f"{view.held:,} held"] if view.held else []
    parts += [f"run {run}" for run in view.runs]
    screen.line(f"  {' · '.join(parts)}")
    if view.held:
        screen.line("    See what waits, and for what:  truckroll holds")
    for text in view.problems:
        screen.text(text, indent=f"  {screen.sign(well=False)} ", hang="    ")
    return 1 if view.failed or view.held else 0
