"""A worker that really dies of what it works on: run as a process of its own.

    python -m support.deadly DATABASE HOME WHERE

It does one errand after another as `truckroll up` does, without its engine's waits, and dies by
`os._exit` where a record with the title Poison is met: WHERE is plan, write or read.
"""

import asyncio
import os
import sys
from pathlib import Path

from truckroll.app import errands as app_errands
from truckroll.app.errands import Errands
from truckroll.app.hub import utc_now
from truckroll.app.resident import Resident
from truckroll.store.due import DueDesk
from truckroll.store.open import open_stores
from truckroll.sync import perform as sync_perform
from truckroll.sync import planned as sync_planned

DIED = 77


def _die_of(fields):
    if "Poison" in str(fields.get("title", "")):
        os._exit(DIED)


def arm(where):
    """Let this process die of Poison at a place."""
    if where == "plan":
        real_plan = sync_planned.plan

        def plan(links, ctx):
            for link in links:
                for end in link.ends:
                    _die_of(end.shown)
            return real_plan(links, ctx)

        sync_planned.plan = plan
    elif where == "write":
        real_step = sync_perform.perform_step

        async def perform_step(hand, scope, opened, **how):
            _die_of(opened.step.whole)
            return await real_step(hand, scope, opened, **how)

        sync_perform.perform_step = perform_step
    elif where == "read":
        real_read = app_errands.read_scope

        async def read_scope(store, resource, session, scope, **how):
            real_page = store.store_page

            class Watching:
                def __getattr__(self, name):
                    return getattr(store, name)

                async def store_page(self, scope_, listing, kind, page, **more):
                    for item in page.items:
                        _die_of(getattr(item, "fields", {}))
                    return await real_page(scope_, listing, kind, page, **more)

            return await real_read(Watching(), resource, session, scope, **how)

        app_errands.read_scope = read_scope


async def work(url, home):
    """Do side by side what is due, until nothing is."""
    async with open_stores(url, home) as stores:
        resident = Resident(home, stores)
        desk = DueDesk(stores.pool, stores.keyring)
        errands = Errands(resident, chance=lambda: 0.0).registry()
        for _ in range(20):
            due = await desk.work([], at=utc_now(), each=8)
            if not due:
                break
            async with asyncio.TaskGroup() as group:
                for kind, tenant, about, _, _ in due:
                    group.create_task(errands[kind](tenant, about))
        await resident.close()


if __name__ == "__main__":
    arm(sys.argv[3])
    asyncio.run(work(sys.argv[1], Path(sys.argv[2])))
