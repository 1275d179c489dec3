"""Pushes that one process accepts durably: `python -m bench.pushes --rate 1000 --seconds 60`.

The receiver runs in a process of its own, as `truckroll up` has it, on an embedded PostgreSQL
with fsync. This process sends signed pushes at a fixed rate over connections that stay open, each
another delivery; a latency counts from the instant at which the push was to be sent, so that a
stall is not hidden. At the end what the database holds is compared with what was acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench.figures import Figure, keep, machine, table, versions
from truckroll.kit.contract import Push, Scope
from truckroll.kit.proofs import Hmac
from truckroll.store.embedded import Embedded
from truckroll.store.open import open_store, open_stores

SECRET = "a secret of the bench, as long as they are"
SCHEME = Push(Hmac("X-Signature", encoding="base64"))
_GOAL_MS = 50.0


async def _serve(url: str, home: Path) -> None:
    """Serve the receiver until the parent ends this process."""
    import uvicorn  # noqa: PLC0415 -- the sender does without
    from litestar import Litestar  # noqa: PLC0415 -- the same

    from truckroll.app.pushes import Receiver  # noqa: PLC0415 -- the same
    from truckroll.web.pushes import push_door  # noqa: PLC0415 -- the same

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    async with open_stores(url, home) as stores:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        receiver = Receiver(stores, address, push_of=lambda _: SCHEME)
        app = Litestar([push_door(receiver)], openapi_config=None)
        print(address, flush=True)
        config = uvicorn.Config(app, log_level="error", ws="none", access_log=False, lifespan="off")
        await uvicorn.Server(config).serve([listening])


async def _subscribed(url: str, home: Path, tenants: int, scopes: int) -> list[str]:
    """Return the secret ends of the addresses of some subscriptions."""
    paths = []
    for tenant in range(1, tenants + 1):
        async with open_store(url, home, tenant) as store:
            account = await store.add_account("google-calendar", "bench", {}, {})
            wanted = [Scope(f"s{n}", f"S{n}", "appointment") for n in range(scopes)]
            for one in await store.put_scopes(account.id, wanted):
                made = await store.add_subscription(
                    account.id, one.id, at=datetime.now(UTC), secret=SECRET, by_hand=True
                )
                paths.append(made.path)
    return paths


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
        body = json.dumps({"event": "job.updated", "n": self.sent, "id": f"job_{self.sent:08}"})
        digest = hmac.digest(SECRET.encode(), body.encode(), hashlib.sha256)
        signature = base64.b64encode(digest).decode()
        path = self.paths[self.sent % len(self.paths)]
        return (
            f"POST /push/{path} HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n"
            f"X-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


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


def _kept(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from truckroll.push").fetchone()
    return int(row[0]) if row else 0


def _figures(load: Load, took: float, kept: int, args: argparse.Namespace) -> list[Figure]:
    steps = statistics.quantiles(load.ms, n=100)
    p50, p95, p99 = steps[49], steps[94], steps[98]
    accepted = load.statuses["200"]
    what = f"pushes at {args.rate}/s for {args.seconds:g} s, {args.tenants} tenants"
    return [
        Figure(
            f"{what}: accepted",
            f"{accepted / took:.0f}/s",
            f"{args.rate}/s sent",
            accepted / took / args.rate,
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


def _run(args: argparse.Namespace) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder:
        home = Path(folder) / "home"
        embedded = Embedded(home)
        url = embedded.hold()
        try:
            paths = asyncio.run(_subscribed(url, home, args.tenants, args.scopes))
            command = [sys.executable, "-m", "bench.pushes", "serve", url, str(home)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                try:
                    assert server.stdout is not None
                    load = Load(server.stdout.readline().strip(), paths)
                    took = asyncio.run(_send(load, args.rate, args.seconds, args.lines))
                finally:
                    server.terminate()
            kept = _kept(url) - len(paths)  # what the warm-up sent
            return _figures(load, took, kept, args)
        finally:
            embedded.let_go()
            embedded.erase()  # under root the data stand elsewhere


def main(argv: list[str]) -> int:
    """Run it and print the table; the exit code is 1 where a goal is missed."""
    if argv[:1] == ["serve"]:
        asyncio.run(_serve(argv[1], Path(argv[2])))
        return 0
    parser = argparse.ArgumentParser(prog="python -m bench.pushes", description=__doc__)
    parser.add_argument("--rate", type=int, default=1000, help="pushes a second (1000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long (60)")
    parser.add_argument("--tenants", type=int, default=1, help="tenants they go to (1)")
    parser.add_argument("--scopes", type=int, default=200, help="subscriptions of each (200)")
    parser.add_argument("--lines", type=int, default=100, help="connections (100)")
    parser.add_argument("--keep", action="store_true", help="put it into docs/benchmarks.md")
    args = parser.parse_args(argv)
    found = _run(args)
    names = versions("truckroll", "litestar", "uvicorn", "httptools", "psycopg")
    text = f"{table(found)}\n\n{machine()} · {names}"
    print(text)
    if args.keep:
        keep("pushes", text)
    return 1 if any(one.met is False for one in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
