"""Vendors in trouble: their waits take no time, and what a person then reads."""

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from truckroll.app import accounts
from truckroll.kit import auth
from truckroll.kit.http import Limits, open_client
from truckroll.kit.pace import Timing
from truckroll_sim.kit.faults import Fault

SHORT = Limits(total_seconds=0.5, connect_seconds=0.5)


@dataclass
class Waits:
    """A clock of its own, on which waiting takes no time; `slept` are the waits in seconds."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    passed: float = 0.0
    slept: list = field(default_factory=list)

    def now(self):
        return self.at + timedelta(seconds=self.passed)

    def later(self, **how):
        self.passed += timedelta(**how).total_seconds()

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)

    @property
    def timing(self):
        return Timing(lambda: self.passed, self.now, self.sleep, lambda: 0.5)


@contextmanager
def no_waiting(monkeypatch, limits=SHORT):
    """Let every client of the hub wait on a clock of its own; yields it."""
    waits = Waits()

    def opened(transport, **names):
        names["timing"] = waits.timing
        return open_client(replace(transport, limits=limits), **names)

    with monkeypatch.context() as patch:
        patch.setattr(accounts, "open_client", opened)
        patch.setattr(auth, "open_client", opened)
        yield waits


def fails(system, **what):
    """Let a simulated system answer otherwise than it should."""
    return system.kit.faults.add(Fault(**{"kind": "status", **what}))
