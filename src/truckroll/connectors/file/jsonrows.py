"""JSON lines and JSON arrays of objects: read with the place of every row, and edited there."""

import json
from collections.abc import Iterator
from typing import Any

from msgspec import UNSET

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
    Replace,
    Row,
    Table,
    is_blank,
    text_of,
    unstorable,
)

_SPACE = " \t\r\n"
_DEPTH = 20


def parse(data: bytes, *, lines: bool, bounds: Bounds = BOUNDS) -> Table:
    """Read JSON lines, or an array of objects; rows are numbered by line, or by place in it.

    An object inside a row gives columns with dotted names (`customer.name`). A key that a row
    leaves out is UNSET there, `null` is None; an object that shows nothing is no row. Raises
    HalfWritten where the end is cut.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HalfWritten("is not UTF-8, as JSON must be, or ends in a character") from error
    found = list(_lines(text, bounds) if lines else _elements(text, bounds))
    header: dict[str, int] = {}
    for _, flat, _, _ in found:
        for name in flat:
            header.setdefault(name, len(header))
    if len(header) > bounds.columns:
        raise NotATable(f"has more than {bounds.columns:,} different keys, which is the limit")
    rows = tuple(
        Row(number, tuple(flat.get(name, UNSET) for name in header), fault, span)
        for number, flat, fault, span in found
        if fault or not all(map(is_blank, flat.values()))
    )
    encoding = "utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8"
    return Table("jsonl" if lines else "json", tuple(header), rows, text, encoding)


_Found = tuple[int, dict[str, Cell], str, tuple[int, int]]


def _lines(text: str, bounds: Bounds) -> Iterator[_Found]:
    at = 0
    pieces = text.split("\n")
    for number, line in enumerate(pieces, 1):
        span, at = (at, at + len(line)), at + len(line) + 1
        if not line.strip():
            continue
        if number > bounds.rows:
            raise NotATable(f"has more than {bounds.rows:,} rows, which is the limit")
        try:
            flat, fault = _flat(json.loads(line)), ""
        except (ValueError, RecursionError) as error:
            if number == len(pieces):
                raise HalfWritten(f"ends in the middle of row {number}") from error
            flat, fault = {}, "is not a JSON object; each line must be one, in {braces}"
        yield number, *_bounded(flat, fault, bounds), span


def _elements(text: str, bounds: Bounds) -> Iterator[_Found]:
    decoder, number = json.JSONDecoder(), 0
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise NotATable("is not a JSON array of objects ([{…}, {…}])")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        number += 1
        if number > bounds.rows:
            raise NotATable(f"has more than {bounds.rows:,} rows, which is the limit")
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise HalfWritten(f"cannot be read as JSON from row {number} on") from error
        try:
            flat, fault = _flat(value), ""
        except ValueError:
            flat, fault = {}, "is not a JSON object in {braces}"
        yield number, *_bounded(flat, fault, bounds), (at, end)
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            raise HalfWritten(f"ends after row {number} without the closing bracket")


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


def _flat(value: Any, prefix: str = "", depth: int = 0) -> dict[str, Cell]:
    if not isinstance(value, dict) or depth > _DEPTH:
        raise ValueError("not an object")
    flat: dict[str, Cell] = {}
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            flat |= _flat(inner, f"{prefix}{key}.", depth + 1)
        else:
            flat[prefix + key] = _cell(inner)
    return flat


def _cell(value: Any) -> Cell:
    if isinstance(value, list):
        plain = all(isinstance(one, str | int | float) for one in value)
        return tuple(str(one) for one in value) if plain else json.dumps(value)
    return "" if value == {} else value


def _bounded(flat: dict[str, Cell], fault: str, bounds: Bounds) -> tuple[dict[str, Cell], str]:
    """Return a row's cells and what is the matter with it as a whole."""
    texts = [text_of(cell) for cell in flat.values()]
    if any(map(unstorable, texts)) or any(map(unstorable, flat)):
        return {}, UNSTORABLE
    if any(len(text) > bounds.cell for text in texts):
        return flat, f"has a value of more than {bounds.cell:,} characters, which is the limit"
    return flat, fault


def edit(table: Table, change: Edit) -> bytes:
    """Return the file's bytes after one edit; every other row stays as it is."""
    text = table.text
    if isinstance(change, Append):
        return _appended(table, change).encode(table.encoding)
    start, end = table.rows[change.index].span
    if isinstance(change, Drop):
        start, end = _with_separator(table, change.index)
        return (text[:start] + text[end:]).encode(table.encoding)
    row = text[start:end]
    return (text[:start] + _replaced(row, change, table) + text[end:]).encode(table.encoding)


def _replaced(row: str, change: Replace, table: Table) -> str:
    value = json.loads(row)
    for index, cell in change.cells.items():
        _put(value, table.header[index], cell)
    return _dump(value, row) + ("\r" if row.endswith("\r") else "")


def _put(value: dict[str, Any], name: str, cell: Cell) -> None:
    """Set a value under its dotted name, in the objects that are there."""
    while name not in value and "." in name:
        outer, _, rest = name.partition(".")
        if not isinstance(value.get(outer), dict):
            break
        value, name = value[outer], rest
    value[name] = list(cell) if isinstance(cell, tuple) else _plain(cell)


def _plain(cell: Cell) -> str | int | float | None:
    return cell if cell is None or isinstance(cell, str | int | float) else text_of(cell)


def _dump(value: dict[str, Any], like: str) -> str:
    """Return an object as JSON in the layout of another one's text."""
    if "\n" in like.strip():
        lines = like.splitlines()
        outer = len(lines[-1]) - len(lines[-1].lstrip())
        inner = len(lines[1]) - len(lines[1].lstrip())
        text = json.dumps(value, ensure_ascii=False, indent=max(inner - outer, 1))
        return text.replace("\n", "\n" + " " * outer)
    tight = '":"' in like and '": "' not in like
    return json.dumps(value, ensure_ascii=False, separators=(",", ":") if tight else None)


def _appended(table: Table, change: Append) -> str:
    like = ""
    if table.rows:
        start, end = table.rows[-1].span
        like = table.text[start:end]
    value: dict[str, Any] = {}
    for index, cell in change.cells.items():
        _put(value, table.header[index], cell)
    row = _dump(value, like)
    if table.format == "jsonl":
        ending = "\r\n" if like.endswith("\r") else "\n"
        gap = "" if not table.text or table.text.endswith("\n") else ending
        return table.text + gap + row + ending
    end = len(table.text[: table.text.rindex("]")].rstrip(_SPACE))
    first = table.text[table.text.index("[") + 1 :]
    space = first[: len(first) - len(first.lstrip(_SPACE))] or " "
    comma = "" if table.text[end - 1] == "[" else ","
    return table.text[:end] + comma + (space if comma else "") + row + table.text[end:]


def _with_separator(table: Table, index: int) -> tuple[int, int]:
    """Return the span to cut so that the rows around stay a table."""
    start, end = table.rows[index].span
    if table.format == "jsonl":
        return start, min(end + 1, len(table.text))
    after = _skip(table.text, end)
    if table.text[after] == ",":
        return start, _skip(table.text, after + 1)
    before = table.text[:start].rstrip(_SPACE)
    return len(before) - before.endswith(","), end
