"""Signing in to an account again by a person's consent in a browser (RFC 6749, RFC 7636)."""

from dataclasses import replace
from secrets import compare_digest

import msgspec

from truckroll.app import accounts
from truckroll.app.accounts import AccountView
from truckroll.app.hub import Hub
from truckroll.app.systems import connector
from truckroll.app.trouble import TroubleError
from truckroll.kit.auth import OAuthApp, authorization_url, exchange_code, new_verifier
from truckroll.kit.errors import VendorError
from truckroll.store.accounts import Account

_SETTING = "refresh_token"


class Asked(msgspec.Struct, frozen=True):
    """A consent that is being asked for: `url` is where the person goes.

    The person comes back to `redirect_uri` with a code and the same `state`. Who holds `verifier`
    may use the code: it is kept where the person cannot see it, and never shown.
    """

    account: str
    url: str
    redirect_uri: str
    state: str
    verifier: str

    def __repr__(self) -> str:
        return f"Asked({self.account})"


async def by_consent(hub: Hub, name: str) -> bool:
    """Tell whether an account is signed in to by a consent in the browser."""
    return _app(await accounts.one(hub, name)) is not None


async def ask(hub: Hub, name: str, redirect_uri: str) -> Asked:
    """Begin to ask for a person's consent; raises TroubleError where the system has none."""
    account = await accounts.one(hub, name)
    app = _needed(account)
    hint = await hub.store.identity(account.id)
    if hint:
        app = replace(app, extra={**app.extra, "login_hint": hint})
    state, verifier = new_verifier(), new_verifier()
    url = authorization_url(app, redirect_uri=redirect_uri, state=state, verifier=verifier)
    return Asked(name, url, redirect_uri, state, verifier)


async def granted(
    hub: Hub, asked: Asked, *, code: str, state: str, issuer: str = ""
) -> AccountView:
    """Take what a person came back with; the account then goes on from where it stood.

    `issuer` is who the answer says it comes from (`iss`, RFC 9207), "" where it does not say: what
    another server gave is not sent to this one.

    Raises TroubleError, and keeps what was there, where the answer is not to what was asked, is
    not accepted, or is another person's.
    """
    account = await accounts.one(hub, asked.account)
    app = _needed(account)
    is_mixed_up = bool(issuer and app.issuer) and issuer != app.issuer
    if is_mixed_up or not code or not compare_digest(state.encode(), asked.state.encode()):
        raise TroubleError(
            f"the answer was not to this question, or the consent was not given; nothing was kept."
            f" Ask again:  truckroll account sign-in {account.name}"
        )
    try:
        tokens = await exchange_code(
            app, code=code, verifier=asked.verifier, redirect_uri=asked.redirect_uri
        )
    except VendorError as error:
        raise TroubleError(error.says) from error
    if not tokens.refresh:
        raise TroubleError(
            f"{connector(account.system).title} gave no lasting sign-in for “{account.name}”;"
            " nothing was kept. Take back what the app was allowed there, and sign in again."
        )
    return await accounts.sign_in_again(hub, account.name, {_SETTING: tokens.refresh})


def _app(account: Account) -> OAuthApp | None:
    speaks = connector(account.system)
    settings = {**account.settings, **account.secrets}
    return speaks.consent(settings) if speaks.consent is not None else None


def _needed(account: Account) -> OAuthApp:
    app = _app(account)
    if app is None:
        title = connector(account.system).title
        raise TroubleError(
            f"{title} knows no sign-in in the browser for “{account.name}”; give its secret:"
            f"  truckroll account sign-in {account.name} --set KEY=VALUE",
            usage=True,
        )
    return app
