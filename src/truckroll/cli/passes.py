"""plan, apply, undo, runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from truckroll.app import passes
from truckroll.cli import told
from truckroll.cli.ask import hub_of
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from datetime import datetime

    from truckroll.app.hub import Hub
    from truckroll.app.views import PassView
    from truckroll.sync.ports import OpenStep
    from truckroll.sync.types import Outcome

BRAKE = 3
_LONG_WORK = 20


def code(view: PassView) -> int:
    """Return the exit code of a pass."""
    if view.stops:
        return BRAKE
    return 1 if view.held or view.failed else 0


async def plan(args: Namespace, screen: Screen) -> int:
    """Show what `apply` would do."""
    async with hub_of(args) as hub:
        view = await passes.plan(hub, args.recipe)
    screen.data(view)
    show_plan(screen, view, everything=args.all)
    return code(view)


def show_plan(screen: Screen, view: PassView, *, everything: bool = False) -> None:
    """Print a plan."""
    head = f"{view.recipe} · {view.sources} → {view.targets}"
    gap = max(3, screen.width - len(head) - len("nothing has been written"))
    screen.line(f"{head}{' ' * gap}nothing has been written")
    screen.line()
    if not view.steps:
        screen.line("  0 writes: everything that can be in step is in step")
    told.steps(screen, view, everything=everything)
    told.holds(screen, view.holds, everything=everything)
    told.overlaps(screen, view)
    told.first_matching(screen, view)
    told.problems(screen, view)
    if view.steps:
        told.notified(screen, view)
    if view.stops:
        screen.line()
        told.brakes(screen, view)


async def apply(args: Namespace, screen: Screen) -> int:
    """Do what `plan` says, once or again and again."""
    async with hub_of(args) as hub:
        if args.every:
            from truckroll.cli.every import every  # noqa: PLC0415 -- the loop is rarely wanted

            return await every(hub, args, screen)
        view = await run(hub, args.recipe, confirmed=args.confirmed)
    screen.data(view)
    show_apply(screen, view, everything=args.all)
    return code(view)


async def run(hub: Hub, recipe: str, *, confirmed: int = 0) -> PassView:
    """Apply with a progress bar where there is much to do and somebody looks."""
    bar = _Bar()
    try:
        return await passes.apply(
            hub, recipe, confirmed=confirmed, begins=bar.begin, progress=bar.step
        )
    finally:
        bar.end()


class _Bar:
    """A progress bar on standard error, for long work on a terminal alone."""

    def __init__(self) -> None:
        self._advance: Callable[[], None] | None = None
        self._stop: Callable[[], None] | None = None

    def begin(self, writes: int) -> None:
        """Show the bar if there is much to do."""
        if writes < _LONG_WORK or not sys.stderr.isatty():
            return
        from rich.console import Console  # noqa: PLC0415 -- long work alone needs it
        from rich.progress import Progress  # noqa: PLC0415 -- the same

        bar = Progress(console=Console(stderr=True), transient=True)
        task = bar.add_task("writing", total=writes)
        bar.start()
        self._advance = lambda: bar.advance(task)
        self._stop = bar.stop

    def step(self, outcome: Outcome, opened: OpenStep) -> None:
        """Count an outcome."""
        del outcome, opened
        if self._advance is not None:
            self._advance()

    def end(self) -> None:
        """Take the bar away."""
        if self._stop is not None:
            self._stop()


def show_apply(screen: Screen, view: PassView, *, everything: bool = False) -> None:
    """Print what a run did, in one line if all went well."""
    if view.stops:
        told.brakes(screen, view)
        told.problems(screen, view)
        return
    line = summary(view)
    hint = f"undo with  truckroll undo {view.run}" if view.writes else ""
    if hint and len(line) + len(hint) + 6 > screen.width:
        screen.line(f"  {line}")
        screen.line(f"  {hint}")
    else:
        screen.line(f"  {line}        {hint}".rstrip())
    if everything:
        told.steps(screen, view, everything=True)
    told.problems(screen, view)
    told.holds(screen, view.holds, everything=everything)


def summary(view: PassView) -> str:
    """Return a run in one line: writes, time, calls, what is held or failed."""
    parts = [count(view.writes, "write"), f"{view.seconds:.1f} s"]
    calls = [f"{who} {number}" for who, number in view.calls.items() if number]
    if calls:
        parts.append(f"calls: {', '.join(calls)}")
    if view.held:
        parts.append(f"{view.held:,} held")
    if view.failed:
        parts.append(f"{view.failed:,} failed")
    return " · ".join([*parts, f"run {view.run}"])


async def undo(args: Namespace, screen: Screen) -> int:
    """Take back what a run did."""
    async with hub_of(args) as hub:
        view = await passes.undo_run(hub, args.number)
    screen.data(view)
    show_undo(screen, view, args.number)
    return 1 if view.not_undone or view.failed else 0


def show_undo(screen: Screen, view: PassView, number: int) -> None:
    """Print what was taken back and what was not."""
    taken = count(view.writes, "write")
    screen.line(f"  run {number} was taken back with {taken} (run {view.run})")
    told.steps(screen, view)
    for text in view.not_undone:
        screen.text(f"not undone: {text}", indent=f"  {screen.sign(well=False)} ", hang="    ")
    told.problems(screen, view)
    if view.writes:
        screen.line("  Each of these stays as it is now until somebody changes it, or you say")
        screen.line("  truckroll holds --retry REF")


async def runs(args: Namespace, screen: Screen) -> int:
    """List the latest runs."""
    async with hub_of(args) as hub:
        found = await hub.store.runs(limit=args.limit)
        names = {row.id: row.name for row in await hub.store.recipes()}
    screen.data({"runs": found})
    if not found:
        screen.line("  no run yet:  truckroll plan")
    screen.table(
        (f"run {one.id}", _time(one.started_at), one.kind, names.get(one.recipe, ""), _sum(one))
        for one in found
    )
    return 0


def _time(at: datetime) -> str:
    local = at.astimezone()
    return f"{local:%a} {local.day} {local:%b %H:%M}"


def _sum(one: object) -> str:
    summary = getattr(one, "summary", {})
    if getattr(one, "ended_at", None) is None and "planned" in summary:
        return f"{getattr(one, 'done', 0):,} of {count(summary['planned'], 'write')} done"
    if not summary or "writes" not in summary:
        return "did not end"
    if summary.get("stopped"):
        return "a brake stopped it"
    parts = [count(int(summary.get("writes", 0)), "write")]
    parts += [f"{summary[key]} {key}" for key in ("held", "failed") if summary.get(key)]
    return " · ".join(parts)
