"""backup, restore, upgrade, journal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from truckroll.app import backup as use
from truckroll.app import journal as kept
from truckroll.app.home import home_directory
from truckroll.cli.ask import hub_of
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace


def backup(args: Namespace, screen: Screen) -> int:
    """Save the hub's database in a file."""
    view = use.save(_home(args), Path(args.file), now=datetime.now(UTC))
    screen.data(view)
    screen.line(f"  {screen.sign(well=True)} saved in {view.file} ({_size(view.size)})")
    screen.text(
        f"The key that opens the sign-ins is not in it. Keep a copy of {view.key} as well, in"
        " another place: who has both has your passwords.",
        indent="    ",
    )
    return 0


def restore(args: Namespace, screen: Screen) -> int:
    """Put a backup in the place of the hub's database; 1 where sign-ins are to be given again."""
    view = use.restore(_home(args), Path(args.file), replace=args.replace)
    screen.data(view)
    screen.line(f"  {screen.sign(well=True)} {view.file} is restored ({count(view.rows, 'row')})")
    screen.text(
        "The next run reads every system whole before it writes anything. See first what it would"
        " do:  truckroll plan",
        indent="    ",
    )
    if view.lost_keys:
        screen.text(
            "The sign-ins were sealed with another key. Put the secret.key back that belongs to"
            f" this backup ({', '.join(view.lost_keys)}), or sign in again:"
            "  truckroll account sign-in NAME",
            indent=f"  {screen.sign(well=False)} ",
            hang="    ",
        )
    return 1 if view.lost_keys else 0


def upgrade(args: Namespace, screen: Screen) -> int:
    """Make the hub's data fit the installed version."""
    programs = Path(args.programs) if args.programs else None
    view = use.bring_up(_home(args), programs, finish=args.finish)
    screen.data(view)
    if view.old:
        screen.text(
            f"moved from PostgreSQL {view.old} to {view.new}: {count(view.rows, 'row')} in"
            f" {count(view.tables, 'table')}, as many as before",
            indent=f"  {screen.sign(well=True)} ",
            hang="    ",
        )
        screen.text(f"The old data are kept in {view.kept}", indent="    ")
    if view.moved_visits:
        text = (
            f"{count(view.moved_visits, 'future visit')} begin at another instant by new zone rules"
        )
        screen.text(text, indent=f"  {screen.sign(well=True)} ", hang="    ")
    screen.line(f"  {screen.sign(well=True)} the database fits this version")
    return 0


async def journal(args: Namespace, screen: Screen) -> int:
    """Say for how long the journal is kept, or change it."""
    async with hub_of(args) as hub:
        if args.days is None:
            view = await kept.shown(hub)
        else:
            view = await kept.keep(hub, args.days)
    screen.data(view)
    screen.text(
        f"Runs are kept for {view.days} days: so far back they can be looked at and undone, and"
        " so far back goes what `why` tells of a record. Of each record the last line stays.",
        indent="  ",
    )
    if view.oldest is not None:
        screen.line(f"  The oldest run that is kept began on {view.oldest.astimezone():%d %b %Y}.")
    return 0


def _home(args: Namespace) -> Path:
    return home_directory(getattr(args, "home", ""))


def _size(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{size / 1_000:.0f} kB"  # noqa: PLR2004 -- where MB begin to say something
