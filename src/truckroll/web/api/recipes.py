"""Recipes: what is kept in step, and how. Who changes one says which version they saw."""

from typing import Annotated

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.params import HeaderParameter, JSONBody
from msgspec import Meta

from truckroll.app import recipes
from truckroll.app.hub import Hub
from truckroll.app.recipes import Change, RecipeView, Shown, VersionView
from truckroll.app.rights import Right
from truckroll.web.api.words import InPath, Name, Text
from truckroll.web.paging import USUAL, Cursor, Limit, Page, piece
from truckroll.web.problems import in_path
from truckroll.web.routes import changes, does, removes, shows
from truckroll.web.sign_in import HubOf

_LARGEST_TEXT = 200_000
_LARGEST_VERSION = 2**31

IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", max_length=100, description="the ETag of what you saw"),
]
Toml = Annotated[str, Meta(max_length=_LARGEST_TEXT)]
Choices = Annotated[dict[str, Text], Meta(max_length=200)]


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text of a recipe to look for slips in."""

    toml: Toml


class Slips(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a recipe, a sentence each; none where it is fine."""

    slips: list[str]


class NewRecipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recipe to install: a shipped one by name, or `toml`, its whole text.

    `source` and `target` are `account` or `account/part` words, separated by commas.
    """

    source: Name
    target: Name
    name: Text = ""
    toml: Toml = ""
    choices: Choices = {}
    zone: Text = ""


class Chosen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choices to change; the others stay."""

    choices: Choices


class Earlier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version to install again."""

    version: Annotated[int, Meta(ge=1, lt=_LARGEST_VERSION)]


@shows("/recipes", Right.SEE_SETTINGS, summary="Shipped and installed recipes")
async def list_recipes(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[RecipeView]:
    """Return recipes by name; `installed` is the version at work, 0 for none."""
    return piece(await recipes.listed(hub), cursor, limit)


@does("/recipes/check", Right.SEE_SETTINGS, summary="Look for slips in a recipe")
async def check_recipe(data: JSONBody[Checked]) -> Slips:
    """Return all slips of a recipe's text; nothing is installed."""
    return Slips(slips=recipes.slips_in(data.toml))


@shows("/recipes/{name:str}", Right.SEE_SETTINGS, summary="A recipe with its choices")
async def show_recipe(hub: HubOf, name: InPath) -> Response[Shown]:
    """Return a recipe; its ETag stands for its installed version."""
    await _known(hub, name)
    shown = await recipes.shown(hub, name)
    return Response(shown, headers={"ETag": _tag(shown.recipe.installed)})


@does("/recipes", Right.CHANGE_RECIPES, summary="Install a recipe, or a new version of it")
async def install_recipe(
    hub: HubOf, data: JSONBody[NewRecipe], if_match: IfMatch = None
) -> Response[Change]:
    """Install a recipe. Over an installed one, If-Match must name its present version."""
    name, text = recipes.given(data.name, data.toml)
    row = await hub.store.recipe(name)
    over = _seen(if_match, row.version) if row is not None else None
    made = await recipes.install(
        hub,
        name,
        source=data.source,
        target=data.target,
        choices=data.choices,
        zone=data.zone,
        text=text,
        over=over,
    )
    return _changed(made)


@changes("/recipes/{name:str}", Right.CHANGE_RECIPES, summary="Change choices of a recipe")
async def choose(
    hub: HubOf, name: InPath, data: JSONBody[Chosen], if_match: IfMatch = None
) -> Response[Change]:
    """Set choices of an installed recipe; If-Match names the version that they were seen in."""
    over = _seen(if_match, await _version(hub, name))
    return _changed(await recipes.choose(hub, name, data.choices, over=over))


@shows("/recipes/{name:str}/versions", Right.SEE_SETTINGS, summary="The versions of a recipe")
async def list_versions(
    hub: HubOf, name: InPath, cursor: Cursor = "", limit: Limit = USUAL
) -> Page[VersionView]:
    """Return all versions of an installed recipe, the oldest first."""
    await _version(hub, name)
    return piece(await recipes.history(hub, name), cursor, limit)


@does("/recipes/{name:str}/rollback", Right.CHANGE_RECIPES, summary="Install an earlier version")
async def roll_back(
    hub: HubOf, name: InPath, data: JSONBody[Earlier], if_match: IfMatch = None
) -> Response[Change]:
    """Install an earlier version again, as a new one; If-Match names the present one."""
    over = _seen(if_match, await _version(hub, name))
    return _changed(await recipes.rollback(hub, name, data.version, over=over))


@removes("/recipes/{name:str}", Right.CHANGE_RECIPES, summary="Stop a recipe")
async def remove_recipe(hub: HubOf, name: InPath) -> None:
    """Let a recipe be installed no more; what it made stays."""
    await _version(hub, name)
    await recipes.remove(hub, name)


async def _known(hub: Hub, name: str) -> None:
    """Answer 404 for what is neither shipped nor installed; a name is never a path of a file."""
    with in_path():
        await recipes.listed_one(hub, name)


async def _version(hub: Hub, name: str) -> int:
    with in_path():
        return await recipes.version(hub, name)


def _seen(if_match: str | None, present: int) -> int:
    """Return the version that a call was made on; raises 428 where it does not say which."""
    if if_match is None:
        says = f"Say which version you saw:  If-Match: {_tag(present)}"
        raise HTTPException(says, status_code=428)
    if if_match.strip() == "*":
        return present
    number = if_match.strip().removeprefix("W/").strip('"')
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 10 else -1  # noqa: PLR2004 -- fits an integer


def _changed(made: Change) -> Response[Change]:
    return Response(made, headers={"ETag": _tag(made.version)})


def _tag(version: int) -> str:
    return f'"{version}"'


ROUTES = (
    list_recipes,
    check_recipe,
    show_recipe,
    install_recipe,
    choose,
    list_versions,
    roll_back,
    remove_recipe,
)
