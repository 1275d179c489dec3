"""What a pass works on, and what it found and did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from truckroll.sync.perform import anyway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from truckroll.sync.brakes import Brake
    from truckroll.sync.context import Context
    from truckroll.sync.leases import Held
    from truckroll.sync.perform import Guard, Hand
    from truckroll.sync.ports import FoldKey, Slots, Store, StoredScope
    from truckroll.sync.read import ScopeReport
    from truckroll.sync.types import Decision, Link, Outcome, Step

BATCH = 500  # records or links that are worked on together


@dataclass(frozen=True, slots=True)
class Job:
    """What a pass works on: a mirror of an installed recipe with its accounts signed in.

    `context` makes the planner's context for a batch, given the matching function and what the
    scopes that could not be read are. `sources` and `targets` are the scopes of both sides.
    `fold` gives the key by which source records are put together, where the mirror folds. Each
    call that writes is made within `guard`. `stumbled` hears of a link that cannot be planned by
    a fault of ours, and the others go on; without it the fault is raised. `slots` is asked
    before a visit is placed in somebody's time, where overlaps are refused. `marked` is told of
    each link before it is worked on, and of 0 after it; they are then worked on one by one.
    `enough` is asked before each batch is begun, and tells whether the rest waits for another run.
    """

    recipe: int
    mirror: int
    store: Store
    hands: Mapping[int, Hand]
    sources: tuple[StoredScope, ...]
    targets: tuple[StoredScope, ...]
    kind: str
    match_names: tuple[str, ...]
    originates: frozenset[str]
    context: Callable[[Sequence[Link], object, frozenset[int]], Awaitable[Context]]
    now: Callable[[], datetime]
    budget: int | None = None
    fold: FoldKey | None = None
    slots: Slots | None = None
    guard: Guard = anyway
    stumbled: Callable[[Link, Exception], Awaitable[None]] | None = None
    marked: Callable[[int], Awaitable[None]] | None = None
    enough: Callable[[], Awaitable[bool]] | None = None


def under(job: Job, held: Held) -> Job:
    """Return the job as whoever holds its lease does it: fenced, with each call in the lease."""
    return replace(job, store=held.store, guard=held.call)


@dataclass(slots=True)
class Report:
    """What a pass found and did: `steps` were planned, `done` were carried out.

    `stopped_accounts` were left alone, with the reason; those in `signed_out` need a sign-in.
    `due_since` is when the links became due whose writes are on their way. `cut` says that the
    rest waits for another run, `left` that records were left to links to be matched with.
    """

    scopes: list[ScopeReport] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    done: list[Step] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Step, Outcome]] = field(default_factory=list)
    stops: tuple[Brake, ...] = ()
    stopped_accounts: dict[int, str] = field(default_factory=dict)
    signed_out: frozenset[int] = frozenset()
    due_since: dict[int, datetime | None] = field(default_factory=dict)
    cut: bool = False
    left: bool = False

    @property
    def waiting(self) -> frozenset[int]:
        """Scopes whose read failed."""
        return frozenset(report.scope for report in self.scopes if report.error)
