"""`truckroll up`: everything in one process, or one of the roles of many."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from truckroll.app.agenda import Agenda
from truckroll.app.errands import Errands
from truckroll.app.home import is_home
from truckroll.app.observe import watching
from truckroll.app.resident import Resident
from truckroll.app.tending import Tending
from truckroll.app.trouble import TroubleError
from truckroll.app.watchman import Watchman
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
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path

    from truckroll.app.observe import Meter
    from truckroll.store.embedded import Embedded
    from truckroll.store.open import Stores

Role = Literal["all", "web", "worker"]
LARGEST_POOL = 16


@dataclass(frozen=True, slots=True)
class Serving:
    """What a process of the hub has in hand while it is up.

    `url` leads to the database, `public` is the hub's public address, or "".
    """

    home: Path
    url: str
    stores: Stores
    resident: Resident
    meter: Meter
    public: str = ""


class Web(Protocol):
    """Serves the web until the event is set, and says at which address once it answers."""

    def __call__(
        self, serving: Serving, stop: asyncio.Event, started: asyncio.Future[str]
    ) -> Coroutine[None, None, None]:
        """Serve; what is in hand may end."""
        ...


class UpView(msgspec.Struct, frozen=True, kw_only=True):
    """What is up: the role, how many recipes and scopes are kept in step, and the web's address."""

    role: str
    recipes: int
    scopes: int
    tenants: int
    web: str = ""
    public: str = ""


async def up(
    home: Path,
    stop: asyncio.Event,
    *,
    role: Role = "all",
    database: Embedded | None = None,
    web: Web | None = None,
    public: str = "",
    told: Callable[[UpView], None] = lambda _: None,
    grace: float = GRACE_SECONDS,
) -> None:
    """Serve until the event is set; then what is in hand may take `grace` seconds to end.

    `told` hears once that everything is up. `public` is the hub's public address, for pushes.
    Raises TroubleError.
    """
    if not is_home(home):
        raise TroubleError(
            f"{home} is not a hub's home yet; make it one:  truckroll init", usage=True
        )
    try:
        async with _serving(home, database, public) as serving, asyncio.TaskGroup() as group:
            ready = await _start(group, serving, stop, role, grace)
            served = ""
            if web is not None and role != "worker":
                started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
                group.create_task(web(serving, stop, started))
                served = await started
            told(await _view(serving, role, served))
            await stop.wait()
            for task in ready:
                task.cancel()
    except DatabaseTrouble as error:
        raise TroubleError(str(error)) from error
    except ExceptionGroup as group_error:
        trouble = group_error.subgroup(TroubleError)
        if trouble is None or len(group_error.exceptions) > 1:
            raise
        raise trouble.exceptions[0] from None


@asynccontextmanager
async def _serving(home: Path, database: Embedded | None, public: str) -> AsyncIterator[Serving]:
    opened = open_home_stores(home, database=database, largest_pool=LARGEST_POOL)
    with watching() as meter:
        async with opened as (url, stores):
            resident = Resident(home, stores)
            try:
                yield Serving(home, url, stores, resident, meter, public)
            finally:
                await resident.close()


async def _start(
    group: asyncio.TaskGroup, serving: Serving, stop: asyncio.Event, role: Role, grace: float
) -> list[asyncio.Task[None]]:
    """Start the worker and what goes on beside it; return what is to be cancelled at the end."""
    watchman = _watchman(serving)
    if role == "web":
        return [group.create_task(watchman.listen())]
    opened = asyncio.get_running_loop().create_future()
    group.create_task(_work(serving, stop, grace, opened))
    engine_wakes = await opened
    tending = Tending(serving.stores, serving.home, serving.public, serving.resident.now)
    beside = (listen(serving.url, engine_wakes), watchman.keep(), tending.keep())
    return [group.create_task(one) for one in beside]


def _watchman(serving: Serving) -> Watchman:
    async def restart(tenant: int, scopes: Sequence[int]) -> None:
        now = serving.resident.now()
        await serving.stores.of(tenant).make_due(scopes, at=now)

    return Watchman(
        serving.stores,
        serving.home,
        serving.meter,
        restart,
        now=serving.resident.now,
        shared=True,
    )


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


async def _view(serving: Serving, role: Role, web: str) -> UpView:
    tenants = await DueDesk(serving.stores.pool, serving.stores.keyring).tenants()
    recipes = scopes = 0
    for tenant in tenants:
        async with serving.resident.known(tenant) as known:
            recipes += len(known.installed)
            scopes += len(known.scopes)
    return UpView(
        role=role,
        recipes=recipes,
        scopes=scopes,
        tenants=len(tenants),
        web=web,
        public=serving.public,
    )
