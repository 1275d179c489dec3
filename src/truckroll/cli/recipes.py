"""recipe list, show, check, install, set, history, rollback, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.app import people, recipes
from truckroll.app.home import home_directory, is_home
from truckroll.app.installed import load_installed
from truckroll.app.trouble import TroubleError
from truckroll.cli.ask import hub_of, settings
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.app.hub import Hub
    from truckroll.app.recipes import Change, OptionView, RecipeView, Shown


async def listed(args: Namespace, screen: Screen) -> int:
    """List shipped and installed recipes."""
    if is_home(home_directory(getattr(args, "home", ""))):
        async with hub_of(args) as hub:
            views = await recipes.listed(hub)
    else:
        views = await recipes.listed(None)
    screen.data({"recipes": views})
    for view in views:
        state = _bound(view) if view.installed else "not installed"
        screen.line(f"  {view.name}")
        screen.text(view.title, indent="      ")
        screen.text(state, indent="      ")
    return 0


def _bound(view: RecipeView) -> str:
    zone = f", zone {view.bindings['zone']}" if view.bindings.get("zone") else ""
    where = f"{view.bindings.get('from')} → {view.bindings.get('to')}{zone}"
    paused = ", paused" if view.paused_at is not None else ""
    return f"installed, version {view.installed}{paused}: {where}"


async def show(args: Namespace, screen: Screen) -> int:
    """Show a recipe with its choices."""
    if is_home(home_directory(getattr(args, "home", ""))):
        async with hub_of(args) as hub:
            shown = await recipes.shown(hub, args.name)
    else:
        shown = await recipes.shown(None, args.name)
    screen.data(shown)
    _show(screen, shown)
    return 0


def _show(screen: Screen, shown: Shown) -> None:
    view = shown.recipe
    screen.line(f"  {view.title}")
    screen.text(view.about, indent="  ")
    if view.installed:
        screen.text(_bound(view), indent="  ")
    for option in shown.options:
        screen.line()
        screen.text(f"{option.name}: {option.asks}", indent="  ", hang="    ")
        screen.table(_words(option), indent="    ")
    rows = {key: value for key, value in view.choices.items() if key.startswith("maps.")}
    if rows:
        screen.line()
        screen.line("  Your own words:")
        screen.table(list(rows.items()), indent="    ")
    screen.line()
    screen.line(f"  Change one with  truckroll recipe set {view.name} KEY=VALUE")


def _words(option: OptionView) -> list[tuple[str, ...]]:
    if not option.words:
        bounds = f", from {option.least} to {option.most}" if option.most else ""
        return [("●", f"{option.present}{bounds}")]
    return [
        ("●" if word == option.present else "○", word, says) for word, says in option.words.items()
    ]


def check(args: Namespace, screen: Screen) -> int:
    """Look for slips in a recipe's file."""
    slips = recipes.slips_of(args.name)
    screen.data({"slips": slips})
    for slip in slips:
        screen.line(str(slip))
    if not slips:
        screen.line(f"  {screen.sign(well=True)} {args.name} has no slips")
        return 0
    screen.line(f"{count(len(slips), 'slip')}; nothing was installed")
    return 2


async def install(args: Namespace, screen: Screen) -> int:
    """Install a recipe, or a new version of it."""
    async with hub_of(args) as hub:
        change = await recipes.install(
            hub,
            args.name,
            source=args.source,
            target=args.target,
            choices=settings(args.settings),
            zone=args.zone,
        )
        screen.data(change)
        where = f"{args.source} → {args.target}"
        _changed(screen, change, f"{change.name} is installed: {where}")
        await _people(hub, screen, change.name)
    return 0


def _changed(screen: Screen, change: Change, says: str) -> None:
    screen.line(f"  {screen.sign(well=True)} {says} (version {change.version})")
    screen.line("    Nothing has been written. See what it would change:  truckroll plan")


async def _people(hub: Hub, screen: Screen, name: str) -> None:
    """Tell at once if nobody said yet whose calendar is whose."""
    installed = await load_installed(hub, name)
    if not installed.mirror.per or screen.json:
        return
    try:
        views = await people.listed(hub, name)
    except TroubleError as error:  # the recipe is installed; the source is another matter
        screen.text(error.says, indent=f"  {screen.sign(well=False)} ", hang="    ")
        return
    missing = [view.name for view in views if not view.calendar]
    if missing:
        who = f"{count(len(missing), 'person')} without a calendar".replace("persons", "people")
        screen.line(f"  {screen.sign(well=False)} {who}:  truckroll people suggest")


async def choose(args: Namespace, screen: Screen) -> int:
    """Change choices of an installed recipe."""
    async with hub_of(args) as hub:
        change = await recipes.choose(hub, args.name, settings(args.choices))
    screen.data(change)
    if change.changed:
        _changed(screen, change, f"{args.name}: {', '.join(args.choices)}")
    else:
        screen.line(f"  {args.name} is set so already")
    return 0


async def history(args: Namespace, screen: Screen) -> int:
    """Show the versions of an installed recipe."""
    async with hub_of(args) as hub:
        versions = await recipes.history(hub, args.name)
    screen.data({"versions": versions})
    for one in versions:
        local = one.installed_at.astimezone()
        now = "  (now)" if one.now else ""
        choices = ", ".join(f"{key}={value}" for key, value in one.choices.items()) or "as shipped"
        where = f"{one.bindings.get('from')} → {one.bindings.get('to')}"
        at = f"{local:%a} {local.day} {local:%b %H:%M}"
        screen.line(f"  version {one.version}  {at}  {where}  {choices}{now}")
    return 0


async def rollback(args: Namespace, screen: Screen) -> int:
    """Install an earlier version again."""
    async with hub_of(args) as hub:
        change = await recipes.rollback(hub, args.name, args.version)
    screen.data(change)
    _changed(screen, change, f"{args.name} is as in version {args.version} again")
    return 0


async def pause(args: Namespace, screen: Screen) -> int:
    """Let nothing of a recipe be written for now."""
    async with hub_of(args) as hub:
        changed = await recipes.pause(hub, args.name)
    screen.data({"paused": args.name, "changed": changed})
    if not changed:
        screen.line(f"  {args.name} is paused already")
        return 0
    screen.line(f"  {screen.sign(well=True)} {args.name} is paused: it is read, but not written")
    screen.line(f"    Let it go on:  truckroll recipe resume {args.name}")
    return 0


async def resume(args: Namespace, screen: Screen) -> int:
    """Let a paused recipe go on."""
    async with hub_of(args) as hub:
        changed = await recipes.resume(hub, args.name)
    screen.data({"resumed": args.name, "changed": changed})
    sign = screen.sign(well=True)
    screen.line(f"  {sign} {args.name} goes on" if changed else f"  {args.name} is not paused")
    return 0


async def remove(args: Namespace, screen: Screen) -> int:
    """Let a recipe be installed no more."""
    async with hub_of(args) as hub:
        await recipes.remove(hub, args.name)
    screen.data({"removed": args.name})
    screen.line(f"  {screen.sign(well=True)} {args.name} is removed; nothing follows any more")
    screen.line("    What it made stays where it is; installed again, it takes it up again.")
    return 0
