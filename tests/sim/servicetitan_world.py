"""A ServiceTitan tenant to talk to: the API with a token, and the people in its office."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from sim.servicetitan_spec import specification
from truckroll_sim.kit.faults import Fault
from truckroll_sim.kit.server import running
from truckroll_sim.servicetitan import ServiceTitan

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
GUID = "0f6f5a0e-7c59-4c3a-9b6a-0d7c3b7a1f11"


def at(hours, minutes=0):
    """Return an instant so many hours after the beginning, as the API writes it."""
    return (NOW + timedelta(hours=hours, minutes=minutes)).isoformat().replace("+00:00", "Z")


@dataclass
class Said:
    status: int
    body: Any
    headers: Any


@dataclass
class World:
    """The seeded company, a signed-in client, and the control plane."""

    box: Any
    session: Any
    seed: dict[str, Any]
    keys: dict[str, Any]
    headers: dict[str, str]
    address: str = ""

    @property
    def system(self):
        return self.box.systems["servicetitan"]

    def url(self, path):
        module, _, rest = path.partition("/")
        return f"{self.keys['api']}/{module}/v2/tenant/{self.keys['tenant']}/{rest}"

    async def api(self, method, path, body=None, *, headers=None, data=None, **query):
        """Call the API: a path such as jpm/jobs/12; follows no redirect."""
        told = self.headers if headers is None else headers
        address, params = self.url(path), {k: str(v) for k, v in query.items()}
        async with self.session.request(
            method,
            address,
            json=body,
            data=data,
            params=params,
            headers=told,
            allow_redirects=False,
        ) as answer:
            raw = await answer.read()
            is_json = answer.content_type == "application/json" and raw
            return Said(answer.status, await answer.json() if is_json else raw, answer.headers)

    async def get(self, path, **query):
        said = await self.api("GET", path, **query)
        assert said.status == 200, said.body
        return said.body

    async def do(self, method, path, body=None, **query):
        """Call, and say what came back; the call has to succeed."""
        said = await self.api(method, path, body, **query)
        assert said.status == 200, said.body
        return said.body

    async def act(self, name, **body):
        """Let a person of the company do something."""
        return await self.control("POST", f"acts/{name}", body)

    async def control(self, method, path, body=None):
        """Call the control plane."""
        address = f"{self.address or self.box.address}/_sim/servicetitan/{path}"
        async with self.session.request(method, address, json=body) as answer:
            said = await answer.json()
            assert answer.status in {200, 201}, said
            return said

    async def sign_in(self):
        form = {"grant_type": "client_credentials"} | {
            name: self.keys[name] for name in ("client_id", "client_secret")
        }
        async with self.session.post(self.keys["token_url"], data=form) as answer:
            token = (await answer.json())["access_token"]
        self.headers["Authorization"] = f"Bearer {token}"

    def later(self, seconds):
        self.box.clock.advance(seconds)

    def fault(self, **fields):
        return self.system.kit.faults.add(Fault(**fields))

    async def job(self, **changes):
        """Book a job for the company's first customer with one visit of two technicians."""
        [place] = (await self.get("crm/locations", pageSize=1))["data"]
        body = {
            "customerId": place["customerId"],
            "locationId": place["id"],
            "businessUnitId": self.seed["business_units"][0],
            "jobTypeId": self.seed["job_types"][0],
            "priority": "Normal",
            "campaignId": self.seed["campaign"],
            "appointments": [
                {"start": at(24), "end": at(26), "technicianIds": self.seed["technicians"][:2]}
            ],
            "summary": "<p>RTU 3 not cooling</p>",
        }
        return await self.do("POST", "jpm/jobs", body | changes)


@asynccontextmanager
async def world(*, frozen=True, foreign=False, **sample):
    """Yield a world; at its end every exchange has to have kept to the specification.

    The requests of a foreign client, which keeps to it less than we do, are its own affair.
    """
    spec = specification()
    async with (
        running([ServiceTitan], at=NOW, frozen=frozen) as box,
        aiohttp.ClientSession() as session,
    ):
        system = box.systems["servicetitan"]
        if spec is not None:
            spec.slips.clear()
            spec.seen.clear()
            system.kit.watchers.append(spec.watch_answer if foreign else spec.watch)
        seed = system.seed({"appointments": 12, "technicians": 4, "customers": 6, **sample})
        keys = system.credentials(f"{box.address}/servicetitan")
        it = World(box, session, seed, keys, {"ST-App-Key": keys["app_key"]})
        await it.sign_in()
        yield it
    if spec is not None:
        assert not spec.slips, "\n".join(spec.slips)


@asynccontextmanager
async def served_world(address, **sample):
    """Yield a world in a box that is a process of its own; nothing of it can be looked into."""
    it = World(None, aiohttp.ClientSession(), {}, {}, {}, address)
    async with it.session:
        it.seed = await it.control("POST", "seed", {"technicians": 4, "customers": 6, **sample})
        it.keys = await it.control("GET", "credentials")
        it.headers = {"ST-App-Key": it.keys["app_key"]}
        await it.sign_in()
        yield it
