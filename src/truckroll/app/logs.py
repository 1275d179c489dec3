"""Logs: one configuration, no secret and no record's content in any line."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from truckroll.kit import watch
from truckroll.kit.secrets import Redactor

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import EventDict, Processor

# The only texts that a line may hold beside what happened: words of ours and names of parts.
PLAIN = frozenset(
    {
        *("event", "level", "logger", "timestamp", "kind", "op", "result", "code", "system"),
        *("account", "recipe", "errand", "run", "role", "signal", "error", "trace", "version"),
    }
)
_LONGEST = 300


def start_logs(
    *, json: bool, level: str = "INFO", out: TextIO | None = None, redactor: Redactor | None = None
) -> Redactor:
    """Send all logs of the process, the libraries' too, to `out` (standard error).

    JSON lines for machines, else lines for people. The ids that are bound (`kit.watch.bound`)
    stand on every line. Returns the redactor, which learns secrets that look like none.
    """
    redactor = redactor or Redactor()
    shared: list[Processor] = [
        _bound_ids,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _told_error,
        plain,
        redactor,
    ]
    renderer = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=(out or sys.stderr).isatty())
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_template, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            pass_foreign_args=True,
        )
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if getattr(one, "truckroll", False)]:
        root.removeHandler(old)
    handler.truckroll = True  # type: ignore[attr-defined] # marks ours for the next call
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    # A database that is away is told once, by what needed it, and not by each try to reach it.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.getLogger("truckroll").setLevel(level)
    return redactor


def log(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger: `log(__name__).info("read done", records=12)`. Ids and counts only."""
    found: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return found


def plain(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Let numbers, instants and our own words through; of any other text only how long it is."""
    return {name: _plain(name, value) for name, value in event.items()}


def _plain(name: str, value: Any) -> Any:
    if name.startswith("_") or value is None or isinstance(value, bool | int | float | datetime):
        return value
    if name in PLAIN and isinstance(value, str):
        return value if name == "trace" else value[:_LONGEST]
    if isinstance(value, str | bytes):
        return f"[{len(value)} characters]"
    if isinstance(value, list | tuple | set | frozenset | dict):
        return f"[{len(value)} items]"
    return f"[{type(value).__name__}]"


def _bound_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    return {**watch.ids(), **event}


def _told_error(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Put an exception's kind and the places it went through on the line, without its words.

    Words of databases and systems quote what a record holds.
    """
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["error"] = type(error).__name__
        event["trace"] = " < ".join(f"{_short(one.filename)}:{one.lineno}" for one in frames[::-1])
    return dict(event)


def _short(path: str) -> str:
    return "/".join(path.rsplit("/", 3)[1:])


def _template(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Keep of a line what it always says, and of what it says this time the numbers."""
    record = event.get("_record")
    args = event.pop("positional_args", ())
    if isinstance(record, logging.LogRecord):
        event["event"] = str(record.msg)
        # A number of a kind of its own does not come through, and its format is for numbers alone.
        with contextlib.suppress(TypeError):
            if isinstance(args, tuple):
                event["event"] %= tuple(_plain("", one) for one in args)
        if record.exc_info:
            event["exc_info"] = record.exc_info
    return dict(event)
