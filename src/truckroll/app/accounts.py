"""Accounts: add, list, test, remove."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec

from truckroll.app.audit import audited
from truckroll.app.hub import Hub, utc_now
from truckroll.app.systems import connector
from truckroll.app.trouble import TroubleError, known, mended_by_sign_in
from truckroll.kit import breaker
from truckroll.kit.contract import Connector, Scope, Session
from truckroll.kit.errors import RetryLater, SignIn, VendorError
from truckroll.kit.grants import Grants, MemoryGrants
from truckroll.kit.http import Gates, Http, Offline, open_client
from truckroll.kit.outcomes import BY_ITSELF
from truckroll.store.accounts import Account

# Settings that are no secret, and by which somebody says who they are.
_WHO = ("user", "client_id")


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account as people see it; never a secret.

    `waits` is why nothing is asked of it now ("": it works), `since` (aware UTC) since when.
    """

    name: str
    system: str
    title: str
    settings: dict[str, str]
    scopes: tuple[str, ...]
    waits: str = ""
    since: datetime | None = None


class ScopeView(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an account: a calendar, a sheet, a feed.

    `live` is how many records are there, `complete_at` when all of it was last read.
    """

    id: str
    title: str
    kind: str
    writable: bool
    owner: str
    live: int
    complete_at: datetime | None


@asynccontextmanager
async def sign_in(
    account: Account,
    speaks: Connector,
    *,
    gates: Gates | None = None,
    grants: Grants | None = None,
) -> AsyncIterator[Session]:
    """Open a session of an account; its connections close with it.

    `gates` and `grants` are what it shares with all who work on the account (`gates_of`,
    `grants_of`); without them it stands alone.
    """
    settings = {**account.settings, **account.secrets}
    transport = speaks.transport(settings)
    async with AsyncExitStack() as stack:
        http: Http = Offline()
        if transport.base_url:
            client = open_client(
                transport, system=speaks.title, account=account.name, gates=gates, grants=grants
            )
            http = await stack.enter_async_context(client)
        yield Session(
            account=account.name,
            system=speaks.title,
            settings=settings,
            http=http,
            zone=account.zone,
        )


@asynccontextmanager
async def shared_sign_in(hub: Hub, account: Account, speaks: Connector) -> AsyncIterator[Session]:
    """Open a session that shares budgets, breaker and tokens with all processes."""
    gates, grants = gates_of(hub, account, speaks), grants_of(hub, account)
    async with sign_in(account, speaks, gates=gates, grants=grants) as session:
        yield session


def gates_of(hub: Hub, account: Account, speaks: Connector) -> Gates:
    """Return what gives the gate that all who work on an account share."""
    return partial(hub.store.gate, account.id, speaks.system, clock=_clock(hub))


def grants_of(hub: Hub, account: Account) -> Grants:
    """Return where all who work on an account keep its tokens."""
    return hub.store.grants(account.id, clock=_clock(hub))


def _clock(hub: Hub) -> Callable[[], datetime] | None:
    """Return the hub's clock where it is one of its own; else the database's counts."""
    return None if hub.now is utc_now else hub.now


def _at(hub: Hub) -> datetime | None:
    clock = _clock(hub)
    return clock() if clock is not None else None


def _checked(
    speaks: Connector, answers: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the plain and the secret settings; raises TroubleError naming what is missing."""
    asked = {one.name: one for one in speaks.settings}
    for name in answers:
        if name not in asked:
            raise known(name, list(asked), f"setting of {speaks.title}")
    missing = [
        f"{one.name} ({one.asks})"
        for one in speaks.settings
        if one.required and not answers.get(one.name, one.default)
    ]
    if missing:
        raise TroubleError(f"{speaks.title} also needs: {'; '.join(missing)}", usage=True)
    full = {name: answers.get(name, one.default) for name, one in asked.items()}
    full = {name: value for name, value in full.items() if value}
    plain = {name: value for name, value in full.items() if not asked[name].secret}
    secret = {name: value for name, value in full.items() if asked[name].secret}
    return plain, secret


@audited("account.add", "name", "system")
async def add(
    hub: Hub, name: str, system: str, answers: Mapping[str, str], *, zone: str = ""
) -> AccountView:
    """Add an account: sign in, find its scopes, store it. Nothing is stored if that fails.

    Raises TroubleError with what a person can do.
    """
    speaks = connector(system)
    if any(one.name == name for one in await hub.store.accounts()):
        raise TroubleError(f'there is an account "{name}" already', usage=True)
    plain, secret = _checked(speaks, answers)
    draft = Account(id=0, name=name, system=system, settings=plain, secrets=secret, zone=zone)
    grants = MemoryGrants()
    found = await _found(draft, speaks, sign_in(draft, speaks, grants=grants), new=True)
    added = await hub.store.add_account(system, name, plain, secret, zone)
    kept = grants_of(hub, added)
    for place, tokens in grants.all().items():  # the refresh token may have been good for one use
        await kept.keep(place, 0, tokens, hub.now())
    await hub.store.set_identity(added.id, found.identity)
    await hub.store.put_scopes(added.id, found.scopes)
    return _view(draft, speaks, found.scopes)


class _Found(NamedTuple):
    """What a sign-in showed: the account's parts, and whose it is ("": that is not told)."""

    scopes: tuple[Scope, ...]
    identity: str


async def _found(
    account: Account,
    speaks: Connector,
    opened: AbstractAsyncContextManager[Session],
    *,
    new: bool = False,
) -> _Found:
    try:
        async with opened as session:
            found = await speaks.scopes(session)
            identity = await speaks.who(session) if speaks.who is not None else ""
    except SignIn as error:
        if new:
            given = {**account.settings, **account.secrets}
            names = " or ".join(
                one.name.replace("_", " ")
                for one in speaks.settings
                if given.get(one.name) and (one.secret or one.name in _WHO)
            )
            says = f"{speaks.title} refuses the {names or 'sign-in'} of “{account.name}”"
            raise TroubleError(f"{says}; nothing was kept. Check them and try again.") from error
        raise TroubleError(mended_by_sign_in(error.says, account.name)) from error
    except RetryLater as error:
        if new:
            says = f"{error.says.replace(BY_ITSELF, '')} Nothing was kept; try again later."
            raise TroubleError(says) from error
        raise TroubleError(error.says) from error
    except VendorError as error:
        raise TroubleError(error.says) from error
    if not found:
        raise TroubleError(
            f"{speaks.title} let us in, but shows nothing that can hold appointments"
        )
    return _Found(found, identity)


async def refresh(hub: Hub, name: str) -> AccountView:
    """Sign in again and look for new scopes: what `account test` does.

    It is tried at once, whatever the account waits for.
    """
    account = await one(hub, name)
    speaks = connector(account.system)
    await _forgive(hub, account)
    found = await _found(account, speaks, shared_sign_in(hub, account, speaks))
    await _check_identity(hub, account, speaks, found.identity)
    await hub.store.put_scopes(account.id, found.scopes)
    return _view(account, speaks, found.scopes)


async def _forgive(hub: Hub, account: Account) -> None:
    await hub.store.change_health(account.id, breaker.forgiven, at=_at(hub))
    await hub.store.forgive_grants(account.id)


@audited("account.sign-in", "name")
async def sign_in_again(hub: Hub, name: str, secrets: Mapping[str, str]) -> AccountView:
    """Replace secrets of an account, if its system accepts them; else the old ones stay.

    Refused where they are those of somebody else at the system: what was synced is one account's.
    What waited for the sign-in goes on from where it stood.
    """
    account = await one(hub, name)
    speaks = connector(account.system)
    asked = [setting.name for setting in speaks.settings if setting.secret]
    for word in secrets:
        if word not in asked:
            raise known(word, asked, f"secret of {speaks.title}")
    if not secrets:
        says = f"say the {' or '.join(asked)}" if asked else f"{speaks.title} has no sign-in"
        raise TroubleError(says, usage=True)
    draft = msgspec.structs.replace(account, secrets={**account.secrets, **secrets})
    await hub.store.forgive_grants(account.id)
    opened = sign_in(draft, speaks, grants=grants_of(hub, account))
    found = await _found(draft, speaks, opened, new=True)
    await _check_identity(hub, account, speaks, found.identity)
    await hub.store.update_account(name, secrets=draft.secrets)
    await hub.store.change_health(account.id, partial(breaker.well, probe=True), at=_at(hub))
    await hub.store.put_scopes(account.id, found.scopes)
    return _view(account, speaks, found.scopes)


async def _check_identity(hub: Hub, account: Account, speaks: Connector, found: str) -> None:
    """Refuse a sign-in of somebody else; note whose the account is where that was not known."""
    had = await hub.store.identity(account.id)
    if had and found and found != had:
        raise TroubleError(
            f"“{account.name}” works on the account of {had} at {speaks.title}, and this sign-in is"
            f" that of {found}; nothing was kept. Sign in as {had}, or add {found} as an account of"
            f" its own:  truckroll account add NAME --system {speaks.system}"
        )
    if found and not had:
        await hub.store.set_identity(account.id, found)


async def one(hub: Hub, name: str) -> Account:
    """Return an account with its secrets opened; raises TroubleError with the known names."""
    found = await hub.store.account(name)
    if found is None:
        raise known(name, [account.name for account in await hub.store.accounts()], "account")
    return found


async def listed(hub: Hub) -> list[AccountView]:
    """Return all accounts, and which of them wait for what."""
    views = []
    waiting = await hub.store.accounts_waiting(_at(hub))
    for account in await hub.store.accounts():
        scopes = tuple(stored.scope for stored in await hub.store.scopes(account.id))
        view = _view(account, connector(account.system), scopes)
        if (health := waiting.get(account.id)) is not None:
            view = msgspec.structs.replace(
                view, waits=_waits(account, view.title, health), since=health.since
            )
        views.append(view)
    return views


def _waits(account: Account, title: str, health: breaker.Health) -> str:
    """Return why nothing is asked of an account, as a sentence."""
    if health.state == "sign_in":
        return mended_by_sign_in(health.says, account.name)
    if health.state == "down":
        return f"{health.says}{BY_ITSELF}."
    return f"{title} asked for a pause; it goes on by itself."


async def scopes(hub: Hub, name: str) -> list[ScopeView]:
    """Return the parts of an account as they were found last; raises TroubleError."""
    account = await one(hub, name)
    return [
        ScopeView(
            id=stored.scope.id,
            title=stored.scope.title,
            kind=stored.scope.kind,
            writable=stored.scope.writable,
            owner=stored.scope.owner,
            live=stored.live,
            complete_at=stored.complete_at,
        )
        for stored in await hub.store.scopes(account.id)
    ]


@audited("account.remove", "name")
async def remove(hub: Hub, name: str) -> None:
    """Forget an account. What is in its system stays as it is. Refused while a recipe uses it."""
    account = await one(hub, name)
    for recipe in await hub.store.recipes():
        if name in _named(recipe.bindings):
            raise TroubleError(
                f'the recipe "{recipe.name}" works on "{name}"; remove the recipe first:'
                f"  truckroll recipe remove {recipe.name}",
                usage=True,
            )
    from truckroll.app.subscriptions import stop_account  # noqa: PLC0415 -- it signs in by this

    await stop_account(hub, name, forget=True)
    await hub.store.remove_account(account.name)


def _named(bindings: Mapping[str, str]) -> set[str]:
    words = [word for value in bindings.values() for word in value.split(",")]
    return {word.split("/")[0] for word in words}


def _view(account: Account, speaks: Connector, scopes: tuple[Scope, ...]) -> AccountView:
    return AccountView(
        name=account.name,
        system=account.system,
        title=speaks.title,
        settings=dict(account.settings),
        scopes=tuple(scope.title for scope in scopes),
    )
