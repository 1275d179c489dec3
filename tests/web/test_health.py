"""Health and metrics, as they are asked for over HTTP."""

import httpx
import pytest
from litestar import Litestar

from support.watching import AT, Clock, make_office
from truckroll.app.observe import Meter
from truckroll.kit import watch
from truckroll.store.open import Stores, open_stores
from truckroll.web.health import health_router


@pytest.fixture
async def stores(store):
    return Stores(store._pool, store._keyring)


async def get(app, path, host="127.0.0.1", **headers):
    """Ask an ASGI application directly, in the loop that its database lives in."""
    transport = httpx.ASGITransport(app, client=(host, 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        return await client.get(path, headers=headers)


def app_of(stores, meter=None, **more):
    router = health_router(stores, meter or Meter(), **{"now": Clock(), **more})
    return Litestar(route_handlers=[router], openapi_config=None)


async def test_live_and_ready(stores):
    app = app_of(stores)
    live, ready = await get(app, "/health/live"), await get(app, "/health/ready", host="10.1.1.1")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_not_ready_without_the_database_but_alive(database_url, tmp_path):
    async with open_stores(database_url, tmp_path) as stores:
        pass
    app = app_of(stores)
    assert (await get(app, "/health/live")).status_code == 200
    ready = await get(app, "/health/ready")
    assert ready.status_code == 503
    assert ready.json()["says"].startswith("The database")
    assert "Error" not in ready.text


@pytest.mark.parametrize(
    ("host", "token", "headers", "status"),
    [
        ("127.0.0.1", "", {}, 200),
        ("::1", "", {}, 200),
        ("10.1.1.1", "", {}, 404),
        ("127.0.0.1", "", {"X-Forwarded-For": "10.1.1.1"}, 404),
        ("127.0.0.1", "t0ken", {}, 404),
        ("127.0.0.1", "t0ken", {"Authorization": "Bearer wrong"}, 404),
        ("10.1.1.1", "t0ken", {"Authorization": "Bearer t0ken"}, 200),
    ],
)
async def test_metrics_are_for_this_machine_or_who_has_the_token(
    stores, host, token, headers, status
):
    answer = await get(app_of(stores, token=token), "/metrics", host=host, **headers)
    assert answer.status_code == status


async def test_the_metrics_tell_lag_backlog_and_alerts(store, stores, tmp_path):
    clock = Clock()
    office = await make_office(store, tmp_path, clock)
    await office.read()
    clock.go(minutes=3)
    meter = Meter()
    app = app_of(stores, meter, now=clock)
    with watch.watched(meter):
        watch.called("field", "CalDAV", 503, {})
    text = (await get(app, "/metrics")).text
    labels = '{account="field",system="caldav",tenant="1"}'
    assert f"truckroll_lag_seconds{labels} 180.0" in text
    assert f"truckroll_promise_seconds{labels} 900.0" in text
    assert f'truckroll_scope_lag_seconds{{scope="{office.scope}",tenant="1"}} 180.0' in text
    for name in ("backlog", "held", "dead_letters", "alerts", "scopes_late"):
        assert f'truckroll_{name}{{tenant="1"}} 0.0' in text
    assert 'truckroll_db_pool{state="pool_size"}' in text
    assert 'status="5xx"' in text
    clock.go(seconds=5)
    assert f"truckroll_lag_seconds{labels} 180.0" in (await get(app, "/metrics")).text
    clock.go(seconds=6)
    assert f"truckroll_lag_seconds{labels} 191.0" in (await get(app, "/metrics")).text
    assert clock() > AT
