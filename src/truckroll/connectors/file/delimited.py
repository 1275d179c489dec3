"""CSV: read with the place of every row, and edited so that all else stays byte for byte."""

import codecs
import csv
import io
import re
from collections.abc import Iterator

from truckroll.connectors.file.table import (
    BOUNDS,
    UNSTORABLE,
    Append,
    Bounds,
    Cell,
    Drop,
    Edit,
    HalfWritten,
    NotATable,
    NotWritable,
    Replace,
    Row,
    Table,
    text_of,
    unstorable,
)

_BOM = "\ufeff"
_DELIMITERS = ",;\t|"
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)


def decode(data: bytes) -> tuple[str, str, str]:
    """Return text, encoding and a note about a guess; the byte order mark stays in the text.

    UTF-8 and UTF-16 with or without mark; what is neither is read as Windows-1252, which is
    what spreadsheets write where they do not write UTF-8.
    """
    if data.startswith(codecs.BOM_UTF16_LE) or data[1:64:2].count(0) > len(data[:64]) // 4:
        return _utf16(data, "utf-16-le")
    if data.startswith(codecs.BOM_UTF16_BE) or data[0:64:2].count(0) > len(data[:64]) // 4:
        return _utf16(data, "utf-16-be")
    try:
        return data.decode("utf-8"), "utf-8", ""
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.end >= len(data):
            raise HalfWritten("ends in the middle of a character") from error
    try:
        note = "the file is not UTF-8 and was read as Windows-1252; save it as UTF-8 to be sure"
        return data.decode("cp1252"), "cp1252", note
    except UnicodeDecodeError as error:
        raise NotATable("is neither UTF-8, UTF-16 nor Windows-1252; save it as UTF-8") from error


def _utf16(data: bytes, encoding: str) -> tuple[str, str, str]:
    try:
        return data.decode(encoding), encoding, ""
    except UnicodeDecodeError as error:
        raise HalfWritten("ends in the middle of a character") from error


def parse(data: bytes, bounds: Bounds = BOUNDS) -> Table:
    """Read a CSV file; the delimiter (comma, semicolon, tab, bar) is that of the header.

    Rows are numbered as a spreadsheet numbers them: records, blank ones counted, header first.
    Raises HalfWritten where the last record is cut, NotATable where it is no table.
    """
    text, encoding, note = decode(data)
    start = len(_BOM) if text.startswith(_BOM) else 0
    stated = _SEP_LINE.match(text, start)
    if stated:
        start = stated.end()
    delimiter = stated[1] if stated else _sniff(text, start)
    records = _records(text, start, delimiter)
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    span = (start, start)
    for number, (cells, span) in enumerate(records, 1):
        if not any(map(str.strip, cells)):
            continue
        if not header:
            header = tuple(cell.strip() for cell in cells)
            _check_header(header, bounds)
            continue
        if len(rows) >= bounds.rows:
            raise NotATable(f"has more than {bounds.rows:,} rows, which is the limit")
        rows.append(_row(number, cells, span, len(header), bounds))
    if not header:
        raise HalfWritten("has no header row")
    _check_end(text[span[0] :], delimiter, len(header))
    return Table("csv", header, tuple(rows), text, encoding, delimiter, note)


def _records(text: str, start: int, delimiter: str) -> Iterator[tuple[list[str], tuple[int, int]]]:
    position = start

    def lines() -> Iterator[str]:
        nonlocal position
        for line in io.StringIO(text[start:], newline=""):
            position += len(line)
            yield line

    began, number = start, 0
    reader = csv.reader(lines(), delimiter=delimiter)
    try:
        for number, cells in enumerate(reader, 1):  # noqa: B007 -- the error below names it
            yield cells, (began, position)
            began = position
    except csv.Error as error:
        raise NotATable(
            f"cannot be read after row {number}: a cell there never ends; look for a quotation "
            'mark (") that is not closed'
        ) from error


def _sniff(text: str, start: int) -> str:
    end = text.find("\n", start)
    line = re.sub(r'"[^"]*"', "", text[start : end if end >= 0 else len(text)])
    return max(_DELIMITERS, key=line.count)


def _check_header(header: tuple[str, ...], bounds: Bounds) -> None:
    if len(header) > bounds.columns:
        raise NotATable(f"has more than {bounds.columns:,} columns, which is the limit")


def _row(number: int, cells: list[str], span: tuple[int, int], width: int, bounds: Bounds) -> Row:
    fault = ""
    if len(cells) > width and any(map(str.strip, cells[width:])):
        fault = (
            f"has {len(cells)} cells and the header {width}; put text that holds the separator "
            "into quotation marks"
        )
        # Its cells may stand under the wrong header: they are not shown at all.
        return Row(number, (), fault, span)
    if unstorable("".join(cells)):
        return Row(number, (), UNSTORABLE, span)
    if max(map(len, cells)) > bounds.cell:
        fault = f"has a cell of more than {bounds.cell:,} characters, which is the limit"
    padded = (*cells[:width], *("",) * (width - len(cells)))
    return Row(number, padded, fault, span)


def _check_end(raw: str, delimiter: str, width: int) -> None:
    """Refuse a last record that is surely or probably cut off."""
    tokens = _tokens(raw, delimiter)
    if tokens is None:
        raise HalfWritten('ends inside a cell: a quotation mark (") is not closed')
    if len(tokens) < width and not raw.endswith(("\n", "\r")):
        raise HalfWritten(
            f"ends after {len(tokens)} of {width} cells; if that is the whole table, end its last "
            "line with a line break"
        )


def _tokens(raw: str, delimiter: str) -> list[str] | None:
    """Split a record into the raw texts of its cells; None where a quoted cell never ends."""
    body = raw.rstrip("\r\n")
    tokens, at = [], 0
    while True:
        end = at
        if body.startswith('"', at):
            end = at + 1
            while True:
                end = body.find('"', end)
                if end < 0:
                    return None
                if not body.startswith('"', end + 1):
                    break
                end += 2
        end = body.find(delimiter, end)
        if end < 0:
            tokens.append(body[at:])
            return tokens
        tokens.append(body[at:end])
        at = end + len(delimiter)


def edit(table: Table, change: Edit) -> bytes:
    """Return the file's bytes after one edit; every other character stays as it is.

    Raises NotWritable where the file's encoding cannot hold a text.
    """
    text = table.text
    if isinstance(change, Drop):
        start, end = table.rows[change.index].span
        return _encode(text[:start] + text[end:], table.encoding)
    if isinstance(change, Replace):
        start, end = table.rows[change.index].span
        return _encode(
            text[:start] + _replaced(text[start:end], change.cells, table) + text[end:],
            table.encoding,
        )
    return _encode(_appended(table, change), table.encoding)


def _replaced(raw: str, cells: dict[int, Cell], table: Table) -> str:
    tokens = _tokens(raw, table.delimiter) or []
    ending = raw[len(raw.rstrip("\r\n")) :]
    missing = max(cells, default=0) + 1 - len(tokens)
    tokens.extend([""] * missing)
    for index, cell in cells.items():
        tokens[index] = _token(cell, table.delimiter, quoted=tokens[index].startswith('"'))
    return table.delimiter.join(tokens) + ending


def _appended(table: Table, change: Append) -> str:
    first = next(iter(io.StringIO(table.text, newline="")))
    ending = first[len(first.rstrip("\r\n")) :] or "\r\n"
    quoted = all(
        token.startswith('"') for token in _tokens(first.lstrip(_BOM), table.delimiter) or [""]
    )
    row = table.delimiter.join(
        _token(change.cells.get(index), table.delimiter, quoted=quoted)
        for index in range(len(table.header))
    )
    gap = "" if table.text.endswith(("\n", "\r")) else ending
    return table.text + gap + row + ending


def _token(cell: Cell, delimiter: str, *, quoted: bool) -> str:
    text = text_of(cell)
    if quoted or any(mark in text for mark in (delimiter, '"', "\n", "\r")):
        return '"' + text.replace('"', '""') + '"'
    return text


def _encode(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        lost = text[error.start : error.start + 1]
        raise NotWritable(
            f'is kept in Windows-1252, which has no "{lost}"; save it as UTF-8'
        ) from error


# A cell that begins so is run as a formula by spreadsheets that open a CSV file (OWASP, "CSV
# Injection"). Plain signed numbers and telephone numbers hold nothing that could be run.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_HARMLESS = re.compile(r"[+-][\d\s().,/-]*\Z")


def guard(text: str) -> str:
    """Return a text so that no spreadsheet runs it: `'` before what begins like a formula."""
    if _FORMULA.match(text) and not _HARMLESS.match(text):
        return "'" + text
    return text


def unguard(text: str) -> str:
    """Return what `guard` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
