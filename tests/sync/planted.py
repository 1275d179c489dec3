"""Bugs to be planted one at a time: each is a rule of docs/why/sync.md left out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from truckroll.model.records import same
from truckroll.store.memory import MemoryStore
from truckroll.sync import existence, merge, need, perform, plan, read, reply, work
from truckroll.sync.context import Match
from truckroll.sync.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Bug:
    """A rule left out: its name, and what to put in the place of what."""

    name: str
    plant: Callable[[Callable[[object, str, object], None]], None]


@contextlib.contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Plant a bug, and take it out again."""
    kept: list[tuple[object, str, object]] = []

    def patch(where: object, name: str, what: object) -> None:
        kept.append((where, name, getattr(where, name)))
        setattr(where, name, what)

    bug.plant(patch)
    try:
        yield
    finally:
        for where, name, what in reversed(kept):
            setattr(where, name, what)


# What is handed to a bug puts something in the place of something, until it is taken out again.
def _raw(patch) -> None:
    """Compare what is wanted with what is shown, as if every system stored all of it."""
    patch(need, "is_stored", lambda _how, value, shown: same(value, shown))
    patch(reply, "is_stored", lambda _how, value, shown: same(value, shown))
    patch(reply, "stored", lambda _how, value: value)
    patch(reply, "explains", lambda sent, shown: "same" if same(sent, shown) else None)


def _loser_keeps_base(patch) -> None:
    """Leave the base of a losing change where it was: it is weighed again and again."""
    settle = work.At.settle

    def forgetful(self, slot, given):
        if given is not self.shown[slot] or self.end.side == "source":
            settle(self, slot, given)

    patch(work.At, "settle", forgetful)


def _half_is_whole(patch) -> None:
    """Take a list that stopped in the middle for a complete one."""

    async def listed(store, resource, session, scope, cursor, *, now):
        listing = await store.begin_listing(scope.id)
        try:
            async for page in resource.listing(session, scope.scope, cursor):
                await store.store_page(
                    scope.id, listing, resource.kind, page, at=now(), keep_cursor=False
                )
        except Exception:  # noqa: BLE001 -- the bug
            pass
        gone = await store.finish_listing(scope.id, listing, at=now())
        await store.mark_gone([one.id for one in gone], at=now())
        return read.ScopeReport(scope=scope.id)

    patch(read, "_list", listed)


def _fresh_version(patch) -> None:
    """Send the version that is there now, not the one that was merged."""
    update = perform._update

    async def fresh(hand, scope, opened, *more):
        item = await hand.resource.read(hand.session, scope, opened.step.external_id)
        version, fields = getattr(item, "version", None), getattr(item, "fields", {})
        step = msgspec.structs.replace(opened.step, version=version, before=fields)
        return await update(hand, scope, msgspec.structs.replace(opened, step=step), *more)

    patch(perform, "_update", fresh)


def _no_tombstone(patch) -> None:
    """Forget the links of records whose end is gone: what comes back is new."""
    linked = MemoryStore._linked

    def living(self, mirror):
        held = linked(self, mirror)
        return {key: pair for key, pair in held.items() if pair[1].state == "live"}

    patch(MemoryStore, "_linked", living)


def _retried_create(patch) -> None:
    """Take a lost answer for a failure, and create again under a new name."""

    async def failed(_hand, _scope, opened, says, *, now):
        return Outcome(step=opened.id, kind="later", says=says, retry_at=now())

    build = need.build
    numbers = iter(range(10**9))

    def renamed(*args):
        step = build(*args)
        key = f"{step.create_key}-{next(numbers)}" if step.create_key else ""
        return msgspec.structs.replace(step, create_key=key)

    patch(perform, "look_up", failed)
    patch(need, "build", renamed)


def _dropped_is_edited(patch) -> None:
    """Weigh what a system did not keep as an edit."""
    settle = reply.settle

    def blind(sent, back, how, **known):
        moved = settle(sent, back, how, **known)
        lost = {slot: sent[slot] for slot in moved.holds}
        return reply.Settled({**moved.base, **lost}, {**moved.given, **lost}, {})

    patch(perform, "settle", blind)


def _no_generation(patch) -> None:
    """Create anew under the name of what was removed."""
    build = need.build

    def first(*args):
        step = build(*args)
        key = step.create_key.rsplit("-", 1)[0] + "-0" if step.create_key else ""
        return msgspec.structs.replace(step, create_key=key)

    patch(need, "build", first)


def _restored_is_given(patch) -> None:
    """Let `restore` of a drift count as given: the need is gone before it is met."""

    def settled(work_, at, line, _rule, _want):
        want = merge.wanted(work_, line)
        at.settle(line.slot, want)

    patch(merge, "_settle_drift", settled)


def _absent_is_empty(patch) -> None:
    """Take a crew that was not read, or cannot be resolved, for an empty one."""
    spots = existence.spots

    def emptied(work_):
        found = spots(work_)
        return {} if found is None or work_.link.row % 3 == 2 else found

    patch(plan, "spots", emptied)


def _edit_behind_the_delete(patch) -> None:
    """Never let an update stand against a follower's deletion."""
    patch(existence, "_updated", lambda *_: False)


def _held_is_written(patch) -> None:
    """Write a field although it is held."""

    def always(_work, at, line, _hold):
        at.release(line.slot)
        at.settle(line.slot, at.shown[line.slot])
        return True

    patch(merge, "_released", always)


def _unheard_wins(patch) -> None:
    """Let a change win that had not yet been given what was agreed."""
    patch(merge, "_unheard", lambda *_: False)


def _reply_agrees(patch) -> None:
    """Let the reply to one field move the base of all."""
    settle = reply.settle

    def all_of_it(sent, back, how, **known):
        moved = settle(sent, back, how, **known)
        return moved._replace(base={**back, **moved.base})

    patch(perform, "settle", all_of_it)


def _earlier_copies_live(patch) -> None:
    """Let every end stand for its place, earlier copies too."""
    line_up = existence.line_up

    def everyone(work_):
        line_up(work_)
        work_.followers = [
            at for at in work_.ends if at.end.side == "target" and at.end.external_id
        ] + [at for at in work_.followers if not at.end.external_id]

    patch(plan, "line_up", everyone)


def _double_match(patch) -> None:
    """Take the first of several candidates for the same thing."""
    match = need._hold_match

    def first(work_, at, found):
        if found.several:
            need.attach(work_, at, Match(sure=found.several[0]))
        else:
            match(work_, at, found)

    patch(need, "_hold_match", first)


def _silent_loser(patch) -> None:
    """Forget what lost."""
    patch(merge, "_tell_losers", lambda *_: None)


def _doubt_is_nothing(patch) -> None:
    """Weigh and write an end whose last outcome is unknown."""
    patch(work.At, "weighable", property(lambda self: self.state == "live"))


def _removed_twice(patch) -> None:
    """Keep the followers of a record that is gone."""
    patch(plan, "take_out", lambda *_: None)


def _cut_is_an_edit(patch) -> None:
    """Take a lossy end's whole text for the field."""
    patch(merge, "_patch", lambda _how, _given, _part, shown: shown)


BUGS = (
    Bug("compare raw in place of stored forms", _raw),
    Bug("forget to move the base of a loser", _loser_keeps_base),
    Bug("take half a list for the whole", _half_is_whole),
    Bug("send the fresh version", _fresh_version),
    Bug("drop the tombstones", _no_tombstone),
    Bug("create again under a new name after a lost answer", _retried_create),
    Bug("weigh what was not stored as an edit", _dropped_is_edited),
    Bug("forget the generation", _no_generation),
    Bug("a restored drift counts as given", _restored_is_given),
    Bug("absent is empty for people", _absent_is_empty),
    Bug("a deletion beats every update", _edit_behind_the_delete),
    Bug("write a held field", _held_is_written),
    Bug("a change wins over what its end was not given", _unheard_wins),
    Bug("the reply to one field agrees with all", _reply_agrees),
    Bug("earlier copies count", _earlier_copies_live),
    Bug("the first of several matches is taken", _double_match),
    Bug("losers are not told", _silent_loser),
    Bug("an end in doubt is weighed and written", _doubt_is_nothing),
    Bug("followers of a gone record stay", _removed_twice),
    Bug("a cut text is the whole text", _cut_is_an_edit),
)
