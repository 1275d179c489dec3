"""A company whose hub runs by itself: in steps within the test, or as processes of its own."""

import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import servers
from support.company import RECIPE, company, row
from truckroll.app.agenda import Agenda
from truckroll.app.errands import Errands
from truckroll.app.home import make_home
from truckroll.app.hub import utc_now
from truckroll.app.resident import Resident
from truckroll.errands.procrastinate import open_engine
from truckroll.errands.tick import Tick
from truckroll.store.due import DueDesk
from truckroll.store.migrate import APP_ROLE
from truckroll.store.open import Stores, open_stores
from truckroll.sync.leases import TERMS


@pytest.fixture(scope="module")
def calendars():
    with servers.radicale(password="secret") as server:
        yield server


@dataclass
class Runtime:
    """One process of the hub, done in steps. `quiet` goes on until nothing is due."""

    stores: Stores
    resident: Resident
    errands: Errands
    engine: object
    tick: Tick
    agenda: Agenda

    @property
    def store(self):
        return self.stores.of(1)

    async def one(self):
        """Do the next errand, and return it; None where none waits."""
        taken = await self.engine.take()
        if taken is None:
            return None
        await self.errands.registry()[taken.errand.kind](taken.errand.tenant, taken.errand.about)
        await self.engine.finish(taken)
        return taken.errand

    async def quiet(self, most=50):
        """Tick and do errands until nothing is due; return what was done."""
        done = []
        for _ in range(most):
            released = await self.tick.once()
            while (errand := await self.one()) is not None:
                done.append(errand)
            if not released:
                return done
        raise AssertionError(f"it does not come to rest: {done}")

    async def now(self, whole=False):
        """Let everything be read."""
        scopes = [one.id for one in await self.store.scopes()]
        await self.store.make_due(scopes, at=self.resident.now(), whole=whole)


@asynccontextmanager
async def runtime(url, home, *, now=utc_now, steady=time.monotonic, terms=TERMS):
    async with open_stores(url, home) as stores, open_engine(url, role=APP_ROLE) as engine:
        resident = Resident(home, stores, now=now)
        desk = DueDesk(stores.pool, stores.keyring)
        agenda = Agenda(resident, desk)
        errands = Errands(resident, chance=lambda: 0.0, terms=terms)
        tick = Tick(
            engine,
            desk,
            now=now,
            steady=steady,
            look=agenda.look,
            sweep=agenda.sweep,
            jumped=agenda.jumped,
        )
        try:
            yield Runtime(stores, resident, errands, engine, tick, agenda)
        finally:
            await resident.close()


@pytest.fixture
async def office(store, tmp_path, calendars):
    make_home(tmp_path / "home")
    async with company(store, tmp_path, calendars, "Ana", "Ben") as made:
        yield made
    for calendar in ("ana", "ben"):
        calendars.delete(calendar, "")


@pytest.fixture
async def hub(office, database_url, tmp_path):
    async with runtime(database_url, tmp_path / "home") as made:
        yield made


# What is run as a program of its own finds the helpers there.
TESTS = Path(__file__).parents[1]
PROGRAM = ("truckroll.cli",)


class Up:
    """A process of `truckroll up`; `kill` kills it hard."""

    def __init__(self, url, home, *words, program=PROGRAM):
        command = [sys.executable, "-m", *program, "--home", str(home), "up"]
        command += ["--listen", "127.0.0.1:0", *words]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TRUCKROLL_DATABASE": url, "PYTHONPATH": str(TESTS)},
        )

    def ready(self):
        line = self.process.stdout.readline()
        assert "Truckroll is up" in line, (line, self.process.stderr.read() if not line else "")
        return self

    def end(self):
        self.process.terminate()
        return self.communicate()

    def communicate(self, timeout=15):
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def ups(database_url, tmp_path):
    """Return a function that starts a process; all are ended with the test."""
    started = []

    def start(*words, **how):
        started.append(Up(database_url, Path(tmp_path) / "home", *words, **how))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
        for stream in (one.process.stdout, one.process.stderr):
            stream.close()


__all__ = ["RECIPE", "row"]
