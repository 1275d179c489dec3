"""top, account promise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from truckroll.app import freshness
from truckroll.app.freshness import length
from truckroll.app.top import says_age, says_works, top
from truckroll.cli.ask import hub_of
from truckroll.cli.every import seconds
from truckroll.cli.screen import count

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import RenderableType

    from truckroll.app.top import AccountLine, TopView
    from truckroll.cli.screen import Screen

_EVERY_SECONDS = 2.0


async def show(args: Namespace, screen: Screen) -> int:
    """Show the hub at a glance, once or until Ctrl-C; 1 where something is late or alarming."""
    async with hub_of(args) as hub:
        view = await top(hub)
        if args.once or screen.json or not screen.tty:
            screen.data(view)
            if not screen.json:
                _print(view, screen)
            return _code(view)
        from rich.live import Live  # noqa: PLC0415 -- one glance does without

        with Live(_table(view), auto_refresh=False, screen=True) as live:
            while True:
                await asyncio.sleep(_EVERY_SECONDS)
                live.update(_table(await top(hub)), refresh=True)


def _code(view: TopView) -> int:
    return int(bool(view.alerts) or not all(one.well for one in view.accounts))


def _print(view: TopView, screen: Screen) -> None:
    rows = [
        (screen.sign(well=one.well), one.name, one.title, says_age(one), _calls(one), _last(one))
        for one in view.accounts
    ]
    screen.table(rows)
    if not rows:
        screen.line("  no account yet:  truckroll account add")
    for recipe in view.recipes:
        screen.line(f"  {recipe.name}: {says_works(recipe)}")
    screen.line(f"  {_waits(view)}")
    for alert in view.alerts:
        screen.text(alert.says, indent=f"  {screen.sign(well=False)} ", hang="    ")
        if alert.act:
            screen.line(f"    → {alert.act}")


def _table(view: TopView) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415 -- the live screen alone
    from rich.table import Table  # noqa: PLC0415 -- the same
    from rich.text import Text  # noqa: PLC0415 -- the same

    table = Table(
        "", "account", "last complete read", "records", "calls in 5 min", "last", box=None
    )
    for one in view.accounts:
        sign = Text("✓", "green") if one.well else Text("!", "yellow")
        name = f"{one.name} ({one.title})"
        cells = (name, says_age(one), f"{one.records:,}", _calls(one), _last(one))
        table.add_row(sign, *(Text(cell) for cell in cells))
    works = [Text(f"{one.name}: {says_works(one)}") for one in view.recipes]
    alerts = [Text(f"! {one.says}", "yellow") for one in view.alerts]
    head = Text(f"truckroll top   {view.at:%H:%M:%S} UTC   {_waits(view)}   Ctrl-C ends", "bold")
    return Group(head, Text(), table, Text(), *works, *alerts)


def _calls(line: AccountLine) -> str:
    parts = [count(line.answered + line.paused + line.failed, "call")]
    parts += [f"{line.failed} failed"] if line.failed else []
    parts += [f"{line.paused} told to wait"] if line.paused else []
    return ", ".join(parts)


def _last(line: AccountLine) -> str:
    return line.trouble or line.shown or "-"


def _waits(view: TopView) -> str:
    waiting = view.waiting
    parts = [f"{count(waiting.due, 'record')} due", f"{waiting.held:,} held"]
    parts += [f"{waiting.dead:,} refused or in doubt"] if waiting.dead else []
    return " · ".join([*parts, count(len(view.alerts), "alert")])


async def promise(args: Namespace, screen: Screen) -> int:
    """Say how old the last complete read of an account's parts may grow."""
    from datetime import timedelta  # noqa: PLC0415 -- one use

    chosen = None if args.length == "default" else timedelta(seconds=seconds(args.length))
    async with hub_of(args) as hub:
        await freshness.promise(hub, args.name, chosen)
    screen.data({"account": args.name, "promise_seconds": chosen and chosen.total_seconds()})
    says = "its system's own" if chosen is None else length(chosen.total_seconds())
    screen.line(f"  {screen.sign(well=True)} {args.name}: promise {says}")
    return 0
