"""Serving the web application with uvicorn."""

import asyncio

import uvicorn
from litestar import Litestar

_MOST_AT_ONCE = 1000
_GRACE_SECONDS = 10


def server(app: Litestar, host: str, port: int) -> uvicorn.Server:
    """Return a server that is ready to `serve()`.

    It writes no access log, since addresses and headers may hold secrets, and tells nobody what
    it is made of. Answers 503 where too many call at once.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        server_header=False,
        log_config=None,
        lifespan="on",
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return uvicorn.Server(config)


async def serve(app: Litestar, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; calls that are at work may end. Signals stay the caller's."""
    made = server(app, host, port)
    task = asyncio.create_task(made._serve())  # noqa: SLF001 -- serve() takes the signals over
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    made.should_exit = True
    stopped.cancel()
    await task
