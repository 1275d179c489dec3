"""Web hooks: sent from the box to the client, with the faults that web hooks have."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import aiohttp

from truckroll_sim.kit.faults import Faults

_PATIENCE = aiohttp.ClientTimeout(total=10)


class _Clock(Protocol):
    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class Delivery:
    """One message on its way.

    It is tried again after each of `again_seconds` while it meets one of the statuses `again_on`,
    or no answer at all.
    """

    address: str
    headers: Mapping[str, str]
    body: bytes = b""
    again_on: frozenset[int] = frozenset()
    again_seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Delivered:
    """What became of a try: `status` is None if there was no answer."""

    address: str
    headers: Mapping[str, str]
    status: int | None
    at: datetime
    fault: str | None = None


@dataclass
class Push:
    """The web hooks of one system. `trust` is what an https address's certificate is held to."""

    clock: _Clock
    faults: Faults
    trust: ssl.SSLContext | None = None
    sent: list[Delivered] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _session: aiohttp.ClientSession | None = None

    def send(self, delivery: Delivery) -> None:
        """Send a message beside what is going on; faults of kind `push` apply."""
        fault = self.faults.strikes("push")
        if fault and fault.mode == "lost":
            self._note(delivery, None, "lost")
            return
        late = fault.seconds if fault and fault.mode == "late" else 0.0
        for _ in range(2 if fault and fault.mode == "duplicated" else 1):
            task = asyncio.ensure_future(
                self._deliver(delivery, late, fault.mode if fault else None)
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until no message is on its way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Give up what is on its way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()
            self._session = None

    async def _deliver(self, delivery: Delivery, late_seconds: float, fault: str | None) -> None:
        if late_seconds:
            await self.clock.sleep(late_seconds)
        for pause in (*delivery.again_seconds, None):
            status = await self._post(delivery)
            self._note(delivery, status, fault)
            if pause is None or not (status is None or status in delivery.again_on):
                return
            await self.clock.sleep(pause)

    async def _post(self, delivery: Delivery) -> int | None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_PATIENCE)
        try:
            async with self._session.post(
                delivery.address,
                data=delivery.body,
                headers=delivery.headers,
                ssl=self.trust or True,
                allow_redirects=False,
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None

    def _note(self, delivery: Delivery, status: int | None, fault: str | None) -> None:
        self.sent.append(
            Delivered(delivery.address, delivery.headers, status, self.clock.now(), fault)
        )
