"""Reading a table: every row under its key, in pages, and single rows by key."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from truckroll.connectors.file import disk
from truckroll.connectors.file.table import Row
from truckroll.connectors.file.wire import Reading, reading, row_item, row_key, row_version
from truckroll.kit.contract import Item, Missing, Page, Scope, Session, Unreadable
from truckroll.kit.errors import GiveUp

_PAGE = 500


class _Line(msgspec.Struct, frozen=True):
    """A row under its id; `refused` says why it stands for no record."""

    id: str
    row: Row
    version: str
    refused: str = ""


def path_of(session: Session) -> Path:
    """Return the path of the account's file; raises GiveUp where it names none."""
    text = session.settings.get("path", "").strip()
    if not text:
        raise GiveUp(f'The account "{session.account}" names no file; set its path.')
    path = Path(text).expanduser()
    disk.check_suffix(path)
    return path


def reading_of(session: Session, path: Path, content: disk.Content) -> Reading:
    """Return a file's content as rows under the account's settings."""
    table = disk.parse(path, content, session.settings.get("sheet", ""))
    return reading(table, session.settings, session.zone, path.name)


def open_table(session: Session) -> Reading:
    """Return the account's table as it stands in its file."""
    path = path_of(session)
    return reading_of(session, path, disk.read(path))


async def listing(
    session: Session,
    scope: Scope,  # noqa: ARG001 -- an account is one table
    cursor: str | None,
) -> AsyncIterator[Page]:
    """Read the whole table in pages of 500 rows, unless neither file nor settings changed.

    The cursor is a digest of both. The last page is complete, unless a row cannot be told from
    others (no key, no whole row): then no row that is missing counts as gone.
    """
    path = path_of(session)
    content = await asyncio.to_thread(disk.read, path)
    here = _cursor(session, content)
    if cursor == here:
        yield Page((), cursor=here, last=True)
        return
    how = await asyncio.to_thread(reading_of, session, path, content)
    lines = await _lines(session, how)
    complete = all(row_key(how, line.row) for line in lines)
    for start in range(0, len(lines), _PAGE):
        chunk = lines[start : start + _PAGE]
        held = await _held(session, [line.id for line in chunk if not line.refused])
        unchanged = tuple(line.id for line in chunk if held.get(line.id) == line.version)
        skipped = frozenset(unchanged)
        items = tuple(_item(how, line) for line in chunk if line.id not in skipped)
        last = start + _PAGE >= len(lines)
        yield Page(items, here if last else None, last, complete and last, unchanged)
    if not lines:
        yield Page((), cursor=here, last=True, complete=True)


def _cursor(session: Session, content: disk.Content) -> str:
    names = ("sheet", "columns", "key", "zone", "dates", "minutes", "last_day")
    told = [session.zone, *(session.settings.get(name, "") for name in names)]
    settings = hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest()
    return f"1:{content.digest}:{settings}"


async def _held(session: Session, ids: list[str]) -> Mapping[str, str | None]:
    return await session.known.versions(ids) if session.known is not None and ids else {}


async def _lines(session: Session, how: Reading) -> list[_Line]:
    """Give every row its id.

    Of rows with one key, the one that the hub knows stands for it, else the first; the others
    are refused with both numbers.
    """
    versions = [row_version(how, row) for row in how.table.rows]
    by_key: dict[str, list[int]] = {}
    for index, row in enumerate(how.table.rows):
        by_key.setdefault(row_key(how, row), []).append(index)
    twins = {key: group for key, group in by_key.items() if key and len(group) > 1}
    held = await _held(session, list(twins)) if twins else {}
    kept = {
        key: next((index for index in group if held.get(key) == versions[index]), group[0])
        for key, group in twins.items()
    }
    return [
        _line(how, row, version, kept, index)
        for index, (row, version) in enumerate(zip(how.table.rows, versions, strict=True))
    ]


def _line(how: Reading, row: Row, version: str, kept: Mapping[str, int], index: int) -> _Line:
    key, place = row_key(how, row), f"{how.file}, row {row.number}"
    column = how.sources["key"].label
    if not key:
        why = row.fault or f"has no key in column {column}; give it one"
        reason = f"{place}: the row {why}. Until then no missing row counts as deleted."
        return _Line(f"row {row.number}", row, version, reason)
    other = kept.get(key, index)
    if other != index:
        first = how.table.rows[other].number
        reason = (
            f"{place}, column {column}: '{key}' stands in row {first} too, which is the one that "
            "counts; give one of the two rows another key."
        )
        return _Line(f"{key} (row {row.number})", row, version, reason)
    return _Line(key, row, version)


def _item(how: Reading, line: _Line) -> Item:
    if line.refused:
        return Unreadable(line.id, line.refused, version=line.version)
    return row_item(how, line.row, line.id, line.version)


async def read(session: Session, _: Scope, id_: str) -> Item:
    """Return one row as it is now.

    Missing only where no unreadable row could be it: then Unreadable.
    """
    how = await asyncio.to_thread(open_table, session)
    lines = await _lines(session, how)
    for line in lines:
        if line.id == id_:
            return _item(how, line)
    hidden = next((line for line in lines if not row_key(how, line.row)), None)
    if hidden is not None:
        reason = f"No row has the key {id_}, but a row without key may be it: {hidden.refused}"
        return Unreadable(id_, reason)
    return Missing(id_)
