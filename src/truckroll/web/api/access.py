"""Who I am, members, tokens, tenants, and the audit log."""

from typing import Annotated, Any

import msgspec
from litestar import Request
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from truckroll.app import audit, members, tenants
from truckroll.app.members import Caller, MadeToken, MemberView, TokenView
from truckroll.app.rights import Preset, Right
from truckroll.app.tenants import TenantView
from truckroll.store.audit import AuditLine
from truckroll.web.api.words import InPath, Name, Number, Text
from truckroll.web.once import SECRET
from truckroll.web.paging import USUAL, Cursor, Limit, Page, page, piece, place
from truckroll.web.problems import in_path
from truckroll.web.routes import changes, does, removes, shows
from truckroll.web.sign_in import ANYBODY, HubOf

TEN_YEARS = 3660
About = Annotated[str, QueryParameter(max_length=200, description="a person, subject or act")]


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls: the member, the token they came with, and what it may do here."""

    name: str
    token: str
    rights: list[str]
    tenant: TenantView


class NewMember(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member to add. `person` is whom they stand for in the people map."""

    name: Name
    presets: Annotated[list[Preset], Meta(min_length=1, max_length=20)]
    mail: Text = ""
    person: Text = ""


class Presets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a member may do from now on."""

    presets: Annotated[list[Preset], Meta(min_length=1, max_length=20)]


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to make. `scopes` are rights of the member, [] all of them; `days` 0 for ever."""

    name: Name
    member: Name
    scopes: Annotated[list[Right], Meta(max_length=50)] = []
    days: Annotated[int, Meta(ge=0, le=TEN_YEARS)] = 0


class NewName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tenant's new name."""

    name: Name


@shows("/me", ANYBODY, summary="Who am I, and what may I do?")
async def me(request: Request[Caller, int, Any], hub: HubOf) -> Me:
    """Return the caller."""
    (here,) = await tenants.among(hub.store, [hub.store.tenant])
    rights = sorted(hub.actor.rights)
    del request
    return Me(name=hub.actor.name, token=hub.actor.token, rights=list(rights), tenant=here)


@shows("/tenants", ANYBODY, summary="The tenants that this token was given")
async def list_tenants(
    request: Request[Caller, int, Any], hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL
) -> Page[TenantView]:
    """Return tenants; others there may be are not named."""
    return piece(await tenants.among(hub.store, request.user.places), cursor, limit)


@changes("/tenant", Right.MANAGE_TENANT, summary="Rename the tenant")
async def rename_tenant(hub: HubOf, data: JSONBody[NewName]) -> TenantView:
    """Give the tenant another name."""
    return await tenants.rename(hub, data.name)


@shows("/members", Right.MANAGE_MEMBERS, summary="Members")
async def list_members(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[MemberView]:
    """Return the members by name."""
    return piece(await members.listed(hub), cursor, limit)


@does("/members", Right.MANAGE_MEMBERS, summary="Add a member", status_code=201)
async def add_member(hub: HubOf, data: JSONBody[NewMember]) -> MemberView:
    """Add a member; nobody gives a right that they do not have."""
    return await members.add(
        hub, data.name, mail=data.mail, presets=data.presets, person=data.person
    )


@changes("/members/{name:str}", Right.MANAGE_MEMBERS, summary="Change what a member may do")
async def set_member(hub: HubOf, name: InPath, data: JSONBody[Presets]) -> MemberView:
    """Replace a member's presets."""
    with in_path():
        await members.one(hub, name)
    return await members.give(hub, name, data.presets)


@removes("/members/{name:str}", Right.MANAGE_MEMBERS, summary="Remove a member")
async def remove_member(hub: HubOf, name: InPath) -> None:
    """Remove a member; their tokens end at once."""
    with in_path():
        await members.remove(hub, name)


@shows("/tokens", Right.MANAGE_MEMBERS, summary="API tokens, without their secrets")
async def list_tokens(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[TokenView]:
    """Return all tokens, those that ended too."""
    return piece(await members.tokens(hub), cursor, limit)


@does(
    "/tokens",
    Right.MANAGE_MEMBERS,
    summary="Make an API token; its secret is shown once",
    status_code=201,
    opt={SECRET: True},
)
async def make_token(hub: HubOf, data: JSONBody[NewToken]) -> MadeToken:
    """Make a token of a member, with rights that both the member and the caller have."""
    return await members.make_token(hub, data.name, data.member, scopes=data.scopes, days=data.days)


@removes("/tokens/{token:int}", Right.MANAGE_MEMBERS, summary="Revoke an API token")
async def revoke_token(hub: HubOf, token: Number) -> None:
    """End a token at once."""
    with in_path():
        await members.revoke(hub, token)


@shows("/audit", Right.READ_AUDIT, summary="Who did what")
async def read_audit(
    hub: HubOf,
    cursor: Cursor = "",
    limit: Limit = USUAL,
    about: About = "",
) -> Page[AuditLine]:
    """Return lines of the audit log, the newest first."""
    found = await audit.listed(hub, about, before=place(cursor), limit=limit + 1)
    return page(found, limit, found[:limit][-1].id if found else 0)


ROUTES = (
    me,
    list_tenants,
    rename_tenant,
    list_members,
    add_member,
    set_member,
    remove_member,
    list_tokens,
    make_token,
    revoke_token,
    read_audit,
)
