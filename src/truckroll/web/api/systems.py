"""Accounts with their parts, and whose calendar is whose."""

import msgspec
from litestar.params import JSONBody

from truckroll.app import accounts, people
from truckroll.app.accounts import AccountView, ScopeView
from truckroll.app.people import PersonView, SuggestionView
from truckroll.app.rights import Right
from truckroll.web.api.words import InPath, Name, RecipeName, Text
from truckroll.web.paging import USUAL, Cursor, Limit, Page, piece
from truckroll.web.problems import in_path
from truckroll.web.routes import does, removes, shows
from truckroll.web.sign_in import HubOf


class Mapped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose calendar it is: `account/calendar`, or the mail address of its owner."""

    person: Name
    calendar: Name
    recipe: Text = ""


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """Where a person's visits go."""

    person: str
    calendar: str


@shows("/accounts", Right.SEE_SETTINGS, summary="Accounts; never a secret")
async def list_accounts(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[AccountView]:
    """Return the accounts that the hub is signed in to."""
    return piece(await accounts.listed(hub), cursor, limit)


@does("/accounts/{name:str}/test", Right.MANAGE_ACCOUNTS, summary="Sign in again, look for parts")
async def test_account(hub: HubOf, name: InPath) -> AccountView:
    """Sign in to an account again and look for new parts; asks its system."""
    with in_path():
        await accounts.one(hub, name)
    return await accounts.refresh(hub, name)


@shows("/accounts/{name:str}/scopes", Right.SEE_SETTINGS, summary="Parts of an account")
async def list_scopes(
    hub: HubOf, name: InPath, cursor: Cursor = "", limit: Limit = USUAL
) -> Page[ScopeView]:
    """Return the calendars, sheets or feeds of an account."""
    with in_path():
        found = await accounts.scopes(hub, name)
    return piece(found, cursor, limit)


@shows("/people", Right.SEE_SETTINGS, summary="Whose calendar is whose")
async def list_people(
    hub: HubOf, recipe: RecipeName = "", cursor: Cursor = "", limit: Limit = USUAL
) -> Page[PersonView]:
    """Return everybody whom the source names now, and everybody who is mapped; reads the source."""
    return piece(await people.listed(hub, recipe), cursor, limit)


@shows("/people/suggestions", Right.SEE_SETTINGS, summary="Calendars that may be somebody's")
async def suggest_people(
    hub: HubOf, recipe: RecipeName = "", cursor: Cursor = "", limit: Limit = USUAL
) -> Page[SuggestionView]:
    """Return suggestions for people without a calendar; reads the source."""
    return piece((await people.suggested(hub, recipe)).suggestions, cursor, limit)


@does("/people", Right.MAP_PEOPLE, summary="Say whose calendar it is")
async def map_person(hub: HubOf, data: JSONBody[Mapped]) -> Mapping:
    """Put a person on the map; reads the source."""
    calendar = await people.map_person(
        hub, data.person, data.calendar, recipe=data.recipe, by=hub.actor.name
    )
    return Mapping(person=data.person, calendar=calendar)


@removes("/people/{person:str}", Right.MAP_PEOPLE, summary="Take a person out of the map")
async def unmap_person(hub: HubOf, person: InPath, recipe: RecipeName = "") -> None:
    """Take a person out of the map; what is in their calendar stays."""
    with in_path():
        await people.mapped(hub, person)
    await people.unmap(hub, person, recipe=recipe)


ROUTES = (
    list_accounts,
    test_account,
    list_scopes,
    list_people,
    suggest_people,
    map_person,
    unmap_person,
)
