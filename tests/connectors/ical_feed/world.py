"""A feed's server under the contract suite: one address, validators as real servers send them."""

import hashlib
from contextlib import asynccontextmanager, nullcontext

from aiohttp import web

from contract.bench import Held, Visit, World
from support.clock import at_once
from support.proxy import FaultProxy
from truckroll.connectors.ical_feed import ICAL_FEED
from truckroll.kit.contract import Session
from truckroll.kit.http import open_client

EVENT = """BEGIN:VEVENT
UID:{uid}
DTSTAMP:20261101T080000Z
DTSTART:20991201T090000Z
DTEND:20991201T103000Z
SUMMARY:{title}
END:VEVENT
"""
UNREADABLE = EVENT.replace(
    "DTSTART:20991201T090000Z", "DTSTART;TZID=Nowhere/Atlantis:20991201T090000"
)
AT_ONCE = at_once()


def calendar(*events, head=""):
    """Return a whole calendar of VEVENT texts, with the line ends of the RFC."""
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Example//Feed//EN\n{head}{''.join(events)}"
    return f"{text}END:VCALENDAR\n".replace("\n", "\r\n").encode()


class FeedServer:
    """Serves `events` under /team.ics with a strong ETag, in a thread of its own."""

    def __init__(self):
        self.events = {}
        self.body = None
        self.url = ""
        self.unchanged = 0  # how often a 304 was the answer

    def text(self):
        return self.body if self.body is not None else calendar(*self.events.values())

    async def answer(self, request):
        body = self.text()
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == tag:
            self.unchanged += 1
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=body, headers={"ETag": tag, "Content-Type": "text/calendar"})


@asynccontextmanager
async def feed_server():
    server = FeedServer()
    runner = web.ServerRunner(web.Server(server.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def session_at(url, **settings):
    asked = {"url": f"{url}team.ics", "private": "yes", "zone": "America/New_York", **settings}
    async with open_client(
        ICAL_FEED.transport(asked), system="the feed", account="team", timing=AT_ONCE
    ) as client:
        yield Session(account="team", system="ical-feed", settings=asked, http=client, known=Held())


@asynccontextmanager
async def visit(_):
    async with (
        feed_server() as server,
        FaultProxy(server.url) as proxy,
        session_at(proxy.url) as session,
    ):
        yield await _stay(server, proxy, session)


async def _stay(server, proxy, session):
    def seed(name: str, title: str) -> str:
        server.events[name] = EVENT.format(uid=name, title=title)
        return name

    def spoil() -> str:
        server.events["bad"] = UNREADABLE.format(uid="bad", title="Where?")
        return "bad"

    (scope,) = await ICAL_FEED.scopes(session)
    proxy.clear()
    return Visit(
        connector=ICAL_FEED,
        session=session,
        scope=scope,
        seed=seed,
        edit=seed,
        delete=server.events.pop,
        count=lambda: len(server.events),
        back=lambda _: None,
        spoil=spoil,
        expired=lambda _: "yesterday",
        proxy=proxy,
        held=session.known,
    )


WORLDS = [World("ical-feed", nullcontext, visit)]
