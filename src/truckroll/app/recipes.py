"""Recipes: what is shipped, what is installed, and a person's choices."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.audit import audited
from truckroll.app.installed import bound, load_installed
from truckroll.app.trouble import BusyError, OvertakenError, TroubleError, known
from truckroll.model.time import zone_info
from truckroll.recipes.check import check, load
from truckroll.recipes.compile import builtin, check_choices
from truckroll.store.recipes import Overtaken
from truckroll.sync.ports import Busy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from truckroll.app.hub import Hub
    from truckroll.recipes.schema import Option, Recipe, Slip
    from truckroll.store.recipes import Recipe as Row


class RecipeView(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe as people see it. `installed` is its installed version, 0 where it is not.

    `paused_at` is since when nothing of it is written (aware UTC), None where it is at work.
    """

    name: str
    title: str
    about: str
    installed: int = 0
    bindings: dict[str, str] = {}
    choices: dict[str, str] = {}
    paused_at: datetime | None = None


class OptionView(msgspec.Struct, frozen=True, kw_only=True):
    """A choice that a recipe leaves to a person; `present` is what counts now."""

    name: str
    asks: str
    present: str
    default: str
    words: dict[str, str]
    least: int = 0
    most: int = 0


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe with its options."""

    recipe: RecipeView
    options: list[OptionView]


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an installed recipe; `now` says that it is the one at work."""

    version: int
    installed_at: datetime
    bindings: dict[str, str]
    choices: dict[str, str]
    now: bool


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What installing or setting did; `unmapped` are people nobody's calendar is known of."""

    name: str
    version: int
    changed: bool = True


async def listed(hub: Hub | None) -> list[RecipeView]:
    """Return the shipped recipes and the installed ones; without a hub the shipped ones alone."""
    rows = {row.name: row for row in await hub.store.recipes()} if hub else {}
    texts = {**builtin(), **{name: row.toml for name, row in rows.items()}}
    views = []
    for name, text in sorted(texts.items()):
        recipe = load(text, name)
        if not isinstance(recipe, list):
            views.append(_view(recipe, rows.get(name)))
    return views


async def listed_one(hub: Hub, name: str) -> RecipeView:
    """Return a shipped or installed recipe, never a file; raises TroubleError."""
    views = {view.name: view for view in await listed(hub)}
    if name not in views:
        raise known(name, list(views), "recipe")
    return views[name]


async def version(hub: Hub, name: str) -> int:
    """Return the version of an installed recipe; raises TroubleError."""
    return (await _installed(hub, name)).version


async def shown(hub: Hub | None, name: str) -> Shown:
    """Return a recipe, installed or shipped, with its options; raises TroubleError."""
    row = await hub.store.recipe(name) if hub else None
    recipe = parsed(row.toml if row else text_of(name), name)
    choices = row.choices if row else {}
    options = [_option(one, choices) for one in recipe.options.values()]
    return Shown(recipe=_view(recipe, row), options=options)


def slips_of(file: str) -> list[Slip]:
    """Return all slips of a recipe's file (or of a shipped recipe), in the order of lines."""
    return check(text_of(file), Path(file).name)


def slips_in(text: str) -> list[str]:
    """Return all slips of a recipe's text, a sentence each."""
    return [str(slip) for slip in check(text, "recipe.toml")]


def given(name: str, toml: str) -> tuple[str, str]:
    """Return name and text of a recipe given as text, or of a shipped one; never reads a file.

    Raises TroubleError for one that is not shipped, and with the slips of a text.
    """
    if toml:
        return parsed(toml, "recipe.toml").name, toml
    if name not in builtin():
        raise known(name, list(builtin()), "recipe")
    return name, builtin()[name]


def text_of(name: str) -> str:
    """Return the text of a shipped recipe by name, or of a file; raises TroubleError."""
    shipped = builtin()
    if name in shipped:
        return shipped[name]
    path = Path(name).expanduser()
    if path.suffix != ".toml" and not path.exists():
        raise known(name, list(shipped), "recipe")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or "it is no UTF-8 text"
        raise TroubleError(f"{path} cannot be read: {why}", usage=True) from error


def parsed(text: str, name: str) -> Recipe:
    """Return a recipe; raises TroubleError with all its slips."""
    recipe = load(text, name)
    if isinstance(recipe, list):
        raise slip_trouble(recipe, "nothing was installed")
    return recipe


def slip_trouble(slips: Sequence[Slip], outcome: str) -> TroubleError:
    """Return slips as the trouble that they are: a line for each, and what came of it."""
    count = "1 slip" if len(slips) == 1 else f"{len(slips)} slips"
    lines = [*(str(slip) for slip in slips), f"{count}; {outcome}"]
    return TroubleError("\n".join(lines), usage=True)


@audited("recipe.install", "name", "source", "target", "choices", "zone")
async def install(
    hub: Hub,
    name: str,
    *,
    source: str,
    target: str,
    choices: Mapping[str, str],
    zone: str = "",
    text: str = "",
    over: int | None = None,
) -> Change:
    """Install a recipe, shipped, from a file or as `text`, or a new version of it.

    `source` and `target` are `account` or `account/part` words, separated by commas. `zone` is
    the company's IANA zone; by default that of the source account. All links become due.
    Raises TroubleError; then nothing was installed. OvertakenError is one of them, where `over`
    is not the present version.
    """
    text = text or text_of(name)
    recipe = parsed(text, Path(name).name)
    _check_choices(recipe, choices)
    zone = await _check_bindings(hub, recipe, source, target, zone)
    bindings = {"from": source, "to": target, "zone": zone}
    try:
        version = await hub.store.install_recipe(
            recipe.name, text, bindings, dict(choices), over=over
        )
    except Overtaken as error:
        raise _overtaken(recipe.name, error.version) from error
    await _touch(hub, recipe)
    return Change(name=recipe.name, version=version)


async def _check_bindings(hub: Hub, recipe: Recipe, source: str, target: str, zone: str) -> str:
    accounts = {one.id: one for one in await hub.store.accounts()}
    scopes = await hub.store.scopes()
    sources = bound(source, scopes, accounts)
    targets = bound(target, scopes, accounts)
    both = {one.id for one in sources} & {one.id for one in targets}
    if both:
        title = next(one.scope.title for one in sources if one.id in both)
        raise TroubleError(f"“{title}” cannot be kept in step with itself", usage=True)
    rule = next(iter(recipe.mirrors.values()))
    if not rule.per and len(targets) > 1:
        parts = ", ".join(one.scope.title for one in targets)
        raise TroubleError(
            f"{recipe.name} writes to one place, and “{target}” has several; say which, as in"
            f" --to {target.split('/', maxsplit=1)[0]}/PART: {parts}",
            usage=True,
        )
    zone = zone or accounts[sources[0].account].zone
    check_zone(zone)
    return zone


def check_zone(zone: str) -> None:
    """Raise TroubleError for a zone that is not known; "" is fine."""
    try:
        if zone:
            zone_info(zone)
    except (KeyError, ValueError, OSError) as error:
        says = f"“{zone}” is no time zone; write it as America/New_York or Europe/Berlin"
        raise TroubleError(says, usage=True) from error


async def _choices(hub: Hub, given: Mapping[str, Any]) -> dict[str, object]:
    row = await hub.store.recipe(given["name"])
    old = row.choices if row else {}
    return {"choices": {word: old[word] for word in given["choices"] if word in old}}


@audited("recipe.set", "name", "choices", old=_choices)
async def choose(
    hub: Hub, name: str, choices: Mapping[str, str], *, over: int | None = None
) -> Change:
    """Set choices of an installed recipe; the others stay. All links become due.

    Raises OvertakenError where `over` is not the present version.
    """
    row = await _installed(hub, name)
    if over not in (None, row.version):
        raise _overtaken(name, row.version)
    recipe = parsed(row.toml, name)
    whole = {**row.choices, **choices}
    _check_choices(recipe, whole)
    if whole == row.choices:
        return Change(name=name, version=row.version, changed=False)
    try:
        version = await hub.store.set_choices(name, whole, over=over)
    except Overtaken as error:
        raise _overtaken(name, error.version) from error
    await _touch(hub, recipe)
    return Change(name=name, version=version)


async def history(hub: Hub, name: str) -> list[VersionView]:
    """Return all versions of an installed recipe, the oldest first."""
    present = (await _installed(hub, name)).version
    return [
        VersionView(
            version=row.version,
            installed_at=row.installed_at,
            bindings=row.bindings,
            choices=row.choices,
            now=row.version == present,
        )
        for row in await hub.store.history(name)
    ]


async def _version(hub: Hub, given: Mapping[str, Any]) -> dict[str, object]:
    row = await hub.store.recipe(given["name"])
    return {"version": row.version if row else 0}


@audited("recipe.rollback", "name", "version", old=_version)
async def rollback(hub: Hub, name: str, version: int, *, over: int | None = None) -> Change:
    """Install an earlier version again, as a new one. All links become due.

    Raises OvertakenError where `over` is not the present version.
    """
    await _installed(hub, name)
    try:
        new = await hub.store.rollback(name, version, over=over)
    except Overtaken as error:
        raise _overtaken(name, error.version) from error
    except KeyError:
        there = [str(row.version) for row in await hub.store.history(name)]
        raise known(str(version), there, f"version of {name}") from None
    row = await _installed(hub, name)
    await _touch(hub, parsed(row.toml, name))
    return Change(name=name, version=new)


@audited("recipe.remove", "name")
async def remove(hub: Hub, name: str) -> None:
    """Let a recipe be installed no more; what it made stays where it is, as does its story.

    Installed again it finds its records again. Raises TroubleError.
    """
    await _installed(hub, name)
    try:
        await hub.store.remove_recipe(name)
    except Busy as busy:
        raise BusyError(busy.says) from busy


@audited("recipe.pause", "name")
async def pause(hub: Hub, name: str) -> bool:
    """Let nothing of a recipe be written from now on; it is read as before, and plans can be seen.

    What was begun ends: at most what is in hand, three batches of 500. False where it pauses
    already. Raises TroubleError where it is not installed.
    """
    await _installed(hub, name)
    return await hub.store.pause_recipe(name, at=hub.now())


@audited("recipe.resume", "name")
async def resume(hub: Hub, name: str) -> bool:
    """Let a paused recipe go on where it stood; False where it does not pause.

    Raises TroubleError where it is not installed.
    """
    await _installed(hub, name)
    return await hub.store.resume_recipe(name, at=hub.now())


def _overtaken(name: str, version: int) -> OvertakenError:
    return OvertakenError(
        f"Somebody changed {name} meanwhile: it is at version {version} now. Nothing was changed;"
        " look at it again and say what you want of it."
    )


async def _installed(hub: Hub, name: str) -> Row:
    row = await hub.store.recipe(name)
    if row is None:
        await load_installed(hub, name)  # says which there are
    assert row is not None
    return row


async def _touch(hub: Hub, recipe: Recipe) -> None:
    row = await hub.store.recipe(recipe.name)
    assert row is not None
    for name in recipe.mirrors:
        await hub.store.touch(await hub.store.mirror_id(row.id, name))


def _check_choices(recipe: Recipe, choices: Mapping[str, str]) -> None:
    if slips := check_choices(recipe, choices):
        raise slip_trouble(slips, "nothing was changed")


def _view(recipe: Recipe, row: Row | None) -> RecipeView:
    return RecipeView(
        name=recipe.name,
        title=recipe.title,
        about=recipe.about,
        installed=row.version if row else 0,
        bindings=row.bindings if row else {},
        choices=row.choices if row else {},
        paused_at=row.paused_at if row else None,
    )


def _option(option: Option, choices: Mapping[str, str]) -> OptionView:
    return OptionView(
        name=option.name,
        asks=option.asks,
        present=str(choices.get(option.name, option.default)),
        default=str(option.default),
        words=dict(option.words),
        least=option.least,
        most=option.most,
    )
