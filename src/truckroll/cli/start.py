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
    """
    if gc.get_freeze_count():  # a further command of the same process
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def database_begun(args: Namespace) -> Iterator[None]:
    """Let the embedded database of a command's home start while the command is being imported.

    What waits for the disk or the database's start, and what only computes, go side by side.
    """
    from truckroll.app.home import begin_database, home_directory  # noqa: PLC0415 -- --help does without

    # A polite end must not leave the server behind. While a command works, asyncio sees to that.
    before = signal.signal(signal.SIGTERM, _leave)
    args.database = begin_database(home_directory(getattr(args, "home", "")))
    try:
        _import_side_by_side()
        yield
    finally:
        # A second one must not interrupt this: the server would stay behind without a holder.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if args.database is not None:
            args.database.let_go()
        signal.signal(signal.SIGTERM, before)


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def _import_side_by_side() -> None:
    """Import the large libraries: aiohttp reads the machine's certificates without Python's lock.

    That takes OpenSSL as long as the other libraries take to be imported.
    """
    threading.Thread(target=import_module, args=["aiohttp"], name="import aiohttp").start()
    for name in ("psycopg_pool", "cryptography.hazmat.primitives.ciphers.aead"):
        import_module(name)
