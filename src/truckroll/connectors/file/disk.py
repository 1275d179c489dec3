"""The file on its disk: read whole or not at all, written whole or not at all."""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from truckroll.connectors.file import delimited, jsonrows
from truckroll.connectors.file.table import (
    BOUNDS,
    Bounds,
    Edit,
    HalfWritten,
    NotATable,
    NotWritable,
    Table,
)
from truckroll.kit.errors import GiveUp, HoldRecord, RetryLater

_WORKBOOKS = (".xlsx", ".xlsm")
_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", *_WORKBOOKS)


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was read: its bytes and their digest."""

    data: bytes
    digest: str


def read(path: Path, bounds: Bounds = BOUNDS) -> Content:
    """Return a file's bytes, read while nobody wrote it.

    Raises RetryLater where it is not there, empty, or changed while it was read; GiveUp where
    it cannot be the table. Every sentence names the file and what to do.
    """
    name = path.name
    try:
        before = path.stat()
        _check(before, name, bounds)
        with path.open("rb") as file:
            data = file.read(bounds.file_bytes + 1)
            after = os.fstat(file.fileno())
        now = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RetryLater(
            f"{name} is not there; put it back, or change the account's path to where it is."
        ) from error
    except PermissionError as error:
        raise GiveUp(
            f"{name} may not be read by the account that Truckroll runs under; allow it to read "
            "the file."
        ) from error
    except OSError as error:
        raise RetryLater(f"{name} cannot be read now: {error.strerror}.") from error
    if not data:
        raise RetryLater(
            f"{name} is empty, not even a header: it looks half-written. Nothing was read."
        )
    if _mark(before) != _mark(after) or _mark(after) != _mark(now) or len(data) != after.st_size:
        raise RetryLater(f"{name} was being written while it was read; it is read again later.")
    return Content(data, hashlib.blake2b(data, digest_size=16).hexdigest())


def _check(found: os.stat_result, name: str, bounds: Bounds) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise GiveUp(f"{name} is a folder or device; the account's path must name a file.")
    if found.st_size > bounds.file_bytes:
        limit = bounds.file_bytes // (1024 * 1024)
        raise GiveUp(f"{name} is larger than {limit} MB, which is the limit; split the table.")


def _mark(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def check_suffix(path: Path) -> None:
    """Raise GiveUp where a file's name does not say that it is a table."""
    if path.suffix.lower() not in _SUFFIXES:
        raise GiveUp(
            f"{path.name} does not end in {', '.join(_SUFFIXES)}; save the table in one of these "
            "forms."
        )


def parse(path: Path, content: Content, sheet: str, bounds: Bounds = BOUNDS) -> Table:
    """Return the table in a file; raises RetryLater (half-written) and GiveUp (no table)."""
    try:
        return _parse(path.suffix.lower(), content.data, sheet, bounds)
    except HalfWritten as error:
        raise RetryLater(
            f"{path.name} {error.args[0]}: it looks half-written. Nothing was read from it."
        ) from error
    except NotATable as error:
        raise GiveUp(f"{path.name} {error.args[0]}.") from error


def _parse(suffix: str, data: bytes, sheet: str, bounds: Bounds) -> Table:
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        raise HalfWritten("holds a web page instead of a table")
    if suffix in _WORKBOOKS:
        from truckroll.connectors.file import workbook  # noqa: PLC0415 -- openpyxl loads slowly

        return workbook.parse(data, sheet, bounds)
    if data.startswith(b"PK\x03\x04"):
        raise NotATable("is a workbook, though its name does not say so; name it .xlsx")
    if suffix == ".json":
        return jsonrows.parse(data, lines=not start.startswith(b"["), bounds=bounds)
    if suffix in (".jsonl", ".ndjson"):
        return jsonrows.parse(data, lines=True, bounds=bounds)
    return delimited.parse(data, bounds)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the right to write a file against other writers of this hub.

    Raises RetryLater where a spreadsheet program has the file open: it would not see our write
    and overwrite it. The lock stands beside the file in `.NAME.truckroll`, which also remembers
    what the last own write left behind.
    """
    for theirs in (f"~${path.name}", f".~lock.{path.name}#"):
        if path.with_name(theirs).exists():
            raise RetryLater(
                f"{path.name} is open in a spreadsheet program, which would overwrite what is "
                "written now; close it there."
            )
    with _opening(path):
        lock = os.open(_sidecar(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise HoldRecord(
            f"{path.name} may not be written by the account that Truckroll runs under; allow it "
            "to write the file and its folder."
        ) from error
    except OSError as error:
        raise RetryLater(f"{path.name} cannot be written now: {error.strerror}.") from error


def _sidecar(path: Path) -> Path:
    return path.with_name(f".{path.name}.truckroll")


def write(path: Path, content: Content, table: Table, change: Edit) -> Content:
    """Write a file with one edit, under `locked`, and return what it holds now.

    The old state becomes `NAME.bak` unless it is our own last write: the copy is always what
    somebody else left. The new one replaces the file in one step, with its mode, and is on the
    disk when this returns. Raises RetryLater where the file changed since `content` was read,
    HoldRecord where the edit cannot be made without loss.
    """
    try:
        data = _edited(content.data, table, change)
    except NotWritable as error:
        raise HoldRecord(f"{path.name} {error.args[0]}. Nothing was written.") from error
    target = path.resolve()
    with _opening(path):
        if _sidecar(path).read_text("ascii", "replace") != content.digest:
            _replace(target.with_name(f"{target.name}.bak"), content.data, target)
        if read(path).digest != content.digest:
            raise RetryLater(
                f"{path.name} was changed by somebody else just now; it is read again."
            )
        _replace(target, data, target)
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        _sidecar(path).write_text(digest, "ascii")
    return Content(data, digest)


def _edited(data: bytes, table: Table, change: Edit) -> bytes:
    if table.format == "xlsx":
        from truckroll.connectors.file import workbook  # noqa: PLC0415 -- openpyxl loads slowly

        return workbook.edit(data, table, change)
    if table.format == "csv":
        return delimited.edit(table, change)
    return jsonrows.edit(table, change)


def _replace(target: Path, data: bytes, like: Path) -> None:
    """Put bytes in a file's place: whole on the disk first, then renamed."""
    fresh = target.with_name(f".{target.name}.new")
    kept = like.stat()
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), stat.S_IMODE(kept.st_mode))
            with suppress(PermissionError):  # only the owner or root may give a file away
                os.fchown(file.fileno(), kept.st_uid, kept.st_gid)
            os.fsync(file.fileno())
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
