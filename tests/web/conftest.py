"""A hub with members of every preset in two tenants, and the API over it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from store.worlds import AT, make_world
from truckroll.app import members, tenants
from truckroll.app.hub import Actor, Hub
from truckroll.app.rights import PRESETS
from truckroll.store.open import open_stores
from truckroll.web.app import make_app
from web.receiving import Hall

OPERATOR = Actor(name="op", way="cli")


@dataclass
class Clock:
    """A clock that a test may put forward."""

    ahead: timedelta = timedelta(0)

    def __call__(self):
        return datetime.now(UTC) + self.ahead


@dataclass
class Office:
    """Two companies on one hub. `tokens` are secrets by tenant name and preset."""

    client: httpx.AsyncClient
    app: object
    hubs: dict[str, Hub]
    clock: Clock
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    async def call(self, method, path, *, preset="administrator", tenant="acme", **more):
        headers = {"Authorization": f"Bearer {self.tokens[tenant, preset]}"}
        headers |= more.pop("headers", {})
        return await self.client.request(method, f"/api/v1{path}", headers=headers, **more)

    async def well(self, method, path, **more):
        answer = await self.call(method, path, **more)
        assert answer.status_code < 300, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def office(database_url, tmp_path, clock):
    """Give two empty companies with members of every preset, and the API over them."""
    async with open_stores(database_url, tmp_path / "home") as stores:
        first = stores.of(1)
        await first.add_tenant("acme")
        hub = Hub(tmp_path / "home", first, clock, OPERATOR)
        await tenants.add(hub, "beta")
        beta = Hub(hub.home, stores.of(2), clock, OPERATOR)
        app = make_app(
            stores, hub.home, now=clock, calls_a_minute=100_000, failures_a_minute=100_000
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://hub.example"
        ) as client:
            made = Office(client, app, {"acme": hub, "beta": beta}, clock)
            for name, one in made.hubs.items():
                made.tokens |= {
                    (name, preset): secret for preset, secret in (await crew(one)).items()
                }
            yield made
        await app.state.work.close()  # the lifespan's task group cannot span a fixture


async def crew(hub):
    """Add a member of every preset, each with a token; return the secrets by preset."""
    secrets = {}
    for preset in PRESETS:
        await members.add(hub, preset, presets=[preset])
        secrets[preset] = (await members.make_token(hub, f"{preset}'s", preset)).secret
    return secrets


@pytest.fixture
async def hall(database_url, tmp_path, store):
    async with open_stores(database_url, tmp_path / "home") as stores:
        made = Hall(stores, await make_world(store), [AT])
        yield made
        await made.client.aclose()
        await made.receiver.close()
