"""A receiver of pushes with the subscriptions of a small world."""

from datetime import timedelta

import httpx
from litestar import Litestar

from store.worlds import AT
from truckroll.app.pushes import Receiver
from truckroll.kit.contract import Push
from truckroll.kit.proofs import Token
from truckroll.web.pushes import pushes_first

ADDRESS = "https://hub.example/in"
BODY = b'{"event": "task.changed", "id": 17}'
TOKEN = Push(Token(header="X-Token"), delivery_id=lambda push: push.headers.get("x-id", ""))


class Hall:
    """A receiver with the subscriptions of a small world, and a client that speaks to it."""

    def __init__(self, stores, world, clock):
        self.stores = stores
        self.store = world.store
        self.world = world
        self.push = TOKEN
        self.clock = clock
        self.receiver = Receiver(
            stores, ADDRESS, now=lambda: self.clock[0], push_of=lambda _: self.push
        )
        app = pushes_first(self.receiver, Litestar([], openapi_config=None))
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://hub.example"
        )

    async def subscribed(self, push=TOKEN, secret="s" * 20, scope=True):
        """Return a subscription that is at work."""
        self.push = push
        place = self.world.source if scope else None
        row = await self.store.add_subscription(
            self.world.source_account, place, at=AT, secret=secret, by_hand=True
        )
        return await self.store.subscription(row.id)

    async def opened(self, push, coming=""):
        """Return a subscription that is just being made."""
        self.push = push
        row = await self.store.add_subscription(self.world.source_account, self.world.source, at=AT)
        return await self.store.claim_subscription(
            row, at=self.clock[0], until=self.clock[0] + timedelta(minutes=2), coming=coming
        )

    def send(self, row, body=BODY, headers=None, query="", method="POST", **more):
        given = {"X-Token": row.secret, **(headers or {})}
        url = f"/push/{row.path}{query}"
        return self.client.request(method, url, content=body, headers=given, **more)

    async def due(self):
        async with self.store._transaction() as cursor:
            await cursor.execute("select asked from scope where id = %s", [self.world.source])
            return (await cursor.fetchone())[0]
