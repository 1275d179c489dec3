"""What the layers below tell whoever watches: spans, counts, lengths of time, calls.

Nobody watches unless `watched` says so; then each of these functions costs one look-up. A watcher
belongs to the context it was set in, and to every task begun there.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Literal, Protocol

Count = Literal[
    "pushes",  # received, by `system` and `result` (accepted, duplicate, rejected)
    "runs",  # ended, by `result` (done, partial, stopped, failed)
    "writes",  # carried out, by `op` and `result` (an outcome's kind)
    "reads",  # of a scope, by `system` and `result` (complete, changes, or an error's code)
    "retries",  # attempts after the first, by `system`
    "errands",  # ended, by `kind` and `result`
]
Length = Literal[
    "delivery",  # from a push (or the vendor's own instant) to the write that it led to
    "processing",  # from the observation to the write that it led to
    "push_answer",  # from a push's first byte to our answer
    "read",  # of a scope
    "run",  # of a recipe
]
Level = Literal[
    "budget_used",  # of what an account may call, 0 to 1, by `account`
    "breaker",  # of an account: 0 closed, 1 half open, 2 open, by `account`
    "errands_due",  # not begun yet, by `kind`
]
Id = str | int


class Watcher(Protocol):
    """Hears what happens. None of it may raise, and none may wait."""

    def span(self, name: str, parent: str, about: Mapping[str, Id]) -> AbstractContextManager[None]:
        """Surround a piece of work; `parent` is a traceparent of elsewhere, or ""."""
        ...

    def traceparent(self) -> str:
        """Return where we are, for whoever goes on elsewhere, or ""."""
        ...

    def count(self, name: Count, amount: int, labels: Mapping[str, str]) -> None:
        """Add to a count."""
        ...

    def measure(self, name: Length, seconds: float, labels: Mapping[str, str]) -> None:
        """Take a length of time."""
        ...

    def level(self, name: Level, value: float, labels: Mapping[str, str]) -> None:
        """Set a level."""
        ...

    def called(self, account: str, system: str, status: int, headers: Mapping[str, str]) -> None:
        """Hear of a call: `status` 0 is no answer; `headers` are those of the answer."""
        ...


_watcher: ContextVar[Watcher | None] = ContextVar("truckroll_watcher", default=None)
_ids: ContextVar[Mapping[str, Id]] = ContextVar("truckroll_ids", default={})  # noqa: B039 -- never changed in place
_NOTHING: AbstractContextManager[None] = nullcontext()


@contextmanager
def watched(watcher: Watcher | None) -> Iterator[None]:
    """Let a watcher hear what happens within the context."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def ids() -> Mapping[str, Id]:
    """Return the ids that are bound here: tenant, account, scope, run, errand, link."""
    return _ids.get()


@contextmanager
def bound(**about: Id) -> Iterator[None]:
    """Bind ids to whatever is logged, counted and traced within the context. Ids only."""
    token = _ids.set({**_ids.get(), **about})
    try:
        yield
    finally:
        _ids.reset(token)


def span(name: str, *, parent: str = "", **about: Id) -> AbstractContextManager[None]:
    """Surround a piece of work. `parent` is a `traceparent` of elsewhere. Ids only."""
    watcher = _watcher.get()
    return _NOTHING if watcher is None else watcher.span(name, parent, about)


def traceparent() -> str:
    """Return where we are (W3C Trace Context, traceparent), for a row or an argument, or ""."""
    watcher = _watcher.get()
    return "" if watcher is None else watcher.traceparent()


def count(name: Count, amount: int = 1, **labels: str) -> None:
    """Add to a count. Labels take few values: never an id of a record."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.count(name, amount, labels)


def measure(name: Length, seconds: float, **labels: str) -> None:
    """Take a length of time, in seconds."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.measure(name, seconds, labels)


def level(name: Level, value: float, **labels: str) -> None:
    """Set a level."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.level(name, value, labels)


def called(account: str, system: str, status: int, headers: Mapping[str, str]) -> None:
    """Tell of a call of an account; see `Watcher.called`."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.called(account, system, status, headers)
