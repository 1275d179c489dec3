"""With care: what may have killed whoever did it is done alone, and marked while it is in hand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from truckroll.errands.backoff import backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from truckroll.sync.leases import Held

SUSPECT = 2  # so many deaths in a row; the third try is made with care
WHOLE = -1  # in hand is the errand as such, none of its links
KILLED = "killed"  # the code of a scope whose read killed whoever made it
_FIRST, _LONGEST = timedelta(minutes=30), timedelta(hours=6)


class Care:
    """Lets one errand of a process at a time be done with care.

    Errands that were in hand of a process when it died are all suspects, and one of them is to
    blame. So they are done one after the other, and each says what it has in hand: whoever takes
    over after one more death knows what not to touch.
    """

    def __init__(self) -> None:
        self._alone = asyncio.Lock()

    @asynccontextmanager
    async def taken(
        self, held: Held, *, anyhow: bool = False
    ) -> AsyncIterator[Callable[[int], Awaitable[None]] | None]:
        """Give what marks a link as in hand (0: none); None where no care is needed."""
        (lease,) = held.leases
        if lease.deaths < SUSPECT and not anyhow:
            yield None
            return

        async def mark(link: int) -> None:
            await held.store.mark(lease, link or WHOLE)

        async with self._alone:
            await mark(0)
            yield mark
            await held.store.mark(lease, 0)


def killed(held: Held) -> int:
    """Return what the holder before had in hand when it died: a link, WHOLE, or 0 for nothing."""
    return held.leases[0].hand


def left_alone(failures: int, chance: float) -> timedelta:
    """Return for how long to leave alone what killed so many times in a row."""
    return backoff(failures, chance, first=_FIRST, longest=_LONGEST)


def says_killed(what: str) -> str:
    """Return the sentence about something that killed whoever worked on it."""
    return (
        f"Truckroll died again and again while it worked on {what}, so it leaves that alone for a"
        " while; everything else goes on. Please report what the log says about it."
    )
