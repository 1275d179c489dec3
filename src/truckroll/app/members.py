"""Members, and the API tokens that they come with."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.audit import audited
from truckroll.app.hub import Actor
from truckroll.app.rights import Right, rights_named, rights_of
from truckroll.app.tenants import find
from truckroll.app.trouble import TroubleError, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from truckroll.app.hub import Hub
    from truckroll.store.members import Member, Token
    from truckroll.store.store import Store

PREFIX = "tkr_"
_BYTES = 32
_LONGEST_NAME = 200


class MemberView(msgspec.Struct, frozen=True, kw_only=True):
    """A member: what they were given, and the rights that this comes to.

    `person` is whom they stand for in the people map, "" for nobody.
    """

    name: str
    mail: str
    presets: list[str]
    rights: list[str]
    person: str
    added_at: datetime


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """An API token; its secret is shown once, by `MadeToken`. `state`: live, ended or revoked."""

    id: int
    name: str
    member: str
    scopes: list[str]
    state: str
    made_by: str
    made_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


class MadeToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token. `secret` is shown now and never again."""

    secret: str
    token: TokenView


@dataclass(frozen=True, slots=True)
class Caller:
    """Who came with a token, into which tenant; `places` are all tenants that it was given."""

    store: Store
    token: int
    actor: Actor
    places: tuple[int, ...]


async def listed(hub: Hub) -> list[MemberView]:
    """Return all members by name."""
    return [_view(one) for one in await hub.store.members()]


async def one(hub: Hub, name: str) -> MemberView:
    """Return a member; raises TroubleError with the known names."""
    return _view(await _member(hub, name))


@audited("member.add", "name", "presets", "person")
async def add(
    hub: Hub, name: str, *, mail: str = "", presets: Sequence[str], person: str = ""
) -> MemberView:
    """Add a member; raises TroubleError. Nobody gives a right that they do not have."""
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME:
        raise TroubleError("A member needs a name of at most 200 letters.", usage=True)
    if not presets:
        raise TroubleError("Say what they may do: one preset or more.", usage=True)
    _may_give(hub, rights_of(presets))
    try:
        made = await hub.store.add_member(name, mail, presets, person, at=hub.now())
    except KeyError as error:
        raise TroubleError(f"There is a member “{name}” already.", usage=True) from error
    return _view(made)


async def _presets(hub: Hub, given: Mapping[str, Any]) -> dict[str, object]:
    found = await hub.store.members(given["name"])
    return {"presets": found[0].presets if found else ()}


@audited("member.set", "name", "presets", old=_presets)
async def give(hub: Hub, name: str, presets: Sequence[str]) -> MemberView:
    """Replace a member's presets; raises TroubleError."""
    member = await _member(hub, name)
    _may_give(hub, rights_of(presets) | rights_of(member.presets))
    await hub.store.set_presets(name, presets)
    return _view(await _member(hub, name))


@audited("member.remove", "name")
async def remove(hub: Hub, name: str) -> None:
    """Remove a member; their tokens end at once."""
    if not await hub.store.remove_member(name):
        raise known(name, [one.name for one in await hub.store.members()], "member")


async def tokens(hub: Hub) -> list[TokenView]:
    """Return all tokens by id, those that ended too."""
    return [_token_view(one, hub.now()) for one in await hub.store.tokens()]


async def make_token(
    hub: Hub,
    name: str,
    member: str,
    *,
    scopes: Sequence[str] = (),
    days: int = 0,
    also: Sequence[str] = (),
) -> MadeToken:
    """Make a token of a member with some of their rights, or with all that may be given.

    `days` is how long it lives, 0 for ever. `also` names further tenants that it is given; the
    member must be there, too, and only the command line may say so. Raises TroubleError.
    """
    if also and hub.actor.way != "cli":
        says = "Only the command line of the hub gives a token to several tenants."
        raise TroubleError(says, usage=True)
    hubs = [hub, *[await _beside(hub, name) for name in also]]
    rights = [await _scopes(one, member, scopes) for one in hubs]
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    made = [
        await _make(one, name, member, sorted(given), days, secret)
        for one, given in zip(hubs, rights, strict=True)
    ]
    return MadeToken(secret=secret, token=made[0])


async def _beside(hub: Hub, tenant: str) -> Hub:
    store = hub.store.beside(await find(hub.store, tenant))
    return type(hub)(home=hub.home, store=store, now=hub.now, actor=hub.actor)


async def _scopes(hub: Hub, member: str, words: Sequence[str]) -> frozenset[Right]:
    """Return the rights that a new token is to have; refuse what its member or maker has not."""
    theirs = rights_of((await _member(hub, member)).presets)
    if not words:
        return theirs & hub.actor.rights
    wanted = rights_named(words)
    if over := wanted - theirs:
        says = f"{member} may not: {', '.join(sorted(over))}. A token has rights of its member."
        raise TroubleError(says, usage=True)
    _may_give(hub, wanted)
    return wanted


@audited("token.create", "name", "member", "scopes", "days")
async def _make(
    hub: Hub, name: str, member: str, scopes: Sequence[str], days: int, secret: str
) -> TokenView:
    owner = await _member(hub, member)
    ends = hub.now() + timedelta(days=days) if days else None
    id_ = await hub.store.add_token(
        owner.id,
        name,
        _digest(secret),
        scopes,
        hub.actor.name,
        at=hub.now(),
        expires_at=ends,
    )
    (made,) = await hub.store.tokens(id_)
    return _token_view(made, hub.now())


@audited("token.revoke", "token")
async def revoke(hub: Hub, token: int) -> None:
    """End a token at once; raises TroubleError where there is none."""
    if not await hub.store.tokens(token):
        raise known(str(token), [str(one.id) for one in await hub.store.tokens()], "token")
    await hub.store.revoke_token(token, at=hub.now())


async def caller(store: Store, secret: str, tenant: str, now: datetime) -> Caller | None:
    """Return who comes with a token; None where it is not known, has ended, or was revoked.

    `store` may be any tenant's. `tenant` names one of the token's tenants, "" the first of them;
    raises TroubleError where the token was not given that one.
    """
    live: list[tuple[Store, Token]] = []
    for number, id_ in await store.token_places(_digest(secret)):
        there = store.beside(number)
        found = await there.tokens(id_)
        live += [(there, one) for one in found if _state(one, now) == "live"]
    if not live:
        return None
    places = tuple(there.tenant for there, _ in live)
    for there, token in live:
        if not tenant or tenant.casefold() in await _names(there):
            return Caller(there, token.id, await _actor(there, token, now), places)
    raise TroubleError("This token was not given that tenant.", usage=True)


async def _names(store: Store) -> set[str]:
    return {str(store.tenant), (await store.tenant_name()).casefold()}


async def _actor(store: Store, token: Token, now: datetime) -> Actor:
    (member,) = await store.members(token.member)
    scopes = {one for one in Right if one in token.scopes}
    await store.token_used(token.id, at=now)
    return Actor(member.name, "api", token.name, rights_of(member.presets) & scopes)


def _may_give(hub: Hub, wanted: frozenset[Right]) -> None:
    if over := wanted - hub.actor.rights:
        says = f"You may not give what you may not do yourself: {', '.join(sorted(over))}."
        raise TroubleError(says, usage=True)


async def _member(hub: Hub, name: str) -> Member:
    found = await hub.store.members(name)
    if not found:
        raise known(name, [one.name for one in await hub.store.members()], "member")
    return found[0]


def _digest(secret: str) -> bytes:
    """Return what is kept of a secret. It has 256 random bits: a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).digest()


def _state(token: Token, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "ended" if token.expires_at is not None and token.expires_at <= now else "live"


def _view(member: Member) -> MemberView:
    return MemberView(
        name=member.name,
        mail=member.mail,
        presets=list(member.presets),
        rights=sorted(rights_of(member.presets)),
        person=member.person,
        added_at=member.added_at,
    )


def _token_view(token: Token, now: datetime) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        member=token.member,
        scopes=list(token.scopes),
        state=_state(token, now),
        made_by=token.made_by,
        made_at=token.made_at,
        expires_at=token.expires_at,
        used_at=token.used_at,
    )
