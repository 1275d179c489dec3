"""Writing into a table: rows appended, cells rewritten, rows deleted; conditional on the row."""

import asyncio
from collections.abc import Callable

from truckroll.connectors.file import disk
from truckroll.connectors.file.cells import Cells, cancelled_word
from truckroll.connectors.file.listing import path_of, reading_of
from truckroll.connectors.file.table import Append, Drop, Edit, Replace
from truckroll.connectors.file.wire import Reading, row_item, row_key, row_version
from truckroll.kit.contract import Change, Draft, Removal, Reply, Scope, Seen, Session
from truckroll.kit.errors import Gone, HoldRecord, Replan
from truckroll.kit.normal import explains
from truckroll.model.records import Fields

_Decide = Callable[[Reading], Edit | None]


def _apply(session: Session, decide: _Decide) -> Reading:
    """Make one edit under the lock and return the table as it is then."""
    path = path_of(session)
    with disk.locked(path):
        content = disk.read(path)
        how = reading_of(session, path, content)
        change = decide(how)
        if change is None:
            return how
        return reading_of(session, path, disk.write(path, content, how.table, change))


def _find(how: Reading, id_: str, who: str) -> int | None:
    found = [index for index, row in enumerate(how.table.rows) if row_key(how, row) == id_]
    if len(found) > 1:
        numbers = " and ".join(str(how.table.rows[index].number) for index in found[:2])
        raise HoldRecord(
            f"{who} was not written to {how.file}: rows {numbers} have the same key '{id_}'; give "
            "one of them another key."
        )
    return found[0] if found else None


def _expect(how: Reading, id_: str, version: str | None, who: str) -> int:
    """Return the index of a row that is as it was when it was read."""
    index = _find(how, id_, who)
    if index is None:
        raise Gone(f"{who} is not in {how.file} any more: no row has the key '{id_}'.")
    row = how.table.rows[index]
    if version is not None and row_version(how, row) != version:
        raise Replan(
            f"{who} was changed in {how.file}, row {row.number}, since it was read; it is read "
            "again before anything is written."
        )
    return index


def _reply(how: Reading, id_: str, who: str) -> Reply:
    index = _find(how, id_, who)
    if index is None:
        return Reply(id_)
    row = how.table.rows[index]
    item = row_item(how, row, id_, row_version(how, row))
    return Reply(id_, item if isinstance(item, Seen) else None)


def _who(id_: str, fields: Fields) -> str:
    number, title = fields.get("number"), fields.get("title")
    return f"Visit {number or id_}" + (f' "{title}"' if title else "")


async def create(session: Session, _: Scope, draft: Draft) -> Reply:
    """Append a row whose key is `draft.id`, or find it done by an earlier try.

    A row with that key is ours if it carries the mark, or shows just what would be written; any
    other raises HoldRecord.
    """
    who = _who(draft.id, draft.fields)

    def decide(how: Reading) -> Edit | None:
        taken = _find(how, draft.id, who)
        if taken is not None:
            _expect_ours(how, taken, draft, who)
            return None
        if not how.sources:
            raise HoldRecord(
                f"{who} was not written to {how.file}: the table has no row yet, so nobody knows "
                "its columns; put in a first row by hand."
            )
        if draft.fields.get("when") is None:
            raise HoldRecord(f"{who} was not written to {how.file}: it has no time.")
        cells = Cells(how, None, who)
        cells.fill(draft.fields, draft.fields)
        cells.text("key", draft.id)
        if "mark" in how.sources:
            cells.text("mark", draft.mark)
        return Append(cells.set)

    return _reply(await asyncio.to_thread(_apply, session, decide), draft.id, who)


def _expect_ours(how: Reading, index: int, draft: Draft, who: str) -> None:
    row = how.table.rows[index]
    item = row_item(how, row, draft.id, row_version(how, row))
    if isinstance(item, Seen):
        if item.mark is not None and item.mark == draft.mark:
            return
        shown = {name: value for name, value in item.fields.items() if name in draft.fields}
        shown.pop("number", None)
        if all(explains(draft.fields[name], value) for name, value in shown.items()):
            return
    raise HoldRecord(
        f"{who} was not written to {how.file}: row {row.number} has the key '{draft.id}' "
        "already and shows something else; give that row another key."
    )


async def update(session: Session, _: Scope, change: Change) -> Reply:
    """Rewrite the cells of the changed fields; raises Replan, Gone, HoldRecord."""
    who = _who(change.id, change.whole)

    def decide(how: Reading) -> Edit | None:
        index = _expect(how, change.id, change.version, who)
        cells = Cells(how, how.table.rows[index], who)
        cells.fill(change.fields, change.whole)
        return Replace(index, cells.set) if cells.set else None

    return _reply(await asyncio.to_thread(_apply, session, decide), change.id, who)


async def cancel(session: Session, _: Scope, change: Change) -> Reply:
    """Set the status to the recipe's word, or to the column's own word for cancelled."""
    who = _who(change.id, change.whole)

    def decide(how: Reading) -> Edit | None:
        index = _expect(how, change.id, change.version, who)
        cells = Cells(how, how.table.rows[index], who)
        if "status" not in how.sources:
            raise HoldRecord(
                f"{who} was not cancelled in {how.file}: the table has no status column; add one, "
                "or let cancelled visits be removed."
            )
        cells.fill({"status": cancelled_word(how), **change.fields}, change.whole)
        return Replace(index, cells.set) if cells.set else None

    return _reply(await asyncio.to_thread(_apply, session, decide), change.id, who)


async def remove(session: Session, _: Scope, removal: Removal) -> None:
    """Delete the row; one that is gone already is fine. Raises Replan, HoldRecord."""
    who = _who(removal.id, {})

    def decide(how: Reading) -> Edit | None:
        if _find(how, removal.id, who) is None:
            return None
        return Drop(_expect(how, removal.id, removal.version, who))

    await asyncio.to_thread(_apply, session, decide)
