"""The web application: the API, and what else is served beside it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders, State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler, Message, Scope

from truckroll.app.hub import utc_now
from truckroll.store.open import Stores
from truckroll.web.api import v1
from truckroll.web.door import FAILURES_A_MINUTE, Door
from truckroll.web.problems import HANDLERS
from truckroll.web.sign_in import TENANT, note_refused
from truckroll.web.work import Work

CALLS_A_MINUTE = 600
LARGEST_BODY = 1_000_000
PATIENCE_SECONDS = 10.0
API = "/api"

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_ABOUT = f"""The hub's use cases, as the command line has them.

Come with a token: `Authorization: Bearer tkr_…` (`truckroll token create`). A token of several
tenants names one by the header `{TENANT}`. What a token may not see is not there: 404. Every POST
takes an `Idempotency-Key`. Lists come in pieces of at most 200; `next` is the cursor of what
follows."""


def make_app(
    stores: Stores,
    home: Path,
    *,
    routers: Sequence[ControllerRouterHandler] = (),
    now: Callable[[], datetime] = utc_now,
    calls_a_minute: int = CALLS_A_MINUTE,
    failures_a_minute: int = FAILURES_A_MINUTE,
    patience: float = PATIENCE_SECONDS,
    public: str = "",
) -> Litestar:
    """Return the application over open stores; `routers` are served beside the API.

    `home` is the hub's, `public` its public address, for pushes, or "". A call waits `patience`
    seconds for a run before it answers 202.
    """
    work = Work(patience)
    state: dict[str, Any] = {
        "stores": stores,
        "home": home,
        "now": now,
        "work": work,
        "public": public,
        "door": Door(now, most=failures_a_minute),
    }

    @asynccontextmanager
    async def working(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await work.close()

    return Litestar(
        route_handlers=[v1(calls_a_minute), *routers],
        state=State(state),
        lifespan=[working],
        exception_handlers=HANDLERS,
        after_exception=[note_refused],
        before_send=[_guarded],
        request_max_body_size=LARGEST_BODY,
        openapi_config=_openapi(),
        logging_config=None,
    )


def _openapi() -> OpenAPIConfig:
    scheme = SecurityScheme(type="http", scheme="bearer", description="truckroll token create")
    return OpenAPIConfig(
        title="Truckroll",
        version="1",
        description=_ABOUT,
        path=API,
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        components=Components(security_schemes={"token": scheme}),
        use_handler_docstrings=True,
    )


async def _guarded(message: Message, scope: Scope) -> None:
    """Add what keeps browsers from harm to every answer of the API, errors too."""
    if message["type"] == "http.response.start" and scope["path"].startswith(API):
        headers = MutableScopeHeaders(message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
