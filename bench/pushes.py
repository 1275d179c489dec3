"""(j) Pushes that one process accepts durably, at a rate, and many times the same one.

The receiver is `truckroll up --role web` on an embedded PostgreSQL with fsync, in a process of its
own. This process sends signed pushes at a fixed rate over connections that stay open, each another
delivery; a latency counts from the instant at which the push was to be sent, so that a stall is
not hidden. At the end what the database holds is compared with what was acknowledged.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import statistics
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.figures import Figure
from bench.served import Served, housed
from truckroll.kit.contract import Scope
from truckroll.store.open import open_store
from truckroll.store.pushes import Came

if TYPE_CHECKING:
    from pathlib import Path

    from bench.served import House

SECRET = "a secret of the bench, as long as they are"
_SYSTEM = "servicetitan"  # whose pushes are signed with HMAC-SHA256 over the raw body
_HEADER = "X-ServiceTitan-Signature"
_GOAL_MS = 50.0
_SAME = 100


async def subscribed(url: str, home: Path, *, tenants: int, scopes: int) -> list[str]:
    """Return the secret ends of the addresses of some subscriptions."""
    paths = []
    for tenant in range(1, tenants + 1):
        async with open_store(url, home, tenant) as store:
            account = await store.add_account(_SYSTEM, "bench", {}, {})
            wanted = [Scope(f"s{n}", f"S{n}", "appointment") for n in range(scopes)]
            for one in await store.put_scopes(account.id, wanted):
                made = await store.add_subscription(
                    account.id, one.id, at=datetime.now(UTC), secret=SECRET, by_hand=True
                )
                paths.append(made.path)
    return paths


def push(number: int) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a signed push, another one for each number."""
    body = json.dumps({"event": "job.updated", "n": number, "id": f"job_{number:08}"}).encode()
    digest = hmac.digest(SECRET.encode(), body, hashlib.sha256)
    signature = base64.b64encode(digest).decode()
    return body, {"Content-Type": "application/json", _HEADER: signature}


def came(subscription: int, delivery: bytes) -> Came:
    """Return a push as the store keeps it."""
    return Came(
        subscription=subscription,
        delivery=delivery,
        at=datetime.now(UTC),
        query="",
        headers="{}",
        body=b"{}",
    )


@dataclass
class Load:
    """What was sent, and when it was answered."""

    address: str
    paths: list[str]
    ms: list[float] = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    sent: int = 0

    def request(self) -> bytes:
        """Return the bytes of a push that was never sent before."""
        self.sent += 1
        return self.bytes(self.sent)

    def bytes(self, number: int) -> bytes:
        """Return the bytes of a push."""
        body, headers = push(number)
        path = self.paths[number % len(self.paths)]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST /push/{path} HTTP/1.1\r\nHost: hub\r\n{lines}Content-Length: {len(body)}"
        return f"{head}\r\n\r\n".encode() + body


class _Line(asyncio.Protocol):
    """A connection: one push at a time is on its way."""

    def __init__(self, load: Load, idle: deque[_Line], waiting: deque[float]) -> None:
        self.load, self.idle, self.waiting = load, idle, waiting
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.idle.append(self)

    def send(self, due: float) -> None:
        self.due = due
        self.transport.write(self.load.request())

    def data_received(self, data: bytes) -> None:
        # Answers have no body, and come whole on the loopback.
        self.load.statuses[data[9:12].decode()] += 1
        self.load.ms.append((time.perf_counter() - self.due) * 1000)
        if self.waiting:
            self.send(self.waiting.popleft())
        else:
            self.idle.append(self)


async def _send(load: Load, rate: int, seconds: float, lines: int) -> float:
    """Send at a rate; return how many seconds it took until the last answer."""
    idle: deque[_Line] = deque()
    waiting: deque[float] = deque()
    port = int(load.address.rpartition(":")[2])
    loop = asyncio.get_running_loop()
    for _ in range(lines):
        await loop.create_connection(lambda: _Line(load, idle, waiting), "127.0.0.1", port)
    await _warm_up(load, idle)
    began = time.perf_counter()
    count = int(rate * seconds)
    for number in range(count):
        due = began + number / rate
        if (pause := due - time.perf_counter()) > 0.001:
            await asyncio.sleep(pause)
        elif number % 20 == 0:
            await asyncio.sleep(0)
        if idle:
            idle.popleft().send(due)
        else:
            waiting.append(due)
    while len(load.ms) < count and time.perf_counter() - began < seconds + 60:  # noqa: ASYNC110 -- the end is a number
        await asyncio.sleep(0.01)
    took = time.perf_counter() - began
    for line in idle:
        line.transport.close()
    return took


async def _warm_up(load: Load, idle: deque[_Line]) -> None:
    """Send one push to each subscription, so that the receiver knows them; not measured."""
    for number in range(len(load.paths)):
        idle.popleft().send(time.perf_counter())
        await _answered(load, number - 10)
    await _answered(load, len(load.paths))
    load.ms.clear()
    load.statuses.clear()


async def _answered(load: Load, count: int) -> None:
    while len(load.ms) < count:  # noqa: ASYNC110 -- what is waited for is a number
        await asyncio.sleep(0.001)


async def figures(
    *, rate: int, seconds: float, tenants: int = 1, scopes: int = 200, lines: int = 100
) -> list[Figure]:
    """Return the lines of the table."""
    async with housed() as house:
        paths = await subscribed(house.url, house.home, tenants=tenants, scopes=scopes)
        served = Served(house, role="web")
        try:
            await served.ready()
            load = Load(served.address, paths)
            before = served.cpu, house.database_cpu()
            took = await _send(load, rate, seconds, lines)
            cpu = served.cpu - before[0], house.database_cpu() - before[1]
            kept = house.ask("select count(*) from push") - len(paths)  # what the warm-up sent
            same = await _same(house, load)
        finally:
            served.stop()
    what = f"pushes at {rate}/s for {seconds:g} s, {tenants} tenant{'s' if tenants > 1 else ''}"
    return [*_told(what, load, took, rate, kept), _cost(cpu, len(load.ms)), same]


def _told(what: str, load: Load, took: float, rate: int, kept: int) -> list[Figure]:
    steps = statistics.quantiles(load.ms, n=100)
    p50, p95, p99 = steps[49], steps[94], steps[98]
    accepted = load.statuses["200"]
    return [
        Figure(
            f"{what}: accepted",
            f"{accepted / took:.0f}/s",
            f"{rate}/s sent",
            accepted / took / rate,
            0.99,
            least=True,
            note=" ".join(f"{key}: {count:,}" for key, count in sorted(load.statuses.items())),
        ),
        Figure(
            "acknowledged after, p95",
            f"{p95:.1f} ms",
            f"{_GOAL_MS:g} ms",
            p95 / _GOAL_MS,
            1.0,
            note=f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        ),
        Figure(
            "in the database",
            f"{kept:,}",
            f"{accepted:,} acknowledged",
            kept / max(accepted, 1),
            1.0,
            least=True,
        ),
    ]


def _cost(cpu: tuple[float, float], count: int) -> Figure:
    ours, data = (1000 * one / count for one in cpu)
    return Figure(
        "processor of a push",
        f"{ours:.2f} ms",
        f"PostgreSQL {data:.2f} ms",
        ours / data,
        note="whole processes, what they do beside included",
    )


async def _same(house: House, load: Load) -> Figure:
    """Send one delivery over a hundred connections at the same moment."""
    port = int(load.address.rpartition(":")[2])
    told = {one: house.ask(f"select {one}") for one in (_KEPT, _DOUBLED, _ASKED)}
    message = load.bytes(10**8)
    links = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_SAME)]
    for _, writer in links:
        writer.write(message)
    answers = [await reader.readuntil(b"\r\n\r\n") for reader, _ in links]
    for _, writer in links:
        writer.close()
    fine = sum(one.startswith(b"HTTP/1.1 200") for one in answers)
    kept, doubled, asked = (house.ask(f"select {one}") - old for one, old in told.items())
    return Figure(
        f"{_SAME} identical deliveries at once: effects",
        f"{asked}",
        "1",
        float(asked),
        1.0,
        note=f"{fine} acknowledged, {kept} kept, {doubled} counted as doubled",
    )


_KEPT = "(select count(*) from push)"
_DOUBLED = "(select sum(doubled) from push)"
_ASKED = "(select sum(asked) from scope)"
