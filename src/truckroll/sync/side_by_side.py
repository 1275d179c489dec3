"""In which company opened steps are performed: batch beside batch, or each link alone."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from truckroll.sync.perform import Performer
    from truckroll.sync.ports import OpenStep


async def perform_together(performer: Performer, ready: AsyncIterator[list[OpenStep]]) -> None:
    """Perform batches as they become ready, two side by side.

    While a batch is being performed the next is made ready, so that no account waits for the last
    writes of a batch.
    """
    queue: asyncio.Queue[list[OpenStep] | None] = asyncio.Queue(maxsize=1)
    room = asyncio.Semaphore(2)
    async with asyncio.TaskGroup() as group:
        group.create_task(_feed(ready, queue))
        while (opened := await queue.get()) is not None:
            await room.acquire()
            group.create_task(_perform_batch(performer, opened, room))


async def perform_one_by_one(
    performer: Performer,
    ready: AsyncIterator[list[OpenStep]],
    marked: Callable[[int], Awaitable[None]],
) -> None:
    """Perform the steps of one link after those of another; `marked` is told of each before."""
    async for opened in ready:
        for link, steps in itertools.groupby(opened, key=lambda one: one.step.link):
            await marked(link)
            await performer.perform(list(steps))
        await marked(0)


async def _perform_batch(
    performer: Performer, opened: list[OpenStep], room: asyncio.Semaphore
) -> None:
    try:
        await performer.perform(opened)
    finally:
        room.release()


async def _feed(
    ready: AsyncIterator[list[OpenStep]], queue: asyncio.Queue[list[OpenStep] | None]
) -> None:
    try:
        async for opened in ready:
            await queue.put(opened)
    finally:
        await queue.put(None)
