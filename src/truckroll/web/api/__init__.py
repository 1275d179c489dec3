"""The JSON API, version 1: the use cases of the hub, one route each."""

from litestar import Router
from litestar.di import Provide
from litestar.middleware.rate_limit import RateLimitConfig

from truckroll.web.api import (
    access,
    clock,
    notices,
    offers,
    own,
    passes,
    recipes,
    records,
    signs,
    systems,
)
from truckroll.web.once import Once
from truckroll.web.sign_in import SignIn, allowed, hub_of

PATH = "/api/v1"


def v1(calls_a_minute: int) -> Router:
    """Return the routes under /api/v1. A token may make so many calls a minute per process."""
    limit = RateLimitConfig(
        rate_limit=("minute", calls_a_minute),
        identifier_for_request=lambda request: f"{request.user.store.tenant}/{request.auth}",
    )
    return Router(
        PATH,
        route_handlers=[
            *access.ROUTES,
            *systems.ROUTES,
            *recipes.ROUTES,
            *passes.ROUTES,
            *records.ROUTES,
            *offers.ROUTES,
            *clock.ROUTES,
            *notices.ROUTES,
            *signs.ROUTES,
            *own.ROUTES,
        ],
        middleware=[SignIn, limit.middleware, Once()],
        guards=[allowed],
        dependencies={"hub": Provide(hub_of, sync_to_thread=False)},
        security=[{"token": []}],
    )
