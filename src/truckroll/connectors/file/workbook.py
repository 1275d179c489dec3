"""XLSX workbooks: typed cells of one sheet, read and edited through openpyxl."""

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from openpyxl import load_workbook
from openpyxl.styles.numbers import is_datetime

from truckroll.connectors.file.table import (
    BOUNDS,
    Bounds,
    Cell,
    CellError,
    Drop,
    Edit,
    HalfWritten,
    NotATable,
    NotWritable,
    Replace,
    Row,
    Table,
    is_blank,
)

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

# Parts that openpyxl does not write back (its documentation, "Warning" of the tutorial).
_LOST = {
    "xl/media/": "pictures",
    "xl/charts/": "charts",
    "xl/drawings/drawing": "drawings",
    "xl/vbaProject": "macros",
    "xl/slicers/": "slicers",
    "xl/pivotTables/": "pivot tables",
    "xl/threadedComments/": "conversations",
}
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"


def parse(data: bytes, sheet: str = "", bounds: Bounds = BOUNDS) -> Table:
    """Read one sheet (the first, or the one named); rows have the sheet's own numbers.

    A formula shows the value that the spreadsheet program computed last; one that was never
    computed makes its row unreadable. Raises HalfWritten, NotATable.
    """
    names = _check_archive(data, bounds)
    with _quiet():
        return _parsed(data, names, sheet, bounds)


def _parsed(data: bytes, names: list[str], sheet: str, bounds: Bounds) -> Table:
    book = _load(data, values=True)
    try:
        title = _sheet_name(book.sheetnames, sheet)
        grid = list(_grid(book[title], bounds))
    finally:
        book.close()
    open_formulas = _open_formulas(data, title) if _has_formulas(data, names) else {}
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    for number, cells in grid:
        if not header:
            header = _header(cells)
            continue
        fault = ""
        if number in open_formulas:
            fault = (
                f"has a formula without a value in {open_formulas[number]}; open the workbook in "
                "a spreadsheet program and save it"
            )
        elif any(isinstance(cell, str) and len(cell) > bounds.cell for cell in cells):
            fault = f"has a cell of more than {bounds.cell:,} characters, which is the limit"
        width = len(header)
        rows.append(Row(number, (*cells[:width], *(None,) * (width - len(cells))), fault))
    if not header:
        raise NotATable(f'has no header row in sheet "{title}"')
    return Table("xlsx", header, tuple(rows), sheet=title)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back openpyxl's warnings: what matters of them is told in our own words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_archive(data: bytes, bounds: Bounds) -> list[str]:
    if data.startswith(_OLD_OFFICE):
        raise NotATable("is an old (.xls) or password-protected workbook; save it as plain .xlsx")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise HalfWritten("is not a whole .xlsx workbook") from error
    inflated = sum(part.file_size for part in parts)
    if inflated > bounds.inflated_bytes or inflated > bounds.inflate_ratio * max(len(data), 4096):
        raise NotATable("unpacks to more than the limit and was not read")
    names = [part.filename for part in parts]
    if "[Content_Types].xml" not in names:
        raise NotATable("is a ZIP archive but no workbook")
    return names


def _load(data: bytes, *, values: bool, writing: bool = False) -> Any:
    # Any: openpyxl types a workbook's sheets as a union that its own read-only mode denies.
    try:
        return load_workbook(io.BytesIO(data), read_only=not writing, data_only=values)
    except Exception as error:  # openpyxl raises what its parsers raise: any of a dozen
        raise HalfWritten("is not a whole .xlsx workbook") from error


def _sheet_name(names: list[str], sheet: str) -> str:
    if not sheet:
        return names[0]
    for name in names:
        if name.casefold() == sheet.strip().casefold():
            return name
    raise NotATable(f'has no sheet "{sheet}"; it has: {", ".join(names)}')


def _grid(sheet: Any, bounds: Bounds) -> Iterator[tuple[int, list[Cell]]]:
    """Yield rows that show something, without the empty cells at their end."""
    count = 0
    for number, row in enumerate(_rows(sheet), 1):
        cells = [_cell(cell) for cell in row[: bounds.columns]]
        while cells and is_blank(cells[-1]):
            cells.pop()
        if not cells:
            continue
        count += 1
        if count > bounds.rows:
            raise NotATable(f"has more than {bounds.rows:,} rows, which is the limit")
        yield number, cells


def _rows(sheet: Any) -> Iterator[Any]:
    sheet.reset_dimensions()  # files by other programs understate them
    try:
        yield from sheet.iter_rows()
    except Exception as error:  # the same dozen, while the sheet is streamed
        raise HalfWritten("is not a whole .xlsx workbook") from error


def _cell(cell: Any) -> Cell:
    value = cell.value
    if cell.data_type == "e":
        return CellError(str(value))
    if isinstance(value, datetime):
        value = _rounded(value)
        midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return value.date() if midnight and _dates_only(cell.number_format) else value
    if value is None or isinstance(value, str | int | float | date | time | timedelta):
        return value
    return str(value)


def _rounded(value: datetime) -> datetime:
    """Undo the last digits of a day fraction: spreadsheets store times as floats."""
    return (value + timedelta(microseconds=500_000)).replace(microsecond=0)


def _dates_only(number_format: str) -> bool:
    return is_datetime(number_format) == "date"


def _header(cells: list[Cell]) -> tuple[str, ...]:
    return tuple("" if cell is None else str(cell).strip() for cell in cells)


def _has_formulas(data: bytes, names: list[str]) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = [archive.read(name) for name in names if name.startswith("xl/worksheets/sheet")]
    return any(b"<f>" in sheet or b"<f " in sheet for sheet in sheets)


def _open_formulas(data: bytes, title: str) -> dict[int, str]:
    """Return the cells, by row, that hold a formula and no computed value."""
    formulas, values = _load(data, values=False), _load(data, values=True)
    found: dict[int, str] = {}
    try:
        pairs = zip(_rows(formulas[title]), _rows(values[title]), strict=False)
        for number, (row, shown) in enumerate(pairs, 1):
            for one, other in zip(row, shown, strict=False):
                if one.data_type == "f" and other.value is None:
                    found[number] = f"cell {one.coordinate}"
    finally:
        formulas.close()
        values.close()
    return found


def edit(data: bytes, table: Table, change: Edit) -> bytes:
    """Return the workbook after one edit, with the styles of its cells.

    Raises NotWritable where writing would lose something: pictures, charts, macros and other
    parts that openpyxl does not keep, the computed values of formulas, or ranges that would
    not move with a deleted row.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for prefix, what in _LOST.items():
            if any(name.startswith(prefix) for name in archive.namelist()):
                raise NotWritable(
                    f"holds {what}, which a write would lose; keep the table in a workbook of "
                    "its own"
                )
    with _quiet():
        return _edited(data, table, change)


def _edited(data: bytes, table: Table, change: Edit) -> bytes:
    book = _load(data, values=False, writing=True)
    sheet = book[table.sheet]
    _refuse_formulas(book)
    if isinstance(change, Drop):
        _drop(sheet, table.rows[change.index].number)
    elif isinstance(change, Replace):
        number = table.rows[change.index].number
        for index, cell in change.cells.items():
            _set(sheet, number, index, cell)
    else:
        last = table.rows[-1].number if table.rows else 0
        number = (last or _header_number(sheet)) + 1
        for index, cell in change.cells.items():
            if last:
                sheet.cell(number, index + 1)._style = copy(sheet.cell(last, index + 1)._style)  # noqa: SLF001 -- openpyxl's documented way to copy a style
            _set(sheet, number, index, cell)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _refuse_formulas(book: Any) -> None:
    for sheet in book.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    raise NotWritable(
                        f'has a formula in cell {cell.coordinate} of sheet "{sheet.title}", whose '
                        "value a write would lose; keep the table in a workbook without formulas"
                    )


def _header_number(sheet: "Worksheet") -> int:
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if any(cell is not None and str(cell).strip() for cell in row):
            return number
    return 1


def _drop(sheet: "Worksheet", number: int) -> None:
    if sheet.merged_cells.ranges or sheet.tables or sheet.conditional_formatting:
        raise NotWritable(
            "has merged cells, a formatted table or conditional formats, which would not move "
            "when a row is deleted; delete the row there by hand"
        )
    sheet.delete_rows(number)


def _set(sheet: "Worksheet", number: int, index: int, value: Cell) -> None:
    cell: Any = sheet.cell(number, index + 1)
    kept = cell.number_format
    cell.value = None if value == "" else value
    if isinstance(value, str) and value:
        cell.data_type = "s"  # a text stays a text: openpyxl would make "=…" a formula
    elif kept != "General":
        cell.number_format = kept
    if isinstance(value, datetime) and _dates_only(cell.number_format):
        cell.number_format = "yyyy-mm-dd hh:mm"
