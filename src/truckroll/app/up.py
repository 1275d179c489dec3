"""`truckroll up`: everything in one process, or one of the roles of many."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from truckroll.app.agenda import Agenda
from truckroll.app.errands import Errands
from truckroll.app.home import is_home
from truckroll.app.resident import Resident
from truckroll.app.trouble import TroubleError
from truckroll.errands.procrastinate import CHANNEL, ProcrastinateEngine, open_engine
from truckroll.errands.tick import Tick
from truckroll.errands.worker import GRACE_SECONDS, Worker
from truckroll.store.due import CHANNEL as DUE_CHANNEL
from truckroll.store.due import DueDesk
from truckroll.store.listen import listen
from truckroll.store.migrate import APP_ROLE
from truckroll.store.open import open_home_stores
from truckroll.store.trouble import DatabaseTrouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from truckroll.store.embedded import Embedded
    from truckroll.store.open import Stores

Role = Literal["all", "web", "worker"]
LARGEST_POOL = 16


@dataclass(frozen=True, slots=True)
class Serving:
    """What a process of the hub has in hand while it is up."""

    home: Path
    url: str
    stores: Stores
    resident: Resident


Web = "Callable[[Serving], Any]"  # gives the ASGI application


@dataclass(frozen=True, slots=True)
class Address:
    """Where the web is served."""

    host: str = "127.0.0.1"
    port: int = 8460


class UpView(msgspec.Struct, frozen=True, kw_only=True):
    """What is up: the role, how many recipes and scopes are kept in step, and the web's address."""

    role: str
    recipes: int
    scopes: int
    tenants: int
    web: str = ""
    embedded: bool = True


async def up(
    home: Path,
    stop: asyncio.Event,
    *,
    role: Role = "all",
    database: Embedded | None = None,
    web: Callable[[Serving], Any] | None = None,
    address: Address | None = None,
    told: Callable[[UpView], None] = lambda _: None,
    grace: float = GRACE_SECONDS,
) -> None:
    """Serve until the event is set; then what is in hand may take `grace` seconds to end.

    `told` hears once that everything is up. Raises TroubleError.
    """
    if not is_home(home):
        raise TroubleError(
            f"{home} is not a hub's home yet; make it one:  truckroll init", usage=True
        )
    address = address or Address()
    try:
        async with _serving(home, database) as serving, asyncio.TaskGroup() as group:
            ready = await _start(group, serving, stop, role, grace)
            if web is not None and role != "worker":
                await _start_web(group, web(serving), address, stop)
            served = f"http://{address.host}:{address.port}" if web is not None else ""
            told(await _view(serving, role, served))
            await stop.wait()
            for task in ready:
                task.cancel()
    except DatabaseTrouble as error:
        raise TroubleError(str(error)) from error


@asynccontextmanager
async def _serving(home: Path, database: Embedded | None) -> AsyncIterator[Serving]:
    opened = open_home_stores(home, database=database, largest_pool=LARGEST_POOL)
    async with opened as (url, stores):
        resident = Resident(home, stores)
        try:
            yield Serving(home=home, url=url, stores=stores, resident=resident)
        finally:
            await resident.close()


async def _start(
    group: asyncio.TaskGroup, serving: Serving, stop: asyncio.Event, role: Role, grace: float
) -> list[asyncio.Task[None]]:
    """Start the worker with its tick; return the tasks that are to be cancelled at the end."""
    if role == "web":
        return []
    opened = asyncio.get_running_loop().create_future()
    group.create_task(_work(serving, stop, grace, opened))
    engine_wakes = await opened
    return [group.create_task(listen(serving.url, engine_wakes))]


async def _work(
    serving: Serving,
    stop: asyncio.Event,
    grace: float,
    opened: asyncio.Future[dict[str, Callable[[], None]]],
) -> None:
    async with open_engine(serving.url, role=APP_ROLE) as engine:
        worker, tick = _worker_and_tick(serving, engine)
        opened.set_result({CHANNEL: worker.woken.set, DUE_CHANNEL: tick.woken.set})
        beside = (
            asyncio.create_task(tick.run(stop)),
            asyncio.create_task(_wake_at_the_end(stop, worker, tick)),
        )
        try:
            await worker.run(stop, grace=grace)
        finally:
            for task in beside:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def _wake_at_the_end(stop: asyncio.Event, worker: Worker, tick: Tick) -> None:
    await stop.wait()
    worker.woken.set()
    tick.woken.set()


def _worker_and_tick(serving: Serving, engine: ProcrastinateEngine) -> tuple[Worker, Tick]:
    desk = DueDesk(serving.stores.pool, serving.stores.keyring)
    agenda = Agenda(serving.resident, desk)
    tick = Tick(
        engine,
        desk,
        now=serving.resident.now,
        look=agenda.look,
        sweep=agenda.sweep,
        jumped=agenda.jumped,
    )
    registry = Errands(serving.resident).registry()
    return Worker(engine, registry, ended=tick.woken.set), tick


async def _start_web(
    group: asyncio.TaskGroup, app: Any, address: Address, stop: asyncio.Event
) -> None:
    """Serve an ASGI application in this loop; the signals are ours."""
    import uvicorn  # noqa: PLC0415 -- a worker does without

    config = uvicorn.Config(
        app, host=address.host, port=address.port, log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign] # see above
    serving = group.create_task(server.serve())

    async def end() -> None:
        await stop.wait()
        server.should_exit = True

    group.create_task(end())
    while not server.started and not serving.done():  # noqa: ASYNC110 -- uvicorn has no event
        await asyncio.sleep(0.01)


async def _view(serving: Serving, role: Role, web: str) -> UpView:
    tenants = await DueDesk(serving.stores.pool, serving.stores.keyring).tenants()
    recipes = scopes = 0
    for tenant in tenants:
        async with serving.resident.known(tenant) as known:
            recipes += len(known.installed)
            scopes += len(known.scopes)
    return UpView(role=role, recipes=recipes, scopes=scopes, tenants=len(tenants), web=web)
