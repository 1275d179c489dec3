"""What begins before a command is imported, so that nothing waits that need not wait."""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

TERMINATED = 143


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Keep the garbage collector out while modules are imported: they stay as long as we do.

    Else a tenth of the time of a pass without changes goes into looking at them again and again.
    Signals that end us wait as well.
    """
    if gc.get_freeze_count():  # a further command of the same process
        yield
        return
    gc.disable()
    try:
        with _signals_noted():
            yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _signals_noted() -> Iterator[None]:
    """Let the signals that end a command wait for the end of this context.

    An exception that a handler raises inside Python's import machinery can leave its lock taken,
    and then no thread ever imports anything again.
    """
    noted: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _frame: noted.append(got))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for got in noted:
        signal.raise_signal(got)


@contextlib.contextmanager
def polite_end() -> Iterator[None]:
    """Let SIGTERM end a command as an exception does, so that it closes what it opened.

    While a command's coroutine works, asyncio sees to that.
    """
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def database_begun(args: Namespace) -> Iterator[None]:
    """Let the embedded database of a command's home start while the command is being imported.

    What waits for the disk or the database's start, and what only computes, go side by side.
    """
    from truckroll.app.bootstrap import begin_database  # noqa: PLC0415 -- it imports the store, which --help and a slip do without

    args.database = begin_database(getattr(args, "home", ""))
    try:
        _import_side_by_side()
        yield
    finally:
        # A further signal must not interrupt this: the server would stay behind without a holder.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if args.database is not None:
            args.database.let_go()


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def _import_side_by_side() -> None:
    """Import the large libraries: aiohttp reads the machine's certificates without Python's lock.

    That takes OpenSSL as long as the other libraries take to be imported.
    """
    threading.Thread(target=import_module, args=["aiohttp"], name="import aiohttp").start()
    for name in ("psycopg_pool", "cryptography.hazmat.primitives.ciphers.aead"):
        import_module(name)
