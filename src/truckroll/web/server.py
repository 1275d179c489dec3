"""Serving the web with uvicorn: the API, the door for pushes, health and metrics."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import uvicorn

from truckroll.app.pushes import Receiver
from truckroll.app.trouble import TroubleError
from truckroll.web.app import make_app
from truckroll.web.health import health_router
from truckroll.web.pushes import pushes_first

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp

    from truckroll.app.up import Serving

METRICS_TOKEN = "TRUCKROLL_METRICS_TOKEN"  # noqa: S105 -- the name of a variable
_MOST_AT_ONCE = 1000
_GRACE_SECONDS = 10


async def serve_web(
    listening: socket.socket, serving: Serving, stop: asyncio.Event, started: asyncio.Future[str]
) -> None:
    """Serve until `stop` is set; calls that are at work may end. `started` hears the address."""
    address = _shown(listening)
    receiver = Receiver(serving.stores, serving.public or address, now=serving.resident.now)
    token = os.environ.get(METRICS_TOKEN, "")
    app = make_app(
        serving.stores,
        serving.home,
        routers=[
            health_router(serving.stores, serving.meter, token=token, now=serving.resident.now),
        ],
        now=serving.resident.now,
        public=serving.public,
    )
    try:
        await serve(
            pushes_first(receiver, app), listening, stop, lambda: started.set_result(address)
        )
    finally:
        await receiver.close()


async def serve(
    app: ASGIApp, listening: socket.socket, stop: asyncio.Event, started: Callable[[], None]
) -> None:
    """Serve an application on a socket until `stop` is set; `started` is called once it answers.

    No access log is written, since addresses and headers may hold secrets, and nobody is told
    what serves. Signals stay the caller's. Answers 503 where too many call at once.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        server_header=False,
        log_config=None,
        lifespan="on",
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    # serve() would take the signals over
    task = asyncio.create_task(server._serve(sockets=[listening]))  # noqa: SLF001 -- see above
    stopped = asyncio.create_task(stop.wait())
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 -- uvicorn has no event
            await asyncio.sleep(0.01)
        if server.started:
            started()
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        stopped.cancel()
        await task


def listen_on(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises TroubleError where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise TroubleError(
            f"{host}:{port} cannot be listened on: {(error.strerror or str(error)).lower()}. Choose"
            " another:  truckroll up --listen 127.0.0.1:8461"
        ) from error


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
