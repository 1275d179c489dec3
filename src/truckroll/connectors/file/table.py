"""A table as it stands in a file: header, rows with their numbers, and edits of single rows."""

import re
from datetime import date, datetime, time, timedelta
from typing import Literal

import msgspec


class CellError(msgspec.Struct, frozen=True):
    """What a workbook shows instead of a value: `#REF!`. A text of these letters is a text."""

    code: str


Cell = (
    str
    | CellError
    | int
    | float
    | date
    | datetime
    | time
    | timedelta
    | tuple[str, ...]
    | None
    | msgspec.UnsetType
)
Format = Literal["csv", "xlsx", "jsonl", "json"]


class Bounds(msgspec.Struct, frozen=True):
    """Limits on what is read: bytes of the file, rows, characters of a cell, inflated XLSX."""

    file_bytes: int = 64 * 1024 * 1024
    rows: int = 200_000
    cell: int = 100_000
    columns: int = 1_000
    inflate_ratio: int = 200
    inflated_bytes: int = 512 * 1024 * 1024


BOUNDS = Bounds()


class Row(msgspec.Struct, frozen=True):
    """A row: its number as the program that shows the table counts it, and its cells.

    `cells` has one entry per column of the header; a key that a JSON row leaves out is UNSET.
    `fault` says why the row as a whole cannot be read ("" if it can). `span` is its place in
    the decoded text of the file (text formats).
    """

    number: int
    cells: tuple[Cell, ...]
    fault: str = ""
    span: tuple[int, int] = (0, 0)


class Table(msgspec.Struct, frozen=True):
    """A table with what is needed to write it back as it was.

    `text` is the decoded file (text formats), `encoding` and `delimiter` its form. `note` is a
    sentence about a guess in the reading. `sheet` is the sheet's name in a workbook.
    """

    format: Format
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    text: str = ""
    encoding: str = "utf-8"
    delimiter: str = ","
    note: str = ""
    sheet: str = ""


class Replace(msgspec.Struct, frozen=True):
    """Set cells (by column index) of the row at `index` in `Table.rows`."""

    index: int
    cells: dict[int, Cell]


class Append(msgspec.Struct, frozen=True):
    """Add a row with these cells (by column index) after the last one."""

    cells: dict[int, Cell]


class Drop(msgspec.Struct, frozen=True):
    """Take out the row at `index` in `Table.rows`."""

    index: int


Edit = Replace | Append | Drop


class HalfWritten(Exception):  # noqa: N818 -- named by what is the matter, as all errors here
    """The content is no whole table (yet); `args[0]` goes on after the file's name."""


class NotATable(Exception):  # noqa: N818 -- the same
    """The content is no table that can be read; `args[0]` as in HalfWritten."""


class NotWritable(Exception):  # noqa: N818 -- the same
    """The edit cannot be made without loss; `args[0]` as in HalfWritten."""


def text_of(cell: Cell) -> str:
    """Return a cell as one text, numbers without needless decimals, dates in ISO form."""
    if isinstance(cell, str):
        return cell
    if cell is None or cell is msgspec.UNSET:
        return ""
    if isinstance(cell, CellError):
        return cell.code
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="minutes" if not cell.second else "seconds")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, time):
        return cell.isoformat("minutes" if not cell.second else "seconds")
    if isinstance(cell, tuple):
        return "; ".join(cell)
    return str(cell)


_HALF_LETTER = re.compile("[\ud800-\udfff\0]")
UNSTORABLE = "holds a character that no system can store (a zero byte, or half a letter)"


def unstorable(text: str) -> bool:
    """Tell whether a text holds what neither UTF-8 nor a database can: half letters, zero bytes."""
    return _HALF_LETTER.search(text) is not None


def is_blank(cell: Cell) -> bool:
    """Tell whether a cell shows nothing."""
    return not text_of(cell).strip()
