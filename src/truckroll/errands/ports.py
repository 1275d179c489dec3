"""What errands need of an engine and of the store. All instants are aware UTC.

An errand is a batch of work that is repeated without harm: "read this scope now", "settle this
recipe". It carries ids alone. What is due stands in the store's tables, never in the engine, which
only hands out what a tick released to it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

import msgspec

STALLED_SECONDS = 15.0  # a worker that was not heard of for so long is dead
BEAT_SECONDS = 5.0


class Errand(msgspec.Struct, frozen=True, order=True):
    """One unit of work: its kind, the tenant, and the id of what it is about."""

    kind: str
    tenant: int
    about: int

    @property
    def key(self) -> str:
        """Return the text under which there is one waiting and one running at most."""
        return f"{self.kind} {self.tenant} {self.about}"


class Taken(msgspec.Struct, frozen=True):
    """An errand that a worker took, with the engine's number of it."""

    id: int
    errand: Errand


class EngineAway(Exception):  # noqa: N818 -- named by what happened
    """The engine does not answer at the moment; try again soon."""


class CutShort(Exception):  # noqa: N818 -- named by what happened
    """What an errand needs was away for a moment; a later errand goes on where it ended."""


class Engine(Protocol):
    """Hands errands to workers. One value stands for one worker process.

    Of each key at most one errand waits and at most one runs. Every operation is a transaction
    of its own, and raises EngineAway where the engine does not answer.
    """

    async def defer(self, errands: Sequence[Errand]) -> list[Errand]:
        """Let errands wait for a worker, in this order; return those that did not wait already."""
        ...

    async def take(self) -> Taken | None:
        """Take the errand that waits longest and whose key does not run; None where none does."""
        ...

    async def finish(self, taken: Taken, *, well: bool = True) -> bool:
        """Note that an errand ended; False where it was taken from this worker meanwhile."""
        ...

    async def recover(
        self, *, seconds: float = STALLED_SECONDS, hands: Sequence[int] | None = None
    ) -> list[Errand]:
        """End as failed what dead workers were doing, and return it.

        Dead is a worker that was not heard of (`beat`) for so many seconds. With `hands`, the
        numbers of all that this worker has in hand, also what it is said to do beside them: an
        answer of the engine was lost.
        """
        ...

    async def beat(self) -> None:
        """Say that this worker lives; a worker that was taken for dead counts as a new one."""
        ...

    async def going(self) -> list[Errand]:
        """Return what waits or runs."""
        ...

    async def prune(self, *, seconds: float, most: int) -> int:
        """Forget at most so many errands that ended longer ago; return how many."""
        ...

    async def leave(self) -> None:
        """Say that this worker ends; what it still does counts as a dead worker's."""
        ...


class Work(msgspec.Struct, frozen=True):
    """An errand that is due since `due_at`; `account` bounds how many run at once (0: none)."""

    errand: Errand
    due_at: datetime
    account: int = 0


class Due(Protocol):
    """What is due over all tenants. Only ids come back."""

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Be the only tick of all processes while the context lasts; False where another is."""
        ...

    async def work(
        self, going: Sequence[tuple[str, int, int]], *, at: datetime, each: int
    ) -> list[tuple[str, int, int, int, datetime]]:
        """Return what is due at an instant and not going: at most `each` of every tenant.

        In plain values: kind, tenant, about, account (0: none), since when it is due.
        """
        ...


Do = Callable[[int, int], Awaitable[None]]  # the errand's tenant and what it is about
Registry = Mapping[str, Do]  # by the errand's kind
