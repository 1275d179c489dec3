"""(i) The same webhook and HTTP write through Node-RED and n8n, beside the hub that is up.

What each does with an event:

- **Truckroll**: a push is proven, stored on disk and acknowledged; its calendar is read at the
  simulated Google, the change is stored, compared and planned, its intent is journalled, and the
  copy is written with the vendor's batch call. Many events share a read, a transaction and a call.
- **n8n**: a Webhook node, an HTTP Request node, the answer after the last node; the execution is
  saved in its SQLite database, as it is by default.
- **Node-RED**: an `http in` node, an `http request` node, an `http response` node;
  nothing is kept.

Theirs write to a bare server that answers at once; ours writes to the simulated Google, which takes
far more of the same two cores. The peers are found below the directory PEERS_DIR, each installed
by npm in a directory of its own (Node 20):

- `nodered/package.json`: {"private": true, "dependencies": {"node-red": "4.1.15"}}
- `n8n/package.json`: {"private": true, "dependencies": {"n8n": "1.123.0"},
  "overrides": {"xlsx": "0.18.5"}}; without the override its xlsx is not to be had.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from bench.boxed import ZONE, boxed, pair
from bench.figures import Figure
from bench.pushes import push, subscribed
from bench.served import free_port, housed, idle, until, up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

CONNECTIONS = 16
PEERS = "PEERS_DIR"
_UP_SECONDS = 120.0
_BODY = json.dumps({"event": "job.updated", "id": "job_00000001", "title": "Boiler (edit 1)"})
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Ran:
    """Events a second, and the 95th percentile in seconds of what one took."""

    rate: float
    p95: float


async def figures(*, seconds: float, changes: int) -> list[Figure]:
    """Return the lines of the table; a peer that is not installed is named as such."""
    peers = {"Node-RED": _node_red, "n8n": _n8n}
    theirs: dict[str, Ran | None] = {name: await run(seconds) for name, run in peers.items()}
    acks = await _acknowledged(seconds)
    burst, closed = await _written(changes)
    return [
        _line("push → write, events/s, all at once", burst, theirs["n8n"], "n8n", 5.0),
        _line("push → write, events/s, all at once", burst, theirs["Node-RED"], "Node-RED", None),
        _line("push → write, 16 on their way", closed, theirs["n8n"], "n8n", None),
        _line("push → write, 16 on their way", closed, theirs["Node-RED"], "Node-RED", None),
        _line("acknowledged durably, 16 connections", acks, theirs["Node-RED"], "Node-RED", 1.0),
        _line("acknowledged durably, 16 connections", acks, theirs["n8n"], "n8n", None),
    ]


def _line(what: str, ours: Ran, theirs: Ran | None, name: str, goal: float | None) -> Figure:
    if theirs is None:
        return Figure(what, f"{ours.rate:.0f}/s", f"{name} is not installed", 0.0)
    return Figure(
        what,
        f"{ours.rate:.0f}/s",
        f"{name} {theirs.rate:.0f}/s",
        ours.rate / theirs.rate,
        goal,
        least=True,
        note=f"p95 {1000 * ours.p95:.0f} ms; {name}: {1000 * theirs.p95:.0f} ms",
    )


# --- ours ---


async def _acknowledged(seconds: float) -> Ran:
    """Send signed pushes over sixteen connections, each as soon as the last is answered."""
    async with housed() as house:
        paths = await subscribed(house.url, house.home, tenants=1, scopes=20)
        async with up(house) as served:
            counter = iter(range(1, 10**9))

            async def one(session: aiohttp.ClientSession) -> None:
                number = next(counter)
                body, headers = push(number)
                url = f"{served.address}/push/{paths[number % len(paths)]}"
                async with session.post(url, data=body, headers=headers) as answer:
                    if answer.status != 200:
                        raise RuntimeError(f"a push was answered with {answer.status}")

            return await _closed(one, seconds)


async def _written(changes: int) -> tuple[Ran, Ran]:
    """Change events at Google, all at once and sixteen at a time; ends at the written copies."""
    async with housed() as house, boxed() as made:
        size = {"technicians": 4, "crews": 4, "appointments": 2 * changes, "days": changes}
        made.google.seed({"vans": 0, "zone": ZONE, "domain": "acme.example", **size})
        hub = house.hub()
        await made.sign_in(hub)
        people = [one for one in made.google.world.people if not one.startswith("office")]
        crews = [one for one in made.google.world.books if one.startswith("c_")]
        for number, (source, target) in enumerate(zip(people, crews, strict=True)):
            await pair(hub, f"google/{source}", f"google/{target}", number)
        sender = made.google.kit.push
        sender._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS))  # noqa: SLF001 -- as many connections as the peers are given
        async with up(house):
            await until(lambda: len(made.google.channels.open) >= 8, seconds=60)
            await idle(house)
            events = made.plain(people)[:changes]
            began = time.monotonic()
            for mark, event in enumerate(events):
                made.edit(event, mark)
            marks = made.seen.marks
            if not await until(lambda: len(marks) >= len(events)):
                raise RuntimeError(f"{len(marks)} of {len(events)} changes came")
            waits = [at - began for at in marks.values()]
            burst = Ran(len(waits) / max(waits), _p95(waits))
            await idle(house)
            counter = iter(range(len(events), 10**9))

            async def one(_: aiohttp.ClientSession) -> None:
                mark = next(counter)
                made.edit(events[mark % len(events)], mark)
                await until(lambda: mark in marks, every=0.002)

            return burst, await _closed(one, 8.0)


async def _closed(act: Callable[[aiohttp.ClientSession], Awaitable[None]], seconds: float) -> Ran:
    """Let sixteen do the same over and over."""
    waits: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
        await act(session)  # what is first needed is made
        began = time.monotonic()

        async def work() -> None:
            while time.monotonic() - began < seconds:
                at = time.monotonic()
                await act(session)
                waits.append(time.monotonic() - at)

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
        return Ran(len(waits) / (time.monotonic() - began), _p95(waits))


def _p95(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=100)[94]


# --- theirs ---


@dataclass
class _Sink(asyncio.Protocol):
    """Answers every POST at once, and counts."""

    counts: list[int] = field(default_factory=lambda: [0])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while (head := self.rest.find(b"\r\n\r\n")) >= 0:
            length = 0
            for line in self.rest[:head].lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            if len(self.rest) < head + 4 + length:
                return
            self.rest = self.rest[head + 4 + length :]
            self.counts[0] += 1
            self.transport.write(_ANSWER)


@asynccontextmanager
async def _sink() -> AsyncIterator[tuple[str, list[int]]]:
    counts = [0]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Sink(counts), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/write", counts
    finally:
        server.close()


def _installed(name: str, command: str) -> Path | None:
    home = os.environ.get(PEERS, "")
    path = Path(home) / name / "node_modules" / ".bin" / command
    return path if home and path.exists() and shutil.which("node") else None


async def _node_red(seconds: float) -> Ran | None:
    program = _installed("nodered", "node-red")
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder:
        async with _sink() as (sink, counts):
            place, port = Path(folder), free_port()
            (place / "flows.json").write_text(json.dumps(_flow(sink)))
            (place / "settings.js").write_text(
                "module.exports = {uiHost: '127.0.0.1', flowFile: 'flows.json',"
                " credentialSecret: false, telemetry: {enabled: false},"
                " logging: {console: {level: 'warn'}}}"
            )
            words = [str(program), "--userDir", folder, "--port", str(port)]
            with _process(words, place, {"HOME": folder}):
                return await _hooked(f"http://127.0.0.1:{port}/hook", counts, seconds)


def _flow(sink: str) -> list[dict[str, object]]:
    return [
        {"id": "t", "type": "tab", "label": "bench"},
        {
            "id": "a",
            "z": "t",
            "type": "http in",
            "url": "/hook",
            "method": "post",
            "wires": [["b"]],
        },
        {
            "id": "b",
            "z": "t",
            "type": "http request",
            "method": "POST",
            "ret": "obj",
            "url": sink,
            "persist": True,
            "wires": [["c"]],
        },
        {"id": "c", "z": "t", "type": "http response", "statusCode": "200", "wires": []},
    ]


async def _n8n(seconds: float) -> Ran | None:
    program = _installed("n8n", "n8n")
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder:
        async with _sink() as (sink, counts):
            place, port = Path(folder), free_port()
            (place / "workflow.json").write_text(json.dumps(_workflow(sink)))
            env = {
                "HOME": folder,
                "N8N_USER_FOLDER": folder,
                "N8N_LISTEN_ADDRESS": "127.0.0.1",
                "N8N_PORT": str(port),
                "N8N_DIAGNOSTICS_ENABLED": "false",
                "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
                "N8N_TEMPLATES_ENABLED": "false",
                "N8N_PERSONALIZATION_ENABLED": "false",
                "N8N_RUNNERS_ENABLED": "false",
                "EXECUTIONS_DATA_SAVE_ON_SUCCESS": "all",
            }
            file = f"--input={place / 'workflow.json'}"
            await asyncio.to_thread(_done, [str(program), "import:workflow", file], place, env)
            _publish(place / ".n8n" / "database.sqlite", _workflow(sink))
            active = [str(program), "update:workflow", "--id=bench", "--active=true"]
            await asyncio.to_thread(_done, active, place, env)
            with _process([str(program), "start"], place, env):
                return await _hooked(f"http://127.0.0.1:{port}/webhook/hook", counts, seconds)


def _workflow(sink: str) -> dict[str, object]:
    webhook = {"path": "hook", "httpMethod": "POST", "responseMode": "lastNode", "options": {}}
    request = {
        "method": "POST",
        "url": sink,
        "sendBody": True,
        "specifyBody": "json",
        "jsonBody": "={{ JSON.stringify($json.body) }}",
        "options": {},
    }
    node = "n8n-nodes-base."
    return {
        "id": "bench",
        "versionId": "bench-1",
        "name": "bench",
        "active": False,
        "settings": {"executionOrder": "v1"},
        "nodes": [
            {
                "id": "a",
                "name": "Webhook",
                "type": f"{node}webhook",
                "typeVersion": 2,
                "position": [0, 0],
                "webhookId": "hook",
                "parameters": webhook,
            },
            {
                "id": "b",
                "name": "HTTP Request",
                "type": f"{node}httpRequest",
                "typeVersion": 4.2,
                "position": [200, 0],
                "parameters": request,
            },
        ],
        "connections": {
            "Webhook": {"main": [[{"node": "HTTP Request", "type": "main", "index": 0}]]}
        },
    }


def _publish(database: Path, flow: dict[str, object]) -> None:
    """Note the version that is to be active, which importing on the command line leaves out."""
    row = {
        "versionId": flow["versionId"],
        "workflowId": flow["id"],
        "authors": "bench",
        "nodes": json.dumps(flow["nodes"]),
        "connections": json.dumps(flow["connections"]),
    }
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"insert into workflow_history ({names}) values ({marks})", row)


def _done(words: list[str], place: Path, env: dict[str, str]) -> None:
    done = subprocess.run(
        words, cwd=place, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stdout[-500:]}{done.stderr[-500:]}")


@contextlib.contextmanager
def _process(words: list[str], place: Path, env: dict[str, str]):
    with (place / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            cwd=place,
            env={**os.environ, **env},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


async def _hooked(url: str, counts: list[int], seconds: float) -> Ran:
    """Wait until a webhook leads to a write, then send over sixteen connections."""
    headers = {"Content-Type": "application/json"}

    async def one(session: aiohttp.ClientSession) -> None:
        async with session.post(url, data=_BODY, headers=headers) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{url} answered {answer.status}")

    until_ = time.monotonic() + _UP_SECONDS
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError, RuntimeError):
                await one(session)
                break
            if time.monotonic() > until_:
                raise RuntimeError(f"{url} is not there after {_UP_SECONDS:g} s")
            await asyncio.sleep(0.5)
    await _closed(one, 2.0)  # both warm up
    before = counts[0]
    ran = await _closed(one, seconds)
    if counts[0] - before < ran.rate * seconds * 0.9:
        raise RuntimeError(
            f"{url}: {counts[0] - before} writes for {ran.rate * seconds:.0f} events"
        )
    return ran
