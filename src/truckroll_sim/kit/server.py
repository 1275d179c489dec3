"""The box: systems behind one address, in a test's process or in one of its own."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import parse_qsl

from aiohttp import web

from truckroll_sim.kit.calls import Answer, Call
from truckroll_sim.kit.clock import Clock
from truckroll_sim.kit.control import Control, told_in_words
from truckroll_sim.kit.system import Kit, System

_LARGEST_BODY_BYTES = 64 * 1024 * 1024


class Box:
    """Several systems on one clock. `systems` has each under all of its names."""

    def __init__(self, kinds: Iterable[type[System]], clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.systems: dict[str, System] = {}
        self.address = ""
        self._kinds = {kind.name: kind for kind in kinds}
        for name in self._kinds:
            self.begin(name)

    def begin(self, name: str) -> None:
        """Make a system anew, empty."""
        system = self._kinds[name](Kit.of(self.clock))
        for known in (name, *system.also):
            self.systems[known] = system

    def app(self) -> web.Application:
        """Return the web application that serves this box."""
        app = web.Application(client_max_size=_LARGEST_BODY_BYTES, middlewares=[told_in_words])
        app.add_routes(Control(self.clock, self.systems, self.begin).routes())
        app.router.add_route("*", "/{system}/{path:.*}", self._serve)
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, _: web.Application) -> None:
        for system in {id(one): one for one in self.systems.values()}.values():
            await system.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["system"]
        system = self.systems.get(name)
        if system is None:
            return web.Response(status=404, text=f"there is no system called {name} in this box")
        raw_path, _, raw_query = request.raw_path.partition("?")
        call = Call(
            method=request.method,
            path=raw_path.removeprefix(f"/{name}"),
            query=tuple(parse_qsl(raw_query, keep_blank_values=True)),
            headers=request.headers,
            body=await request.read(),
            base=f"{request.scheme}://{request.host}/{name}",
        )
        return await _sent(request, await system.answer(call))


async def _sent(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send an answer as its transport has it."""
    if answer.transport == "hang":
        # 0 is "as long as the client waits": a client that leaves cancels the wait.
        await asyncio.sleep(answer.seconds or 3600)
    if answer.transport in ("hang", "drop"):
        _hang_up(request)
        return web.Response(status=500)
    if answer.transport == "truncated":
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = max(len(answer.body), 2)
        await response.prepare(request)
        await response.write(answer.body[: len(answer.body) // 2])
        _hang_up(request)
        return response
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


@asynccontextmanager
async def running(
    kinds: Iterable[type[System]],
    *,
    port: int = 0,
    at: datetime | None = None,
    frozen: bool | None = None,
) -> AsyncIterator[Box]:
    """Serve systems in this process for as long as the context lasts.

    Yields the box: `address` is its base address without a slash at its end, `systems` the state.
    With `at` (aware) the clock begins there and is frozen unless `frozen` is False. Port 0 takes
    any free port of the loopback interface.
    """
    box = Box(kinds, Clock(at, frozen=frozen))
    runner = web.AppRunner(
        box.app(), handler_cancellation=True, shutdown_timeout=1, access_log=None
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        box.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield box
    finally:
        await runner.cleanup()


async def serve(kinds: Iterable[type[System]], port: int = 0) -> None:
    """Serve systems until SIGTERM or SIGINT. Prints one line when ready."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with running(kinds, port=port) as box:
        print(f"The vendors are at {box.address}", flush=True)  # noqa: T201 - the line that says it is ready
        await ended.wait()
