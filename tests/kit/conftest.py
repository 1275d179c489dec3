import contextlib

import pytest
from aiohttp import web

from truckroll.kit.http import Limits, Transport, open_client
from truckroll.kit.pace import Timing


class FakeTime:
    """A clock that moves only when somebody sleeps; `slept` are the waits asked for."""

    def __init__(self):
        self.at = 1000.0
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.at += seconds

    @property
    def timing(self):
        return Timing(monotonic=lambda: self.at, sleep=self.sleep, chance=lambda: 0.0)


@pytest.fixture
def clock():
    return FakeTime()


@pytest.fixture
async def serve():
    """Serves a handler on loopback and returns its address."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler, ssl_context=None):
            runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
            await site.start()
            port = runner.addresses[0][1]
            scheme = "https" if ssl_context else "http"
            return f"{scheme}://127.0.0.1:{port}/"

        yield start


@pytest.fixture
async def client(clock):
    """Opens a client on an address of this machine; its waits take no time."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(url, *, auth=None, limits=None, timing=None, **more):
            transport = Transport(url, auth=auth, limits=limits or Limits(), private=True, **more)
            opened = open_client(
                transport, system="Radicale", account="field", timing=timing or clock.timing
            )
            return await stack.enter_async_context(opened)

        yield start
