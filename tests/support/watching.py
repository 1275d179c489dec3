"""A hub on a clock that tests move, with accounts that are read by hand."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web

from truckroll.app.hub import Hub
from truckroll.kit.contract import Scope
from truckroll.store.watch import Calls
from truckroll.sync.read import ScopeReport

AT = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = AT

    def __call__(self):
        return self.now

    def go(self, **how):
        self.now += timedelta(**how)
        return self.now


@dataclass
class Office:
    """A hub with one CalDAV account of one calendar, which is to be read."""

    hub: Hub
    clock: Clock
    account: str = "field"
    scope: int = 0
    restarted: list = field(default_factory=list)

    async def read(self, *, live=312, before=312, complete=True, error="", code=""):
        """Read the calendar, as far as the watch hears of it."""
        store, now = self.hub.store, self.clock()
        if complete and not error:
            listing = await store.begin_listing(self.scope)
            await store.finish_listing(self.scope, listing, at=now)
        report = ScopeReport(
            scope=self.scope,
            live=live,
            before=before,
            complete=complete and not error,
            error=error,
            code=code,
        )
        await store.note_reads([report], began=now)

    async def called(self, *, answered=0, failed=0, paused=0, account=None):
        calls = {account or self.account: Calls(answered, paused, failed)}
        await self.hub.store.note_calls(calls, at=self.clock())

    async def restart(self, scopes):
        self.restarted += scopes


async def make_office(store, home, clock=None):
    clock = clock or Clock()
    hub = Hub(home=home, store=store, now=clock)
    account = await store.add_account("caldav", "field", {"url": "https://x.example"}, {})
    (scope,) = await store.put_scopes(account.id, [Scope("/ana/", "Ana", "calendar", owner="ana")])
    await store.expect([scope.id], at=clock())
    return Office(hub, clock, scope=scope.id)


@dataclass
class Receiver:
    """A server that keeps what it was posted; `answers` are its next statuses, then 200."""

    url: str = ""
    got: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    headers: dict = field(default_factory=dict)

    async def take(self, request):
        self.got.append((dict(request.headers), await request.read()))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, text=f"said {status}", headers=self.headers)


@asynccontextmanager
async def receiving():
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
