"""What reading, planning and performing need of the store and the clock.

Implemented by `truckroll.store`. One store speaks for one tenant. Every method is one
transaction unless it says otherwise. All instants are aware UTC.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec

from truckroll.kit.contract import Page, Scope
from truckroll.model.records import Fields
from truckroll.sync.types import Decision, Link, Outcome, RecordRow, Step

Names = Callable[[str], str]  # from a create key the id that the hub chooses for its record
NOWHERE: Mapping[int, Names] = MappingProxyType({})

FoldKey = Callable[[Fields], str]  # from what a source record shows to its fold key, "" for none


class StoredScope(msgspec.Struct, frozen=True, kw_only=True):
    """A scope as the store keeps it."""

    id: int
    account: int
    scope: Scope
    cursor: str | None = None
    complete_at: datetime | None = None
    live: int = 0


class PageResult(msgspec.Struct, frozen=True):
    """What storing a page did: how many records were new, changed, gone, seen unchanged."""

    new: int = 0
    changed: int = 0
    gone: int = 0
    same: int = 0
    unreadable: int = 0


class OpenStep(msgspec.Struct, frozen=True):
    """A journalled intent: the step, its id, and the raw form of the merged observation.

    `at` is when it was opened, as far as is known.
    """

    id: int
    step: Step
    raw: bytes = b""
    at: datetime | None = None


class Counts(msgspec.Struct, frozen=True):
    """Writes done at a width in the last hour, for the brakes."""

    removals: int = 0
    writes: int = 0
    statuses: dict[str, int] = {}
    live: int = 0


class Reading(Protocol):
    """Observations come in: one door for listings, direct reads and confirmations."""

    async def begin_listing(self, scope: int) -> int:
        """Return the id of a new listing of a scope; ids grow."""
        ...

    async def store_page(
        self, scope: int, listing: int, kind: str, page: Page, *, at: datetime, keep_cursor: bool
    ) -> PageResult:
        """Store a page's items as observations and move the scope's cursor, in one transaction.

        An item is new, changed (another version AND other fields, or a tombstone), or the same.
        A changed or new record gets the next `seen_order`, its changed fields that order in
        `changed`; links that have it as an end become due (`look_at = at`). Every item and every
        id of `page.unchanged` counts as seen by `listing`. A tombstone makes a live record gone
        (`gone_at = at`); of an id never known it is a no-op. Gone records that are seen again
        become live. With `keep_cursor` the cursor stays (a shadow read in progress).
        """
        ...

    async def finish_listing(self, scope: int, listing: int, *, at: datetime) -> list[RecordRow]:
        """End a complete listing: set `complete_at`; return live records that it did not show.

        Nothing is marked gone by this.
        """
        ...

    async def overtaken(self, scope: int, listing: int) -> list[str]:
        """Return ids of present records of which a reply came since a listing began.

        What it shows of them, and that it does not show them, may be older or newer.
        """
        ...

    async def doubt(self, scope: int, *, at: datetime) -> None:
        """Let a scope be read whole: it is not known which of two observations is the newer."""
        ...

    async def set_cursor(self, scope: int, cursor: str | None) -> None:
        """Set the cursor of a scope."""
        ...

    async def mark_gone(self, records: Sequence[int], *, at: datetime) -> None:
        """Note that these records are proven absent; links that have them become due."""
        ...

    async def versions(self, scope: int, ids: Sequence[str]) -> Mapping[str, str | None]:
        """Return the version held of each live record among `ids`."""
        ...


class Adopted(NamedTuple):
    """How many records got a link, and how many were left to links that may make the same."""

    made: int
    left: int


class Planning(Protocol):
    """Links in bounded batches, and what the planner decided about them."""

    async def adopt(
        self,
        mirror: int,
        side: str,
        scopes: Sequence[int],
        *,
        at: datetime,
        limit: int,
        fold: FoldKey | None = None,
        match: tuple[str, ...] = (),
        chosen: Mapping[int, Names] = NOWHERE,
    ) -> Adopted:
        """Make links for at most `limit` live records of the scopes that no link has yet.

        A source record that carries the series or mark of another whose link lives on while it is
        gone is no new one: it was moved. The link gets it as its next source end, with what was
        weighed at the old one, and becomes due. All others get a new link.

        Each new link gets one end of `side` for the record (`given`, `base` empty), `key` = a
        random text of 16 hex digits, and is due. Only records with `owned` true. Not adopted are
        records whose end in this mirror is released or belongs to an ended link, and those that
        carry the mark of any link of the mirror: the hub made them.

        With `match`, the names of the match fields, nor what equals in these a record of the other
        side whose living link, not held, has nothing in this scope and may be about to make it.
        That link becomes due, so that it is matched first (SYNC §8); once it was planned without
        taking the record, nor held it as one of several, the record is adopted.

        In the `chosen` scopes the hub chooses the ids, by their function from a create key, so it
        makes nothing twice. What carries the mark of a link there, beside the live record of that
        link and of another series than that, was copied by somebody, or a series was split, save
        where it has an id that the hub chose for that link; it is adopted too.
        """
        ...

    async def regroup(
        self, mirror: int, fold: FoldKey, *, at: datetime, after: int, limit: int
    ) -> int:
        """Bring source records whose fold key changed to the link of their key.

        Looks at the next `limit` due links with id > `after`; returns the last one's id, 0 after
        the last. What `sync.fold.regroup` decides is done: links take another key, and records
        leave (their end is `released`, decided `left`) and join the living link of their key, or
        a new one. All links concerned become due.
        """
        ...

    async def due(
        self, mirror: int, *, at: datetime, after: int, limit: int, everything: bool = False
    ) -> list[Link]:
        """Return links of a mirror with `look_at <= at` and id > `after`, by id, ends included.

        `everything` returns all that are not ended, whatever their `look_at`.
        """
        ...

    async def links(self, ids: Sequence[int]) -> list[Link]:
        """Return links by id, ended ones too, ends included."""
        ...

    async def unlinked(
        self, mirror: int, scopes: Sequence[int], *, after: int = 0, limit: int
    ) -> list[RecordRow]:
        """Return live, owned records of these scopes that no link of the mirror has, by id."""
        ...

    async def candidates(
        self, mirror: int, scopes: Sequence[int], coarse: Sequence[str], marks: Sequence[str]
    ) -> list[RecordRow]:
        """Return live records of these scopes that no living link has, by coarse key or mark.

        Those with a released end, or an end of an ended link, of the mirror are `ended`.
        """
        ...

    async def journal(
        self, run: int, decisions: Sequence[Decision], *, at: datetime
    ) -> list[OpenStep]:
        """Store what was decided and open the intents of its steps, in one transaction.

        A link whose stored row is newer than `link.row` is left alone, as are its steps. Ends
        with negative ids are inserted (steps that name them get the new id). The unique index
        on open intents per end drops a step whose end already has one. `look_at` becomes the
        decision's `look_again_at`, unless the link was made due meanwhile. Returns the opened
        steps with ids, in order.
        """
        ...

    async def attach(self, link: int, end: int, record: int) -> Link:
        """Let an end that was unseen stand for an observed record (matching).

        Returns the link as it is then: its row is newer.
        """
        ...


class Performing(Protocol):
    """Intents, outcomes and the brakes' counts."""

    async def finish(self, run: int, outcomes: Sequence[Outcome], *, at: datetime) -> None:
        """Store outcomes in one transaction.

        done: the reply becomes the record's observation (same door; it does not make the link
        due), base, given and holds are merged into the end's, its state becomes live. A removal
        makes the record gone (a cancel: the end released, decided `cancel`), sets
        `removed_by_hub`, and makes the link due. refused: the outcome's holds are merged into
        the end's; `look_at` stays. conflict, gone: what the outcome shows (gone: its absence)
        is stored as an ordinary observation, and the link becomes due at once. later: due at
        `retry_at`.
        unknown: the end is `open` until an outcome of another kind. Each writes the story.
        """
        ...

    async def open_intents(self, recipe: int) -> list[OpenStep]:
        """Return intents without an outcome (of runs that died, or unknown ones)."""
        ...

    async def counts(self, width: str, id_: int, *, since: datetime) -> Counts:
        """Return the writes of a width (`scope`, `account`, `recipe`) since an instant."""
        ...


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to work on something alone: a `recipe` to run, a `scope` to read.

    Each taking has a new `epoch`; `deaths` counts how often in a row it was taken from a holder
    that had not given it up. `hand` is what that holder said that it had in hand (`mark`);
    `robbed` that its session lived, so that it may be at work and not know yet.
    """

    what: str
    id: int
    epoch: int
    deaths: int = 0
    hand: int = 0
    robbed: bool = False


class Fenced(Exception):  # noqa: N818 -- it is no fault: another process went on with the work
    """The lease was taken over meanwhile: nothing more may be written. `says` is for people."""

    def __init__(self) -> None:
        self.says = (
            "This process was away too long, so that another one took over its work and goes on"
            " with it. Nothing is lost."
        )
        super().__init__(self.says)


class Leases(Protocol):
    """Who works on what, over all processes."""

    async def take(self, what: str, ids: Sequence[int], *, seconds: float) -> list[Lease]:
        """Take what is free of these, each with a new epoch; the others are left out."""
        ...

    async def extend(self, leases: Sequence[Lease], *, seconds: float) -> list[Lease]:
        """Hold them for so long from now; return those that are still ours."""
        ...

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give up those that are still ours."""
        ...

    async def mark(self, lease: Lease, hand: int) -> None:
        """Note what is in hand, for whoever takes over if this process dies of it; 0: nothing."""
        ...

    def under(self, leases: Sequence[Lease]) -> "Store":
        """Return the store as the holder of these leases has it.

        What it writes of a pass raises Fenced once one of them was taken by another.
        """
        ...


class Slots(Protocol):
    """Technicians' time, which is claimed before a visit is placed in it."""

    async def take(self, opened: OpenStep) -> str:
        """Claim the time in which a step places a visit; return "", or why it cannot be had."""
        ...

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Give up the claims of steps whose outcomes are stored, save of those in doubt."""
        ...


class Busy(Exception):  # noqa: N818 -- it is no fault: another run is at work
    """Another run of the recipe is at work. `says` is a sentence for people."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


class Runs(Protocol):
    """Runs of a recipe, one at a time."""

    def run(self, recipe: int, kind: str) -> AbstractAsyncContextManager[int]:
        """Hold the recipe's lease and give a run id; raises Busy where another runs."""
        ...

    async def start_run(self, recipe: int, kind: str) -> int:
        """Note that a run begins and return its id; whoever does it holds the recipe's lease."""
        ...

    async def close_run(self, run: int) -> None:
        """Note that a run ended, if that is not noted yet."""
        ...

    def steps_of(self, run: int) -> AsyncIterator[tuple[int, Step, Outcome | None]]:
        """Yield the steps of a run in the order they were done, outcomes without raw forms."""
        ...

    async def end_run(self, run: int, summary: Mapping[str, Any]) -> None:
        """Close a run with its counts."""
        ...


class Store(Reading, Planning, Performing, Runs, Leases, Protocol):
    """The whole store as the sync sees it."""


__all__ = [
    "Busy",
    "Counts",
    "Fenced",
    "Fields",
    "Lease",
    "Leases",
    "OpenStep",
    "PageResult",
    "Performing",
    "Planning",
    "Reading",
    "Runs",
    "Slots",
    "Store",
    "StoredScope",
]
