"""Signing in to an account by a link: for a person who is not at the hub's own machine.

Whoever asks gets a ticket with the link. It holds what the hub needs to take the answer, sealed
with the hub's key, and bound to the tenant, the account and the token that asked, for a quarter
of an hour. So nothing is kept meanwhile, any process may take the answer, and whoever else gets
hold of ticket or code can do nothing with them.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from truckroll.app import sign_in
from truckroll.app.audit import audited
from truckroll.app.sign_in import Asked
from truckroll.app.trouble import TroubleError
from truckroll.store.trouble import DatabaseTrouble

if TYPE_CHECKING:
    from truckroll.app.accounts import AccountView
    from truckroll.app.hub import Hub

LASTS = timedelta(minutes=15)
_HERE = ("127.0.0.1", "[::1]", "localhost")


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link for a person's browser. `ticket` is handed in with what the person comes back with."""

    url: str
    ticket: str
    ends_at: datetime


@audited("account.link", "name")
async def ask(hub: Hub, token: int, name: str, redirect_uri: str) -> Link:
    """Begin to ask for a person's consent to an account.

    `redirect_uri` is an address that the caller answers at and that the system knows as one of
    the app's. Raises TroubleError where it is none, or the system has no consent.
    """
    _check(redirect_uri)
    asked = await sign_in.ask(hub, name, redirect_uri)
    ends_at = hub.now() + LASTS
    plain = {
        "url": asked.url,
        "redirect_uri": redirect_uri,
        "state": asked.state,
        "verifier": asked.verifier,
        "ends_at": ends_at.isoformat(),
    }
    key, sealed = hub.store.seal(plain, _about(token, name))
    ticket = f"{key}.{base64.urlsafe_b64encode(sealed).decode()}"
    return Link(url=asked.url, ticket=ticket, ends_at=ends_at)


async def granted(
    hub: Hub, token: int, name: str, *, ticket: str, code: str, state: str
) -> AccountView:
    """Take what a person came back with.

    Raises TroubleError, and keeps what was there, where the ticket was not this token's for this
    account, or is too old, or the answer is none to it.
    """
    key, _, text = ticket.partition(".")
    try:
        plain = hub.store.unseal(key, base64.urlsafe_b64decode(text), _about(token, name))
    except (DatabaseTrouble, binascii.Error, ValueError) as error:
        raise _void(name) from error
    if datetime.fromisoformat(plain["ends_at"]) <= hub.now():
        raise _void(name)
    asked = Asked(name, plain["url"], plain["redirect_uri"], plain["state"], plain["verifier"])
    return await sign_in.granted(hub, asked, code=code, state=state)


def _about(token: int, name: str) -> list[str | int]:
    return ["sign-in link", token, name]


def _check(redirect_uri: str) -> None:
    """Refuse an address to which a code would travel in the open."""
    parts = urlsplit(redirect_uri)
    here = parts.scheme == "http" and parts.netloc.rpartition(":")[0] in _HERE
    if not (parts.scheme == "https" and parts.hostname) and not here:
        raise TroubleError(
            "The person comes back to an address that begins with https://, or to this machine"
            " (http://127.0.0.1:PORT/).",
            usage=True,
        )


def _void(name: str) -> TroubleError:
    return TroubleError(
        f"The ticket is not of a link that this token asked for to sign in to “{name}”, or it is"
        " older than a quarter of an hour; nothing was kept. Ask for a new link.",
        usage=True,
    )
