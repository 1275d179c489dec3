"""Whether the hub lives, whether it can work, and its metrics."""

import asyncio
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import psycopg
from litestar import MediaType, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg_pool import PoolTimeout

from truckroll.app.gauges import Gauges
from truckroll.app.observe import Meter
from truckroll.store.open import Stores

_READY_SECONDS = 2.0
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def health_router(
    stores: Stores, meter: Meter, *, token: str = "", now: Callable[[], datetime] = _utc_now
) -> Router:
    """Return the routes /health/live, /health/ready and /metrics.

    Live is 200 as long as the process answers. Ready is 200 if the database answers within two
    seconds, else 503 with a sentence. Metrics are for whoever shows `token` as a bearer, or,
    where there is none, for calls from this machine itself that came through no proxy; for
    anybody else there is no such page (404).
    """
    gauges = Gauges(meter.registry, now)

    @get("/health/live", sync_to_thread=False)
    def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/health/ready")
    async def ready() -> Response[dict[str, str]]:
        if says := await _trouble(stores):
            return Response({"status": "not ready", "says": says}, status_code=503)
        return Response({"status": "ready"})

    @get("/metrics", media_type=MediaType.TEXT)
    async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        if not _may_scrape(request, token):
            raise NotFoundException
        await gauges.look(stores)
        return Response(
            generate_latest(meter.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return Router(path="/", route_handlers=[live, ready, metrics], include_in_schema=False)


async def _trouble(stores: Stores) -> str:
    """Return a sentence where the database cannot be worked with, else ""."""
    try:
        async with (
            asyncio.timeout(_READY_SECONDS),
            stores.pool.connection(timeout=_READY_SECONDS) as connection,
        ):
            await connection.execute("select 1")
    except (TimeoutError, PoolTimeout):
        return "The database does not answer in time; what was accepted is kept."
    except (psycopg.Error, OSError):
        return "The database cannot be reached; it is tried again by itself."
    return ""


def _may_scrape(request: Request[Any, Any, Any], token: str) -> bool:
    if token:
        shown = request.headers.get("authorization", "")
        return secrets.compare_digest(shown.encode(), f"Bearer {token}".encode())
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False
