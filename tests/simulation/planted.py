"""Bugs of the runtime, to be planted one at a time: each is a rule of docs/why/errands.md left out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from simulation import world
from simulation.twin import Twin
from truckroll.app import errands, settling
from truckroll.app.agenda import Agenda
from truckroll.app.errands import Errands
from truckroll.errands.memory import MemoryEngine, Row
from truckroll.errands.ports import Taken
from truckroll.errands.worker import Worker
from truckroll.store.memory_doubts import MemoryDoubts
from truckroll.store.memory_due import MemoryDesk, MemoryDue
from truckroll.store.memory_leases import LeaseRow, MemoryLeases
from truckroll.sync import read, run
from truckroll.sync.leases import Held
from truckroll.sync.perform import anyway
from truckroll.sync.ports import Lease

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
        kept.append((where, name, where.__dict__.get(name, kept)))
        setattr(where, name, what)

    bug.plant(patch)
    try:
        yield
    finally:
        for where, name, what in reversed(kept):
            if what is kept:
                delattr(where, name)
            else:
                setattr(where, name, what)


async def _nothing(*_, **__):
    return None


async def _none(*_, **__):
    return []


def _unguarded(patch) -> None:
    """Call systems without looking whether the lease is still held."""
    patch(Held, "call", lambda _self: anyway())


def _any_epoch(patch) -> None:
    """Let a late writer write whose lease another has."""
    patch(MemoryLeases, "is_present", lambda *_: True)


def _robbing(patch) -> None:
    """Recover without fencing: whatever is being done counts as a dead worker's."""

    async def recover(self, **_):
        self._board.heard.clear()
        lost = self._in("doing")
        for row in lost:
            self._end(row, "failed")
        return [row.errand for row in lost]

    patch(MemoryEngine, "recover", recover)


def _forgetful_read(patch) -> None:
    """Clear that a scope is due before it was read."""
    real = Errands._read

    async def early(self, known, recipes, scope, held):
        store = known.hub.store
        agenda = await store.scope_agenda(scope)
        await store.scope_read(scope, agenda, at=self._resident.now(), next_at=None)
        await real(self, known, recipes, scope, held)

    patch(Errands, "_read", early)


def _deaf_read(patch) -> None:
    """Let a read that was going on serve who asked meanwhile."""
    real = MemoryDue.scope_read

    async def deaf(self, scope, before, **how):
        asked = self.scope_rows[scope].asked
        await real(self, scope, msgspec.structs.replace(before, asked=asked), **how)

    patch(MemoryDue, "scope_read", deaf)


def _known(whose) -> set[bytes]:
    """Return the pushes that a bug knows of somebody, whom they do not outlive."""
    return vars(whose).setdefault("pushes_known", set())


def _push_known_too_early(patch) -> None:
    """Tell a push from others before it is stored."""
    real = world.receiver

    async def receiver(of, company, scope, delivery, answer):
        known = _known(company)
        if delivery in known:
            answer.set_result(True)
            return
        known.add(delivery)
        await real(of, company, scope, delivery, answer)

    patch(world, "receiver", receiver)


def _push_of_anybody(patch) -> None:
    """Tell pushes apart without their tenant."""
    real = MemoryDue.keep_push

    async def keep(self, delivery, scopes, *, at):
        ours = _known(self.woken.__self__)
        if delivery in ours and delivery not in self.pushes:
            return "doubled"
        ours.add(delivery)
        return await real(self, delivery, scopes, at=at)

    patch(MemoryDue, "keep_push", keep)


def _unlocked(patch) -> None:
    """Release what is going on already, and let two of one key run at once."""
    work = MemoryDesk.work

    async def everything(self, _going, *, at, each):
        return await work(self, [], at=at, each=each)

    async def defer(self, ones):
        for errand in ones:
            id_ = next(self._board.numbers)
            self._board.rows[id_] = Row(id_, errand)
        return list(ones)

    async def take(self):
        if self._worker not in self._board.heard:
            await self.beat()
        for row in self._in("todo"):
            row.status, row.worker = "doing", self._worker
            return Taken(row.id, row.errand)
        return None

    patch(MemoryDesk, "work", everything)
    patch(MemoryEngine, "defer", defer)
    patch(MemoryEngine, "take", take)


def _cursor_first(patch) -> None:
    """Move the cursor before its page is stored."""
    real = Twin.store_page

    async def early(self, scope, listing, kind, page, *, at, keep_cursor):
        if page.cursor is not None and not keep_cursor:
            await self.set_cursor(scope, page.cursor)
        return await real(self, scope, listing, kind, page, at=at, keep_cursor=keep_cursor)

    patch(Twin, "store_page", early)


def _half_is_whole(patch) -> None:
    """Take a list that stopped in the middle for a complete one."""

    async def listed(store, resource, session, scope, cursor, *, now):
        listing = await store.begin_listing(scope.id)
        async for page in resource.listing(session, scope.scope, cursor):
            await store.store_page(
                scope.id, listing, resource.kind, page, at=now(), keep_cursor=False
            )
        if cursor is None:
            gone = await store.finish_listing(scope.id, listing, at=now())
            await store.mark_gone([one.id for one in gone], at=now())
        return read.ScopeReport(scope=scope.id)

    patch(read, "_list", listed)


def _silent_worker(patch) -> None:
    """Say once that the worker lives, and never again."""
    real = MemoryEngine.beat

    async def beat(self):
        if not self._worker:
            await real(self)

    patch(MemoryEngine, "beat", beat)


def _wall_clock(patch) -> None:
    """Count leases and pauses by the wall clock."""
    patch(world.World, "now_steady", lambda self: self.now().timestamp())


def _eager(patch) -> None:
    """Try again at once what failed."""
    patch(errands, "backoff", lambda *_, **__: timedelta(0))


def _closed_twice(patch) -> None:
    """Close a run twice."""
    real = settling.settle

    async def twice(hub, installed, job, agendas, **how):
        settled = await real(hub, installed, job, agendas, **how)
        if settled.run:
            await job.store.end_run(settled.run, {})
        return settled

    patch(errands, "settle", twice)


def _first_tenant(patch) -> None:
    """Do every errand for the first tenant."""
    real = Worker._do

    async def do(self, taken):
        errand = msgspec.structs.replace(taken.errand, tenant=1)
        await real(self, msgspec.structs.replace(taken, errand=errand))

    patch(Worker, "_do", do)


def _no_brake(patch) -> None:
    """Do not ask the brakes where a run goes on by itself."""

    async def check(*_, **__):
        return ()

    patch(settling, "check", check)
    patch(run, "check", check)


def _lease_for_ever(patch) -> None:
    """Leave a lease with its holder, dead or not."""

    async def take(self, what, ids, *, seconds):
        taken = []
        for id_ in sorted(set(ids)):
            row = self.lease_rows.setdefault((what, id_), LeaseRow())
            if not row.holder:
                row.epoch += 1
                row.holder, row.until = self.holder, self.now() + timedelta(seconds=seconds)
                taken.append(Lease(what=what, id=id_, epoch=row.epoch))
        return taken

    patch(MemoryLeases, "take", take)


def _overtaken(patch) -> None:
    """Take a reply for the newest that is known, whatever was seen meanwhile."""
    patch(MemoryDoubts, "_doubted", lambda *_: None)


def _late_page(patch) -> None:
    """Let a page that was asked for before a write replace the write's reply."""

    def late(self, old, item, at):
        return self._store(old.scope, 10**9, old.kind, item, at)

    patch(MemoryDoubts, "_late", late)


def _sure_of_hands(patch) -> None:
    """Forget that an errand may have been taken though the answer was lost."""

    async def recovered(self):
        return await self._engine.recover()

    patch(Worker, "_recovered", recovered)


def _future_heartbeat(patch) -> None:
    """Believe a heartbeat from before the clock leapt back."""

    async def recover(self, *, seconds=15.0, hands=None):
        now = self._board.now()
        heard = self._board.heard
        alive = {w: at for w, at in heard.items() if at >= now - timedelta(seconds=seconds)}
        self._board.heard = alive
        lost = [
            row
            for row in self._in("doing")
            if row.worker not in alive
            or (hands is not None and row.worker == self._worker and row.id not in hands)
        ]
        for row in lost:
            self._end(row, "failed")
        return [row.errand for row in lost]

    patch(MemoryEngine, "recover", recover)


def _signed_out_for_good(patch) -> None:
    """Do not read at once what waited for a sign-in."""
    real = MemoryDue.watch

    async def watch(self, scopes, settings, *, at, signed_out):
        del signed_out
        await real(self, scopes, settings, at=at, signed_out="never")

    patch(MemoryDue, "watch", watch)


def _cursors_restored(patch) -> None:
    """Go on from the cursors of a backup, though its observations are as old."""
    real = Twin.restored

    def restored(self, saved, at):
        real(self, saved, at)
        for id_, scope in saved["scopes"].items():
            newest = str(10**6) if scope.cursor is not None else None
            self.scopes[id_] = msgspec.structs.replace(scope, cursor=newest)

    patch(Twin, "restored", restored)


BUGS = (
    Bug("the lease is not looked at before a call", _unguarded),
    Bug("epochs are not compared", _any_epoch),
    Bug("recovery takes from the living", _robbing),
    Bug("due is cleared before the read is stored", _forgetful_read),
    Bug("who asks during a read is not heard", _deaf_read),
    Bug("a push is known before it is stored", _push_known_too_early),
    Bug("pushes are told apart without their tenant", _push_of_anybody),
    Bug("the locks are forgotten, and what is going starts again", _unlocked),
    Bug("the cursor moves before its page", _cursor_first),
    Bug("half a list is the whole", _half_is_whole),
    Bug("what is in doubt is never looked up", lambda patch: patch(settling, "recover", _nothing)),
    Bug("the heartbeat is never sent again", _silent_worker),
    Bug("the wall clock counts leases and pauses", _wall_clock),
    Bug("what failed is tried again at once", _eager),
    Bug("a run is closed twice", _closed_twice),
    Bug("an errand forgets its tenant", _first_tenant),
    Bug("nobody takes over from the dead", lambda patch: patch(MemoryEngine, "recover", _none)),
    Bug("the brakes are not asked", _no_brake),
    Bug("a dead holder keeps its lease", _lease_for_ever),
    Bug("a reply is newer than all that was seen", _overtaken),
    Bug("a late page replaces a reply", _late_page),
    Bug("a lost answer of the engine is forgotten", _sure_of_hands),
    Bug("heartbeats from the future count", _future_heartbeat),
    Bug("nothing is put right after a leap", lambda patch: patch(Agenda, "jumped", _nothing)),
    Bug("a sign-in is not heard of", _signed_out_for_good),
    Bug("a restored hub keeps its cursors", _cursors_restored),
)
