"""Performing: each journalled intent is carried out once, and its outcome told truly (SYNC §10)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.kit import watch
from truckroll.kit.contract import (
    Change,
    Draft,
    Item,
    Missing,
    Removal,
    Reply,
    Resource,
    Scope,
    Seen,
    Session,
    Unreadable,
)
from truckroll.kit.errors import (
    AwaitOther,
    GiveUp,
    Gone,
    HoldRecord,
    OutcomeUnknown,
    Replan,
    RetryLater,
    SignIn,
    StartOver,
    VendorError,
)
from truckroll.kit.gate import lane
from truckroll.kit.normal import LOSSLESS, Stored
from truckroll.model.records import Fields, same
from truckroll.sync.ports import Fenced
from truckroll.sync.reply import Settled, refusal, settle, settle_found
from truckroll.sync.types import FieldHold, Outcome, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from truckroll.sync.ports import OpenStep, Performing, Slots

    Clock = Callable[[], datetime]
    Look = Callable[[], None]
    Guard = Callable[[], contextlib.AbstractAsyncContextManager[Look]]

FLUSH_AT = 128
UNANSWERED = 5
CONFLICTS = 3
RETRY = timedelta(minutes=5)
OTHER_AGAIN = timedelta(minutes=15)  # nothing tells when what a record hangs on is there
_STUMBLED = (
    "Truckroll stumbled in the middle of a write to {}; what became of it is looked up before"
    " anything is tried again."
)
log = logging.getLogger(__name__)
_AFTER = "An earlier write of the same record waits; this one goes after it."


class Hand(msgspec.Struct, frozen=True):
    """What a step is performed with: a signed-in account and its resource."""

    session: Session
    resource: Resource
    label: str


def anyway() -> contextlib.AbstractAsyncContextManager[Look]:
    """Return a guard that lets every call be made."""
    return contextlib.nullcontext(lambda: None)


class Performer:
    """Performs opened steps: accounts side by side, the steps of one link in their order.

    A step that could not be done yet lets the later ones of its link in its account wait.

    `hands` gives per account what to work with, `scopes` the scopes by row id. `progress` hears
    of every outcome. An account that needs a person's sign-in, is set up wrongly, or leaves
    several writes in a row without an answer, is left alone for the rest of the run; its steps
    wait in order. Each call to a system is made within `guard`, which raises Fenced once the
    work is another's. With `isolate` a fault of ours in one write leaves its outcome unknown,
    and the others go on. A write that meets its third conflict is held until the next run. With
    `slots` the time of a visit is claimed before it is placed: what is taken meanwhile is held.
    """

    def __init__(
        self,
        store: Performing,
        run: int,
        hands: dict[int, Hand],
        scopes: dict[int, Scope],
        *,
        now: Callable[[], datetime],
        progress: Callable[[Outcome, OpenStep], None] | None = None,
        guard: Guard = anyway,
        isolate: bool = False,
        slots: Slots | None = None,
    ) -> None:
        self._isolate = isolate
        self._guard = guard
        self._slots = slots
        self._store = store
        self._run = run
        self._hands = hands
        self._scopes = scopes
        self._now = now
        self._progress = progress
        self._stopped: dict[int, VendorError] = {}
        self._unanswered: Counter[int] = Counter()
        self._conflicts: Counter[int] = Counter()
        self._outcomes: list[Outcome] = []
        self._flushing = asyncio.Lock()
        self._gates = {
            account: asyncio.Semaphore(hand.resource.concurrency) for account, hand in hands.items()
        }

    @property
    def stopped(self) -> dict[int, VendorError]:
        """The accounts that were left alone, and why."""
        return self._stopped

    async def perform(self, steps: Sequence[OpenStep]) -> None:
        """Perform steps and store their outcomes; returns when all are stored."""
        chains: dict[int, list[OpenStep]] = defaultdict(list)
        for opened in steps:
            chains[opened.step.link].append(opened)
        async with asyncio.TaskGroup() as group:
            for chain in chains.values():
                group.create_task(self._chain(chain, group))
        await self.flush()

    async def _chain(self, chain: list[OpenStep], group: asyncio.TaskGroup) -> None:
        blocked: set[int] = set()
        for opened in chain:
            hand = self._hands[opened.step.account]
            async with self._gates[opened.step.account]:
                if opened.step.account in blocked:
                    outcome = self._later(opened, _AFTER)
                elif (stop := self._stopped.get(opened.step.account)) is not None:
                    outcome = self._later(opened, stop.says)
                else:
                    outcome = await self._one(hand, opened)
            if outcome.kind != "done":
                blocked.add(opened.step.account)
            self._tell(outcome, opened)
            if len(self._outcomes) >= FLUSH_AT and not self._flushing.locked():
                group.create_task(self.flush())  # beside the writes: no account waits for it

    async def _one(self, hand: Hand, opened: OpenStep) -> Outcome:
        scope = self._scopes[opened.step.scope]
        if self._slots is not None and (says := await self._slots.take(opened)):
            return self._taken(opened, says)
        try:
            step = opened.step
            span = watch.span("write", account=step.account, link=step.link, step=opened.id)
            async with self._guard() as look:
                with span, lane(step.scope):
                    outcome = await perform_step(hand, scope, opened, now=self._now, look=look)
        except (SignIn, GiveUp, StartOver) as error:
            self._stopped[opened.step.account] = error
            return self._later(opened, error.says)
        except (VendorError, Fenced):
            raise
        except Exception:
            if not self._isolate:
                raise
            log.exception("a write to %s failed", hand.label)
            return Outcome(step=opened.id, kind="unknown", says=_STUMBLED.format(hand.label))
        return self._weighed(hand, opened, outcome)

    def _weighed(self, hand: Hand, opened: OpenStep, outcome: Outcome) -> Outcome:
        """Leave an account alone that does not answer; hold a write that conflicts on and on."""
        account, end = opened.step.account, opened.step.end
        silent = outcome.kind in ("later", "unknown") and not outcome.holds  # a hold is an answer
        if silent:
            self._unanswered[account] += 1
            if self._unanswered[account] == UNANSWERED:
                says = (
                    f"{hand.label} does not answer; the rest of its writes wait for the next run."
                )
                self._stopped[account] = RetryLater(says)
        else:
            self._unanswered[account] = 0
        if outcome.kind != "conflict":
            return outcome
        self._conflicts[end] += 1
        if self._conflicts[end] < CONFLICTS:
            return outcome
        says = f"{hand.label} did not take this in {CONFLICTS} tries. The last time: {outcome.says}"
        holds = {"write": FieldHold(reason="conflict", detail=says)}
        return Outcome(step=opened.id, kind="later", says=says, holds=holds, retry_at=self._now())

    def _taken(self, opened: OpenStep, says: str) -> Outcome:
        """Let a write wait whose time somebody else has; it is looked at again in the next run."""
        holds = {"write": FieldHold(reason="overlap", detail=says)}
        return Outcome(step=opened.id, kind="later", says=says, holds=holds, retry_at=self._now())

    def _later(self, opened: OpenStep, says: str) -> Outcome:
        return Outcome(step=opened.id, kind="later", says=says, retry_at=self._now())

    def _tell(self, outcome: Outcome, opened: OpenStep) -> None:
        self._outcomes.append(outcome)
        if self._progress is not None:
            self._progress(outcome, opened)

    async def flush(self) -> None:
        """Store the outcomes known so far in one transaction."""
        async with self._flushing:
            outcomes, self._outcomes = self._outcomes, []
            if outcomes:
                await self._store.finish(self._run, outcomes, at=self._now())
                if self._slots is not None:
                    await self._slots.settle(outcomes)


async def perform_step(
    hand: Hand,
    scope: Scope,
    opened: OpenStep,
    *,
    now: Callable[[], datetime],
    look: Look = lambda: None,
) -> Outcome:
    """Carry out one intent and return how it ended.

    Raises SignIn and GiveUp, which concern the whole account; the intent was then not done.
    `look` is asked before a write that is not the first call, and raises where it may not be made
    any more: nothing was done then either.
    """
    step = opened.step
    try:
        if step.op == "create":
            return await _create(hand, scope, opened, now)
        if _removes(step):
            return await _remove(hand, scope, opened)
        return await _update(hand, scope, opened, now, look)
    except Replan as error:
        return await _observed(hand, scope, opened, error.says)
    except Gone as error:
        return Outcome(step=opened.id, kind="gone", says=error.says, external_id=step.external_id)
    except RetryLater as error:
        return Outcome(
            step=opened.id,
            kind="later",
            says=error.says,
            retry_at=now() + (error.after or RETRY),
        )
    except AwaitOther as error:
        return Outcome(
            step=opened.id,
            kind="later",
            says=error.says,
            holds=refusal(step, error.says, AwaitOther),
            retry_at=now() + OTHER_AGAIN,
        )
    except HoldRecord as error:
        return refused(opened, error.says)
    except OutcomeUnknown as error:
        return await look_up(hand, scope, opened, error.says, now=now)


def _removes(step: Step) -> bool:
    return step.op in ("delete", "unlink") or (step.op == "cancel" and not step.fields)


def refused(opened: OpenStep, says: str) -> Outcome:
    """Return the outcome of a write that was refused for good, held with the vendor's words."""
    holds = refusal(opened.step, says)
    return Outcome(step=opened.id, kind="refused", says=says, holds=holds)


async def _create(hand: Hand, scope: Scope, opened: OpenStep, now: Clock) -> Outcome:
    step, resource = opened.step, hand.resource
    assert resource.create is not None
    chosen = resource.choose_id(scope, step.create_key) if resource.choose_id else ""
    mark = step.create_key.split("-", 1)[0]
    draft = Draft(id=chosen, key=step.create_key, mark=mark, fields=step.whole)
    reply = await resource.create(hand.session, scope, draft)
    return await _done(hand, scope, opened, reply, now)


async def _update(hand: Hand, scope: Scope, opened: OpenStep, now: Clock, look: Look) -> Outcome:
    step, resource = opened.step, hand.resource
    write = resource.cancel if step.op == "cancel" else resource.update
    assert write is not None
    if not resource.conditional:
        await _unchanged_since(hand, scope, step.external_id, step.before, step.fields)
        look()
    change = Change(
        id=step.external_id,
        version=step.version,
        fields=step.fields,
        whole=step.whole,
        raw=opened.raw,
    )
    reply = await write(hand.session, scope, change)
    return await _done(hand, scope, opened, reply, now)


async def _unchanged_since(
    hand: Hand, scope: Scope, id_: str, before: Fields, fields: Fields
) -> None:
    """Where the system has no condition: read again and compare the fields concerned."""
    if hand.resource.read is None:
        return
    item = await hand.resource.read(hand.session, scope, id_)
    if isinstance(item, Missing):
        raise Gone(f"The record is not in {hand.label} any more.")
    if isinstance(item, Seen):
        for slot in fields:
            if not same(item.fields.get(slot), before.get(slot)):
                raise Replan(f"The record changed in {hand.label} meanwhile.")


async def _remove(hand: Hand, scope: Scope, opened: OpenStep) -> Outcome:
    step, resource = opened.step, hand.resource
    assert resource.remove is not None
    removal = Removal(id=step.external_id, version=step.version, raw=opened.raw)
    with contextlib.suppress(Gone):  # somebody was faster: what was to be gone is gone
        await resource.remove(hand.session, scope, removal)
    return Outcome(step=opened.id, kind="done", external_id=step.external_id)


async def _done(hand: Hand, scope: Scope, opened: OpenStep, reply: Reply, now: Clock) -> Outcome:
    """Take the reply, or a read-back where it does not show the record, as the stored form."""
    seen: Item | None = reply.seen
    if seen is None and hand.resource.read is not None:
        seen = await hand.resource.read(hand.session, scope, reply.id)
    if isinstance(seen, Missing):
        says = f"{hand.label} took this, but does not show it yet; it is looked for again."
        return Outcome(step=opened.id, kind="unknown", says=says)
    if not isinstance(seen, Seen):
        says = f"{hand.label} took this, but its answer does not show it; it is looked for again."
        says = seen.reason if isinstance(seen, Unreadable) else says
        return Outcome(step=opened.id, kind="unknown", says=says, external_id=reply.id)
    step, how = opened.step, _how(hand.resource)
    sent = step.whole if step.op == "create" else step.fields
    alone = step.op == "create" or hand.resource.conditional
    before = {} if step.op == "create" else step.before
    moved = settle(sent, seen.fields, how, before=before, alone=alone, label=hand.label)
    others = seen.fields.keys() - sent.keys()
    stirred = not alone and any(not same(seen.fields[f], step.before.get(f)) for f in others)
    return _as_done(opened, seen, moved, again_at=now() if stirred else None)


def _as_done(opened: OpenStep, seen: Seen, moved: Settled, again_at: datetime | None) -> Outcome:
    return Outcome(
        step=opened.id,
        kind="done",
        retry_at=again_at,
        external_id=seen.id,
        version=seen.version,
        shown=seen.fields,
        raw=seen.raw,
        series=seen.series,
        base=moved.base,
        given=moved.given,
        holds=moved.holds,
    )


def _how(resource: Resource) -> Callable[[str], Stored]:
    return lambda slot: resource.fields.get(slot, LOSSLESS)


async def _observed(hand: Hand, scope: Scope, opened: OpenStep, says: str) -> Outcome:
    """Return a conflict that carries what the system shows now, for the next plan."""
    item: Item | None = None
    if hand.resource.read is not None and opened.step.external_id:
        with contextlib.suppress(VendorError):
            item = await hand.resource.read(hand.session, scope, opened.step.external_id)
    return _conflict(opened, item, says)


def _conflict(opened: OpenStep, item: Item | None, says: str) -> Outcome:
    if isinstance(item, Missing):
        external_id = opened.step.external_id
        return Outcome(step=opened.id, kind="gone", says=says, external_id=external_id)
    if isinstance(item, Unreadable):
        return refused(opened, item.reason)
    blind = Outcome(step=opened.id, kind="conflict", says=says)
    if item is None:
        return blind
    return msgspec.structs.replace(
        blind,
        external_id=item.id,
        version=item.version,
        shown=item.fields,
        raw=item.raw,
        series=item.series,
    )


async def look_up(hand: Hand, scope: Scope, opened: OpenStep, says: str, *, now: Clock) -> Outcome:
    """Find out what became of an intent whose answer was lost, before anything is tried again.

    A look-up that finds nothing is believed only where the system's lists do not lag. What it
    finds may have been changed by somebody since, so the link is looked at again.
    """
    unknown = Outcome(step=opened.id, kind="unknown", says=says)
    try:
        item = await _find(hand, scope, opened)
    except VendorError:
        return unknown
    step = opened.step
    if _removes(step):
        if isinstance(item, Missing):
            return Outcome(step=opened.id, kind="done", external_id=step.external_id)
        return _conflict(opened, item, says)
    if isinstance(item, Seen):
        sent = step.whole if step.op == "create" else step.fields
        before = None if step.op == "create" else step.before
        moved = settle_found(sent, before, item.fields, _how(hand.resource), label=hand.label)
        if step.op == "create" or moved.given:
            return _as_done(opened, item, moved, again_at=now())
        return _conflict(opened, item, says)
    if isinstance(item, Missing) and step.op != "create":
        return Outcome(step=opened.id, kind="gone", says=says, external_id=step.external_id)
    lag = hand.resource.lag
    late = not lag or (opened.at is not None and now() - opened.at > lag)
    if item is None or isinstance(item, Unreadable) or not late:
        return unknown
    if hand.resource.repeat_safe == "once":
        return unknown
    return _conflict(opened, None, says)


async def _find(hand: Hand, scope: Scope, opened: OpenStep) -> Item | None:
    step, resource = opened.step, hand.resource
    id_ = step.external_id
    if step.op == "create" and resource.choose_id is not None:
        id_ = resource.choose_id(scope, step.create_key)
    if id_ and resource.read is not None:
        return await resource.read(hand.session, scope, id_)
    if resource.find is not None:
        found = await resource.find(hand.session, scope, step.create_key.split("-", 1)[0])
        return found if found is not None else Missing(step.external_id)
    return None
