"""A hub that is subscribed at a simulated Google, with its receiver on a real socket."""

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import uvicorn
from litestar import Litestar

from connectors.google_calendar.world import Company
from support.fleet import google_answers
from truckroll.app import accounts, recipes
from truckroll.app.hub import Hub
from truckroll.app.installed import load_installed, open_job
from truckroll.app.pushes import Receiver
from truckroll.app.subscriptions import renew_due
from truckroll.kit.handshakes import Answer
from truckroll.store.open import open_stores
from truckroll.sync.read import read_scope
from truckroll.web.pushes import pushes_first
from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.kit.faults import Fault
from truckroll_sim.kit.server import running

RECIPE = "calendar-to-calendar"


class HoldingReceiver(Receiver):
    """A receiver that can put what arrives aside, to hand it out in another order."""

    holding = False

    async def take(self, path, push):
        if not self.holding:
            return await super().take(path, push)
        self.held.append((path, push))
        return Answer(200)


@dataclass
class Post:
    """What a test drives: people work in `company`, the hub listens at `address`."""

    hub: Hub
    company: Company
    receiver: HoldingReceiver
    address: str
    scope: int
    ahead: timedelta = field(default_factory=timedelta)

    @property
    def google(self):
        return self.company.system

    @property
    def open(self):
        """The channels that Google has."""
        return self.google.channels.open

    def now(self):
        return datetime.now(UTC) + self.ahead

    async def later(self, **how):
        """Let time go by at the hub and at Google."""
        self.ahead += timedelta(**how)
        self.company.box.clock.advance(timedelta(**how).total_seconds())

    async def renew(self, **more):
        return await renew_due(self.hub, self.address, **more)

    async def row(self):
        """The subscription of Ana's calendar."""
        rows = await self.hub.store.subscriptions()
        return next((one for one in rows if one.scope == self.scope), None)

    async def arrived(self):
        """Wait until everything that is on its way has come."""
        await self.google.kit.push.idle()

    def lose(self, times=None):
        self.google.kit.faults.add(Fault(kind="push", mode="lost", times=times))

    def watches(self):
        return [one for one in self.company.calls("POST") if one.path.endswith("/watch")]

    async def asked(self):
        """How often Ana's calendar was asked to be read."""
        return (await self._due())[1]

    async def is_due(self):
        return (await self._due())[0] is not None

    async def _due(self):
        async with self.hub.store._transaction() as cursor:
            await cursor.execute("select due_at, asked from scope where id = %s", [self.scope])
            return await cursor.fetchone()

    async def read(self):
        """Read Ana's calendar as an errand does; say how much was new, and if nobody had told."""
        installed = await load_installed(self.hub)
        began = self.now()
        async with self.hub.store._transaction() as cursor:
            await cursor.execute("update scope set due_at = null where id = %s", [self.scope])
        async with open_job(self.hub, installed) as job:
            stored = await self.hub.store.scope(self.scope)
            hand = job.hands[stored.account]
            report = await read_scope(
                self.hub.store, hand.resource, hand.session, stored, now=self.now
            )
        assert not report.error, report.error
        found = report.new + report.changed + report.gone
        return found, await self.hub.store.note_read(self.scope, found=found, began=began)

    async def known(self):
        """The titles of the live events that the hub knows of in Ana's calendar, by id."""
        async with self.hub.store._transaction() as cursor:
            await cursor.execute(
                "select external_id, fields ->> 'title' from record"
                " where scope = %s and state = 'live'",
                [self.scope],
            )
            return {row[0]: row[1] async for row in cursor}

    def there(self):
        """The same at Google."""
        return {one["id"]: one["summary"] for one in self.company.events()}


@asynccontextmanager
async def served(app):
    """Serve an application on a free port of this machine; gives its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", lifespan="off", ws="none", access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listening]))
    while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def post(store, database_url, home, *, system="google-calendar"):
    async with (
        running([GoogleCalendar], at=datetime.now(UTC)) as box,
        open_stores(database_url, home) as stores,
    ):
        company = Company(box)
        made = Post(Hub(home, store), company, None, "", 0)
        made.hub = Hub(home, store, made.now)
        made.receiver = HoldingReceiver(stores, "", now=made.now)
        made.receiver.held = []
        answers = google_answers(box)
        if system == "google-workspace":
            answers = company.workspace_settings()
        await accounts.add(made.hub, "google", system, answers)
        rows = await store.scopes()
        made.scope = next(one.id for one in rows if one.scope.id == company.ana)
        await recipes.install(
            made.hub,
            RECIPE,
            source=f"google/{company.ana}",
            target=f"google/{company.others[0]}",
            choices={},
            zone="UTC",
        )
        async with served(
            pushes_first(made.receiver, Litestar([], openapi_config=None))
        ) as address:
            made.address = made.receiver.address = address
            yield made
            await made.arrived()
        await made.receiver.close()
