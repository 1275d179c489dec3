"""Simulated systems on the virtual clock: their answers come late, broken, twice or never."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

from truckroll.kit.contract import Missing, Page, Seen
from truckroll.kit.errors import OutcomeUnknown, RetryLater, StartOver, VendorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.company import Company
    from support.nasty import Nasty
    from truckroll.kit.contract import Resource

PAGE = 3
TIMED_OUT = 10.0
HUNG = 60.0
MOST_TRIES = 10
OUTSIDE = contextvars.Context()
# What may become of a call, once or several times in a row.
FATES = (
    "busy",
    "error",
    "error after success",
    "request lost",
    "answer lost",
    "hang",
    "hang after success",
    "half a list",
    "empty list",
)
_DONE = ("answer lost", "error after success", "hang after success")
_LISTS = ("half a list", "empty list")


class _Listing:
    """Pages, each asked for when it is wanted."""

    def __init__(self, wild: Wild, cursor: str | None) -> None:
        self._wild = wild
        self._cursor = cursor
        self._after: object = None
        self._top: str | None = None
        self._over = False

    def __aiter__(self):
        return self

    async def __anext__(self) -> Page:
        if self._over:
            raise StopAsyncIteration
        page, self._after, self._top = await self._wild._call("list", self._page)
        if page is None:
            raise StopAsyncIteration
        self._over = page.last
        return page

    def _page(self):
        return self._wild._page(self._cursor, self._after, self._top)


def at_once(coroutine):
    """Return what a coroutine that waits for nothing returns."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class Wild:
    """A system behind a network. What it does, it does whether the caller lives or not."""

    def __init__(self, company: Company, name: str, nasty: Nasty) -> None:
        self.company = company
        self.world = company.sim
        self.name = name
        self.nasty = nasty
        self.fates: list[str] = []
        self.down = False
        self.lists = 0
        self.looked: dict[str, float] = {}
        self.tries = 0
        self.allowed = 0

    def resource(self) -> Resource:
        """Return what the hub has of it: the nasty system's resource, over the network."""
        whole = self.nasty.resource()
        kept = {"listing": self.listing, "read": self.read}
        if not self.nasty.read_only:
            kept |= {"create": self.create, "update": self.update, "remove": self.remove}
        return dataclasses.replace(whole, **kept)

    def goes_down(self) -> None:
        """Answer nothing from now on but that it does not work."""
        self.down, self.tries, self.allowed = True, 0, self._allowed()

    def comes_up(self) -> None:
        """Work again."""
        self.down = False

    def _allowed(self) -> int:
        """Count the tries that somebody's wish, or a leap of the clock, is a reason for.

        After a leap each of up to three workers puts right what waits.
        """
        wished = self.company.store.scope_rows[self.company.scope_of[self.name]].asked
        return 2 * wished + 3 * self.world.fired["clock leap"]

    def _tried(self) -> None:
        """Who gets no answer waits longer each time, save where there is a reason."""
        self.tries += 1
        if self.tries > MOST_TRIES + max(0, self._allowed() - self.allowed):
            self.world.broken(f"{self.name} is down and was asked {self.tries} times")

    # The operations

    async def read(self, session, scope, id_):
        def land():
            self.looked[id_] = self.world.loop.now
            return at_once(self.nasty.read(session, scope, id_))

        return await self._call("read", land)

    async def create(self, session, scope, draft):
        return await self._write("create", draft, session, scope)

    async def update(self, session, scope, change):
        return await self._write("update", change, session, scope)

    async def remove(self, session, scope, removal):
        return await self._write("remove", removal, session, scope)

    async def _write(self, act: str, what, session, scope):
        operation = getattr(self.nasty, act)
        looked = self.looked.get(what.id, -1.0)  # what is read while it is under way comes too late

        def land():
            self.company.before_write(self, act, what, looked)
            try:
                return at_once(operation(session, scope, what))
            finally:
                self.company.wrote(self, act, what.id)

        return await self._call(act, land, write=True)

    def listing(self, session, scope, cursor):
        del session, scope
        return _Listing(self, cursor)

    # A page as it is when it is asked for

    def _page(self, cursor, after, top):
        nasty = self.nasty
        if after is None:
            nasty.log.append(("list", ""))
            self.lists += 1
            nasty._signed_in()
            if nasty.expire and cursor is not None:
                nasty.expire = False
                raise StartOver(f"{self.name} forgot the cursor")
            if nasty.stale is not None:
                records, nasty.stale = nasty.stale, None
                return Page(items=tuple(_old(nasty, records)), last=True, cursor=cursor), None, None
        if nasty.fails and nasty.fails[0].startswith("list"):
            nasty.fails.pop(0)
            raise RetryLater(f"{self.name} does not answer")
        if self.fates and self.fates[0] in _LISTS:
            return self._lie(self.fates.pop(0), cursor)
        return self._whole(after, top) if cursor is None else self._since(cursor, after)

    def _lie(self, how: str, cursor):
        self.world.fire(how)
        if how == "empty list" and cursor is None:
            return Page(items=(), last=True, complete=True), None, None
        return None, None, None  # it ends in the middle, as if that were all

    def _whole(self, after, top):
        nasty = self.nasty
        top = top or str(next(nasty._versions))
        ids = sorted(id_ for id_ in nasty.records if after is None or id_ > after)
        items = tuple(nasty._seen(id_) for id_ in ids[:PAGE])
        if len(ids) <= PAGE:
            nasty._raced()
            return Page(items=items, cursor=top, last=True, complete=True), None, None
        return Page(items=items), ids[PAGE - 1], top

    def _since(self, cursor, after):
        nasty = self.nasty
        since = int(after or cursor)
        changed = [(v, id_) for id_, (v, _) in nasty.records.items() if v > since]
        changed += [
            (v, id_) for id_, v in nasty.tombs.items() if v > since and id_ not in nasty.records
        ]
        changed.sort()
        items = tuple(
            nasty._seen(id_) if id_ in nasty.records else Missing(id_) for _, id_ in changed[:PAGE]
        )
        if len(changed) <= PAGE:
            nasty._raced()
            return Page(items=items, cursor=str(next(nasty._versions)), last=True), None, None
        last = str(changed[PAGE - 1][0])
        return Page(items=items, cursor=last if self.company.pages_move else None), last, None

    # The network

    async def _call(self, act: str, do: Callable, *, write: bool = False):
        world = self.world
        me = world.here()
        await me.point(f"{self.name} {act}")
        if write:
            self.company.may_write(me, self.name)
        fate = self._fate(act)
        if not fate and world.chance.random() < 0.6:
            self._heard(me, act)
            value = do()
        else:
            answer = world.loop.create_future()
            answer.add_done_callback(_heard_of, context=OUTSIDE)
            out = world.chance.choice((0.0, 0.05, 0.3, 2.0))
            land = (me, act, do, fate, write, answer)
            world.loop.call_later(out, self._land, *land, context=OUTSIDE)
            value = await answer
        await me.point(f"{self.name} {act} done")
        return value

    def _fate(self, act: str) -> str:
        if self.down:
            if act == "list":
                self._tried()
            return "error"
        if not self.fates or (self.fates[0] in _LISTS):
            return ""
        fate = self.fates.pop(0)
        self.world.fire(fate)
        return fate

    def _heard(self, me, act: str) -> None:
        self.world.tell(f"{self.name} {act} for {me.name}")

    def _land(self, me, act, do, fate, write, answer) -> None:
        """Do what was asked, or not; the answer is on its way back, or not."""
        world, value, error = self.world, None, None
        self._heard(me, act)
        if not fate or fate in _DONE:
            try:
                value = do()
            except VendorError as failed:
                error = failed
        if fate:
            error = _lost(self.name, fate, write=write)
        pause = {"request lost": TIMED_OUT, "answer lost": TIMED_OUT}.get(fate, 0.05)
        pause = HUNG if fate.startswith("hang") else pause

        def deliver() -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(value)

        world.loop.call_later(pause, deliver, context=OUTSIDE)


def _heard_of(answer: asyncio.Future) -> None:
    """Nobody may be there any more to hear of an error."""
    if not answer.cancelled():
        answer.exception()


def _lost(name: str, fate: str, *, write: bool) -> VendorError:
    if fate == "busy":
        return RetryLater(f"{name} is busy", after=timedelta(seconds=7))
    if write:
        return OutcomeUnknown(f"{name} gave no answer")
    return RetryLater(f"{name} does not answer")


def _old(nasty: Nasty, records):
    for id_, (version, fields) in records.items():
        yield Seen(
            id=id_,
            fields=dict(fields),
            version=str(version) if nasty.etags else None,
            mark=nasty.marks.get(id_),
        )


async def deliver(world, company: Company, scope: int, delivery: bytes) -> None:
    """Send a push until it is taken, as systems do: a few times, further apart each time."""
    for pause in (1.0, 5.0, 20.0):
        if await world.receive(company, scope, delivery):
            return
        await asyncio.sleep(pause)
