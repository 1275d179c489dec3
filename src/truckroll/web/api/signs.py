"""What keeps accounts connected: subscriptions, and signing in again by a link."""

from typing import Annotated, Any

import msgspec
from litestar import Request
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from truckroll.app import accounts, links, subscriptions
from truckroll.app.accounts import AccountView
from truckroll.app.hub import Hub
from truckroll.app.links import Link
from truckroll.app.members import Caller
from truckroll.app.rights import Right
from truckroll.app.subscriptions import SubscriptionView, Worked
from truckroll.app.trouble import TroubleError
from truckroll.web.api.words import InPath, Text
from truckroll.web.once import SECRET
from truckroll.web.paging import USUAL, Cursor, Limit, Page, piece
from truckroll.web.problems import in_path
from truckroll.web.routes import does, shows
from truckroll.web.sign_in import HubOf

Call = Request[Caller, int, Any]
OfOne = Annotated[str, QueryParameter(max_length=200, description="of one account alone")]
Url = Annotated[str, Meta(min_length=1, max_length=2000)]


class Renewed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose subscriptions are made anew; of all accounts where none is named."""

    account: Text = ""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the person comes back to with the system's answer: an address of the caller's own."""

    redirect_uri: Url


class CameBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the person came back with, and the ticket of the link that they went by."""

    ticket: Annotated[str, Meta(min_length=1, max_length=8000)]
    code: Annotated[str, Meta(max_length=4000)]
    state: Annotated[str, Meta(max_length=1000)]


@shows("/subscriptions", Right.SEE_SETTINGS, summary="Which systems tell of changes")
async def list_subscriptions(
    hub: HubOf, account: OfOne = "", cursor: Cursor = "", limit: Limit = USUAL
) -> Page[SubscriptionView]:
    """Return the subscriptions of an account, or of all; never their addresses or secrets."""
    return piece(await subscriptions.listed(hub, account), cursor, limit)


@does("/subscriptions/renew", Right.MANAGE_ACCOUNTS, summary="Subscribe anew")
async def renew(request: Call, hub: HubOf, data: JSONBody[Renewed]) -> Worked:
    """Make subscriptions anew; asks the systems. 409 where the hub has no public address."""
    done = await subscriptions.renew(hub, request.app.state.public, data.account)
    if done.polled:
        raise TroubleError(subscriptions.no_address())
    return done


@does("/accounts/{name:str}/unsubscribe", Right.MANAGE_ACCOUNTS, summary="Stop subscriptions")
async def stop(hub: HubOf, name: InPath) -> Worked:
    """Stop what an account's system tells; it is polled until it is subscribed to anew."""
    await _known(hub, name)
    return await subscriptions.stop(hub, name)


@does(
    "/accounts/{name:str}/sign-in",
    Right.MANAGE_ACCOUNTS,
    summary="A link to sign in again",
    opt={SECRET: True},
)
async def ask(request: Call, hub: HubOf, name: InPath, data: JSONBody[Wanted]) -> Link:
    """Return a link for a person's browser, and a ticket for what they come back with.

    Both are good for a quarter of an hour, and the ticket for the token that asked alone.
    """
    await _known(hub, name)
    return await links.ask(hub, request.auth, name, data.redirect_uri)


@does("/accounts/{name:str}/sign-in/answer", Right.MANAGE_ACCOUNTS, summary="Finish signing in")
async def granted(request: Call, hub: HubOf, name: InPath, data: JSONBody[CameBack]) -> AccountView:
    """Take what a person came back with; the account goes on from where it stood."""
    await _known(hub, name)
    return await links.granted(
        hub, request.auth, name, ticket=data.ticket, code=data.code, state=data.state
    )


async def _known(hub: Hub, name: str) -> None:
    with in_path():
        await accounts.one(hub, name)


ROUTES = (list_subscriptions, renew, stop, ask, granted)
