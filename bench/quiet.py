"""(h) A pass without changes of a hub that is up, beside `vdirsyncer sync`.

Two collections on one CalDAV server, in step. The hub's pass is what a poll does: both scopes are
read from their cursors, and nothing is left to settle; it ends when both reads are noted.
vdirsyncer is a process that starts, reads, and ends, which is how it is run.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.calendars import Bench, Peer, as_user
from bench.events import events
from bench.figures import Figure, median, paired
from bench.served import housed, idle, up
from support import servers
from support.fleet import server_answers
from truckroll.app import accounts, recipes

if TYPE_CHECKING:
    from support.servers import Server
    from truckroll.app.hub import Hub

GOAL = 0.1


async def figures(*, count: int, rounds: int, peer: str) -> list[Figure]:
    """Return the lines of the table."""
    kind = servers.radicale if servers.cyrus_missing() else servers.cyrus
    with kind() as server, tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder:
        bench = Bench(server, events(count), Path(folder), peer)
        await asyncio.to_thread(bench.fill)
        theirs = await asyncio.to_thread(Peer, bench, "0")
        await asyncio.to_thread(theirs.apply)
        async with housed() as house:
            target = as_user(server, "ours")
            target.make_calendar("target")
            hub = house.hub()
            await _install(hub, server, target)
            async with up(house) as served:
                await idle(house)
                ours, cpu = [], served.cpu
                walls = []
                for _ in range(rounds):
                    ours.append(await _pass(hub))
                    walls.append((await asyncio.to_thread(theirs.apply)).wall)
                cpu = (served.cpu - cpu) / rounds
    return [
        Figure(
            f"no change, {count:,} events on {server.name}, resident",
            f"{1000 * median(ours):.0f} ms",
            f"vdirsyncer {1000 * median(walls):.0f} ms",
            paired(ours, walls),
            GOAL,
            note=f"median of {rounds}; {1000 * cpu:.0f} ms processor a round",
        )
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
