"""A hub that is up: `truckroll up` as a process of its own, on the embedded PostgreSQL.

Set-up goes through the hub's use cases in the bench's own process, which holds the database too,
so that processes of the hub can be started and ended at will.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from bench import ROOT
from truckroll.app.home import make_home
from truckroll.app.hub import Hub
from truckroll.store.embedded import Embedded
from truckroll.store.open import open_home_stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from truckroll.store.open import Stores

UP_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class House:
    """A hub's home with its open database."""

    home: Path
    url: str
    stores: Stores

    def hub(self, tenant: int = 1) -> Hub:
        return Hub(home=self.home, store=self.stores.of(tenant))

    def ask(self, query: str) -> int:
        """Return the number that a query over all tenants answers."""
        with psycopg.connect(self.url, options="-c search_path=truckroll") as connection:
            row = connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0

    def database_cpu(self) -> float:
        """Return the processor seconds of the whole database server so far."""
        server = self.server()
        whole = _cpu(server, with_ended=True)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == server:
                    whole += _cpu(int(stat.parent.name))
        return whole

    def server(self) -> int:
        """Return the process id of the database server."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("show data_directory").fetchone()
        assert row is not None
        return int((Path(row[0]) / "postmaster.pid").read_text().split()[0])


@asynccontextmanager
async def housed() -> AsyncIterator[House]:
    """Give a new hub's home; it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder:
        home = Path(folder) / "home"
        make_home(home)
        try:
            async with open_home_stores(home) as (url, stores):
                yield House(home, url, stores)
        finally:
            Embedded(home).erase()  # under root the data stand elsewhere


class Served:
    """A process of `truckroll up`; `address` is where it answers, "" for a worker."""

    def __init__(self, house: House, *, role: str = "all") -> None:
        self.address = ""
        words = ["--home", str(house.home), "up", "--role", role]
        if role != "worker":
            self.address = f"http://127.0.0.1:{free_port()}"
            words += ["--listen", self.address.rpartition("/")[2], "--url", self.address]
        self._log = (house.home.parent / "up.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "truckroll.cli", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )

    async def ready(self) -> float:
        """Wait until it says that it is up; return how many seconds that took."""
        began = time.monotonic()
        async with asyncio.timeout(UP_SECONDS):
            await asyncio.to_thread(self._hear)
        return time.monotonic() - began

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "See what it does" in line:  # the last of its lines
                return
        raise RuntimeError(f"truckroll up ended by itself ({self._process.wait()})")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu(self) -> float:
        """The processor seconds that it has taken so far."""
        return _cpu(self._process.pid)

    @property
    def memory_mb(self) -> float:
        """How much memory it holds."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def kill(self) -> None:
        """End it as a machine that fails does."""
        self._process.kill()
        self._process.wait(10)
        self.stop()

    def stop(self) -> None:
        """End it politely, else at once."""
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(15)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


@asynccontextmanager
async def up(house: House, *, workers: int = 0) -> AsyncIterator[Served]:
    """Give a process that does everything, with so many workers beside it."""
    served = [Served(house), *(Served(house, role="worker") for _ in range(workers))]
    try:
        for one in served:
            await one.ready()
        yield served[0]
    finally:
        for one in served:
            one.stop()


async def until(true: Callable[[], bool], *, seconds: float = 120.0, every: float = 0.02) -> bool:
    """Wait until something is true; False where it is not in time."""
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            return False
        await asyncio.sleep(every)
    return True


_DUE = """
select (select count(*) from scope where due_at <= now())
  + (select count(*) from recipe where due_at <= now() and removed_at is null)
  + (select count(*) from scope where tried_at is null and due_at is not null)
  + (select count(*) from engine.procrastinate_jobs where status in ('todo', 'doing'))
  + (select count(*) from workspace where watched <> settings)
"""


async def idle(house: House, *, seconds: float = 600.0, times: int = 4) -> None:
    """Wait until the hub has nothing to do, at several looks in a row."""
    ends, quiet = time.monotonic() + seconds, 0
    while quiet < times:
        if time.monotonic() > ends:
            raise RuntimeError(f"the hub is not done after {seconds:g} s")
        await asyncio.sleep(0.5)
        quiet = quiet + 1 if house.ask(_DUE) == 0 else 0


def _cpu(pid: int, *, with_ended: bool = False) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = [int(one) for one in fields[11 : 15 if with_ended else 13]]
    return sum(ticks) / _TICKS


def free_port() -> int:
    """Return a port of the loopback interface that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
