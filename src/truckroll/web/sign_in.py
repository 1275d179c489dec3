"""Who calls: a token becomes a caller with rights, in one tenant."""

import hashlib
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.params import SkipValidation
from litestar.types import Scope

from truckroll.app import audit
from truckroll.app.hub import Hub
from truckroll.app.members import PREFIX, Caller, caller
from truckroll.app.tenants import FIRST
from truckroll.app.trouble import TroubleError

TENANT = "Truckroll-Tenant"
RIGHT = "right"
ANYBODY = "anybody"
"""In place of a right: whoever has a token may."""

Connection = ASGIConnection[Any, Any, Any, Any]
HubOf = NamedDependency[SkipValidation[Hub]]


class SignIn(AbstractAuthenticationMiddleware):
    """Lets in who comes with `Authorization: Bearer tkr_…`.

    The header Truckroll-Tenant names one of the token's tenants; without it, it is the first.
    """

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """Return the caller; raises 401 without a good token, 404 for a tenant not given to it.

        Raises 429 where too many sign-ins from its address failed.
        """
        state = connection.app.state
        address = connection.client.host if connection.client is not None else ""
        scheme, _, secret = connection.headers.get("Authorization", "").partition(" ")
        digest = hashlib.sha256(secret.encode()).digest()
        state.door.ask(address, digest)
        if scheme.casefold() != "bearer" or not secret.startswith(PREFIX):
            state.door.failed(address, digest)
            raise NotAuthorizedException
        wanted = connection.headers.get(TENANT, "")
        try:
            found = await caller(state.stores.of(FIRST), secret, wanted, state.now())
        except TroubleError as error:
            raise NotFoundException from error
        if found is None:
            state.door.failed(address, digest)
            raise NotAuthorizedException
        state.door.passed(digest)
        return AuthenticationResult(user=found, auth=found.token)


def allowed(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let a call through if its caller has the route's right; else nothing is there."""
    right = handler.opt.get(RIGHT)
    if right != ANYBODY and right not in connection.user.actor.rights:
        raise NotFoundException


def hub_of(request: Request[Caller, int, Any]) -> Hub:
    """Return the hub of the caller's tenant, in the caller's name."""
    state = request.app.state
    return Hub(home=state.home, store=request.user.store, now=state.now, actor=request.user.actor)


async def note_refused(error: Exception, scope: Scope) -> None:
    """Write to the audit log that somebody asked for what is not there, or not theirs to see."""
    found = scope.get("user")
    if isinstance(error, NotFoundException) and isinstance(found, Caller):
        state = scope["litestar_app"].state
        hub = Hub(home=state.home, store=found.store, now=state.now, actor=found.actor)
        path = scope["path"].replace("\0", "�")
        await audit.write(hub, "api.refused", f"{scope.get('method')} {path}", outcome="404")
