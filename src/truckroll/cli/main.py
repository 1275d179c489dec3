"""The entry point: parse, run, and turn every trouble into a sentence and an exit code.

Exit codes: 0 fine, 1 something is held or failed, 2 the call itself was off, 3 a brake stopped
the run, 130 and 143 ended by a signal.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truckroll.cli.parser import make_parser
from truckroll.cli.screen import Screen, complain
from truckroll.cli.start import TERMINATED, database_begun, polite_end, quick_imports

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Coroutine, Sequence

FAILED = 1
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `argv` is without the programme's name."""
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # text streams have it
    words = sys.argv[1:] if argv is None else argv
    try:
        args = make_parser(*words[:1]).parse_args(words)
    except SystemExit as leave:
        return int(leave.code or 0)
    try:
        return _run(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left; nobody is to be told.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 -- it lives as long as the process
        return FAILED


def _run(args: Namespace) -> int:
    json = getattr(args, "json", False)
    module, name = args.run.split(":")
    try:
        with polite_end(), contextlib.ExitStack() as stack:
            with quick_imports():
                if args.needs_database:
                    stack.enter_context(database_begun(args))
                command = getattr(import_module(f"truckroll.cli.{module}"), name)
            result = command(args, Screen(json=json))
            return _wait(result, args) if inspect.iscoroutine(result) else int(result)
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 -- people get a sentence, the log the rest
        return _trouble(error, args, json=json)


def _wait(result: Coroutine[Any, Any, int], args: Namespace) -> int:
    """Run a command's coroutine; a polite end (SIGTERM) lets it close its database."""
    import asyncio  # noqa: PLC0415 -- --help does without
    import signal  # noqa: PLC0415 -- the same

    _keep_logs(args)

    async def run() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await result

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        return TERMINATED


def _keep_logs(args: Namespace) -> None:
    """Send what libraries log to the home's log file: it is not for the screen."""
    import logging  # noqa: PLC0415 -- --help does without

    root = logging.getLogger()
    log = _log(args)
    if log is not None and not root.handlers:
        handler = logging.FileHandler(log, delay=True, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        root.addHandler(handler)
        root.setLevel(logging.WARNING)
    elif not root.handlers:
        root.addHandler(logging.NullHandler())


def _log(args: Namespace) -> Path | None:
    from truckroll.app.home import home_directory, is_home  # noqa: PLC0415 -- --help does without

    home = home_directory(getattr(args, "home", ""))
    return home / "truckroll.log" if is_home(home) else None


def _trouble(error: Exception, args: Namespace, *, json: bool) -> int:
    from truckroll.app.trouble import TroubleError  # noqa: PLC0415 -- --help does without
    from truckroll.kit.errors import VendorError  # noqa: PLC0415 -- the same
    from truckroll.store.trouble import DatabaseTrouble, says_of  # noqa: PLC0415 -- the same

    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, TroubleError):
        complain(error.says, json=json)
        return 2 if error.usage else FAILED
    if isinstance(error, DatabaseTrouble | VendorError):
        complain(error.says, json=json)
        return FAILED
    complain(says_of(error) or _unexpected(error, args), json=json)
    return FAILED


def _unexpected(error: Exception, args: Namespace) -> str:
    """Keep what nobody foresaw in the log, without secrets, and return a sentence about it."""
    import traceback  # noqa: PLC0415 -- rarely needed
    from datetime import UTC, datetime  # noqa: PLC0415 -- the same

    from truckroll.kit.secrets import redact  # noqa: PLC0415 -- the same

    says = "Truckroll stopped at something that it did not expect. What was written stays written."
    log = _log(args)
    if log is None:
        return f"{says} ({redact(str(error)) or type(error).__name__})"
    text = redact("".join(traceback.format_exception(error)))
    try:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat()} {text}\n")
    except OSError:
        return f"{says} The details could not be kept: {log} cannot be written."
    return f"{says} The details are in {log}; please report them."
