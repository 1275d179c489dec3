"""(h) Passes of a hub that is up, beside `vdirsyncer sync`: without changes, and with twenty.

Two collections on one CalDAV server, in step. The hub's pass is what a poll does: both scopes are
read from their cursors, and it ends when both reads are noted, or when the run with the twenty
writes has ended. vdirsyncer, and the bare loop, are processes that start, send, and end, which is
how they are run.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.calendars import EDITS, Bare, Bench, Peer, as_user
from bench.events import events
from bench.figures import Figure, median, paired
from bench.served import housed, idle, up
from support import servers
from support.fleet import server_answers
from truckroll.app import accounts, recipes

if TYPE_CHECKING:
    from bench.served import House
    from support.servers import Server
    from truckroll.app.hub import Hub

GOAL = 0.1
EDITS_GOAL = 1.3
PATIENCE_SECONDS = 60.0


async def figures(*, count: int, rounds: int, peer: str) -> list[Figure]:
    """Return the lines of the table."""
    kind = servers.radicale if servers.cyrus_missing() else servers.cyrus
    ours, walls = [], []
    with kind() as server, tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder:
        bench = Bench(server, events(count), Path(folder), peer)
        await asyncio.to_thread(bench.fill)
        theirs = await asyncio.to_thread(Peer, bench, "0")
        await asyncio.to_thread(theirs.apply)
        bare = await asyncio.to_thread(Bare, bench, "0")
        await asyncio.to_thread(bare.put, list(bench.texts.items()), lists=False)
        await asyncio.to_thread(bare.put, [], lists=True)
        async with housed() as house:
            target = as_user(server, "ours")
            target.make_calendar("target")
            hub = house.hub()
            await _install(hub, server, target)
            async with up(house) as served:
                await idle(house)
                cpu = served.cpu
                for _ in range(rounds):
                    ours.append(await _pass(hub))
                    walls.append((await asyncio.to_thread(theirs.apply)).wall)
                cpu = (served.cpu - cpu) / rounds
                edits = [await _edits(hub, house, bench, theirs, bare) for _ in range(rounds)]
    mine, peers, loops = map(list, zip(*edits, strict=True))

    def line(what: str, mine: list[float], beside: str, other: list[float], goal: float) -> Figure:
        return Figure(
            f"{what}, {count:,} events on {server.name}, resident",
            f"{1000 * median(mine):.0f} ms",
            f"{beside} {1000 * median(other):.0f} ms",
            paired(mine, other),
            goal,
            note=f"median of {rounds}",
        )

    still = line("no change", ours, "vdirsyncer", walls, GOAL)
    return [
        replace(still, note=f"{still.note}; {1000 * cpu:.0f} ms processor a round"),
        line(f"{EDITS} changes", mine, "vdirsyncer", peers, 1.0),
        line(f"{EDITS} changes", mine, "bare loop", loops, EDITS_GOAL),
    ]


async def _install(hub: Hub, source: Server, target: Server) -> None:
    for name, server in (("here", source), ("there", target)):
        await accounts.add(hub, name, "caldav", server_answers(server))
    await recipes.install(
        hub, "calendar-to-calendar", source="here/source", target="there/target", choices={}
    )


async def _pass(hub: Hub) -> float:
    """Let both scopes be read; return how long it took until both reads were noted."""
    scopes = [one.id for one in await hub.store.scopes() if one.scope.title in ("source", "target")]
    asked, began = hub.now(), time.monotonic()
    await hub.store.make_due(scopes, at=asked)
    while True:
        agendas = await hub.store.scope_agendas(scopes)
        if all(one.tried_at is not None and one.tried_at >= asked for one in agendas.values()):
            return time.monotonic() - began
        await asyncio.sleep(0.003)


async def _edits(
    hub: Hub, house: House, bench: Bench, theirs: Peer, bare: Bare
) -> tuple[float, float, float]:
    """Change twenty events; return how long the hub, vdirsyncer and the bare loop take."""
    chosen = await asyncio.to_thread(bench.edit)
    (before, *_) = await hub.store.runs(limit=1)
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await _pass(hub)
        last = before
        while last.id == before.id or last.ended_at is None:
            await asyncio.sleep(0.003)
            (last, *_) = await hub.store.runs(limit=1)
    mine = time.monotonic() - began
    assert last.summary["writes"] == EDITS, last.summary
    synced = await asyncio.to_thread(theirs.apply)
    assert len(synced.puts) == EDITS
    loop = await asyncio.to_thread(bare.put, list(chosen.items()), lists=True)
    await idle(house, times=2)
    for side in (_pass(hub), asyncio.to_thread(theirs.apply)):  # what was written comes back once
        await side
    await idle(house, times=2)
    return mine, synced.wall, loop.wall
