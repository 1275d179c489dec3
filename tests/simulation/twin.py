"""The store's twin as a simulated hub has it: a diary beside it, and backups of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from support.chaos import Keeping
from truckroll.store.memory_due import MemoryDue

if TYPE_CHECKING:
    from collections.abc import Callable

# What a backup holds; the rest is the diary's, or counts on.
_SAVED = (
    *("scopes", "records", "raw", "seen_by", "link_rows", "mirror_of", "steps", "story", "runs"),
    *("hurried", "scope_rows", "recipe_rows", "stirred", "tries", "spendings", "pushes"),
    *("settings_count", "watched"),
)


class Twin(MemoryDue, Keeping):
    """A tenant's store.

    `planned` counts every write that was ever journalled; `read_at` is when the last read began
    that came to its end.
    """

    def __init__(self) -> None:
        MemoryDue.__init__(self)
        Keeping.__init__(self)
        del self.accepted  # it would hide the store's own
        self.planned: Counter[tuple[int, str, str]] = Counter()
        self.running: dict[int, bool] = {}
        self.steady: Callable[[], float] = lambda: 0.0
        self.read_at: dict[int, float] = {}
        self.begun: dict[int, float] = {}
        self.robbed_at: dict[tuple[str, int], float] = {}
        self.broken: Callable[[str], None] = lambda _: None
        self.moved: Callable[[int, str], None] = lambda *_: None

    async def journal(self, run, decisions, *, at):
        opened = await super().journal(run, decisions, at=at)
        for one in opened:
            step = one.step
            act = step.op if step.op in ("create", "update") else "remove"
            self.planned[step.scope, act, step.external_id or step.create_key] += 1
        if opened and not self.running.get(run):
            self.broken(f"I2: writes were journalled in run {run}, which is not going on")
        return self.journalled(opened, decisions)

    async def start_run(self, recipe, kind):
        run = await super().start_run(recipe, kind)
        self.running[run] = True
        return run

    async def end_run(self, run, summary):
        if not self.running.get(run):
            self.broken(f"run {run} was ended twice")
        self.running[run] = False
        await super().end_run(run, summary)

    async def close_run(self, run):
        self.running[run] = False

    async def set_cursor(self, scope, cursor):
        await super().set_cursor(scope, cursor)
        if cursor is not None:
            self.moved(scope, cursor)

    async def store_page(self, scope, listing, kind, page, *, at, keep_cursor):
        if page.cursor is not None and not keep_cursor:
            # The base moves it with the page's items; here it is held to have them first.
            bare = msgspec.structs.replace(page, cursor=None)
            done = await super().store_page(
                scope, listing, kind, bare, at=at, keep_cursor=keep_cursor
            )
            await self.set_cursor(scope, page.cursor)
            return done
        return await super().store_page(scope, listing, kind, page, at=at, keep_cursor=keep_cursor)

    async def scope_read(self, scope, before, **how):
        await super().scope_read(scope, before, **how)
        self.read_at[scope] = self.begun.get(scope, -1.0)

    async def begin_listing(self, scope):
        self.begun[scope] = self.steady()
        return await super().begin_listing(scope)

    async def take(self, what, ids, *, seconds):
        taken = await super().take(what, ids, seconds=seconds)
        self.robbed_at |= {(what, one.id): self.steady() for one in taken if one.robbed}
        return taken

    async def account(self, name):
        raise AssertionError(f"nobody asks for {name}: no scope is old enough")

    # Backups

    def saved(self) -> dict[str, object]:
        """Return a backup: all rows are frozen, so the tables alone are copied."""
        return {name: _copied(getattr(self, name)) for name in _SAVED}

    def restored(self, saved: dict[str, object], at) -> None:
        """Put a backup in the place of what is there; every scope forgets its cursor."""
        for name, value in saved.items():
            setattr(self, name, _copied(value))
        for id_, scope in self.scopes.items():
            self.scopes[id_] = msgspec.structs.replace(scope, cursor=None, complete_at=None)
            row = self.scope_rows[id_]
            self.scope_rows[id_] = msgspec.structs.replace(
                row, due_at=row.due_at and min(row.due_at, at)
            )


def _copied(value):
    return value.copy() if isinstance(value, dict | set | list) else value
