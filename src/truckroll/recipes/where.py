"""Where things stand in a TOML file: the line of every key, table and list entry.

`tomllib` keeps no positions, and the libraries that do are small forks of an older one of it.
So the file is cut into statements with tomllib itself: a statement is the shortest run of
lines that it can read. What it says about a file is thus never at odds with what it reads.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec

from truckroll.recipes.schema import Slip

Path = tuple[str | int, ...]

MAX_BYTES = 64 * 1024
MAX_STATEMENT_LINES = 200
MAX_SYNTAX_SLIPS = 20

_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_BARE = re.compile(r"^\s*[\w.\"'-]+\s*=\s*([A-Za-z_][\w -]*?)\s*(?:#.*)?$")


class Places(msgspec.Struct, frozen=True):
    """The line of each path of a file."""

    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of a path, or of the nearest thing around it that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str) -> tuple[dict[str, Any], Places, list[Slip]]:
    """Return a TOML text as data, its places, and what cannot be read in it.

    A key's line that cannot be read is passed over, so that one look shows all slips. After a
    slip that decides what the rest means (a heading, an open quote), the data is empty.
    """
    if len(text.encode()) > MAX_BYTES:
        return {}, Places({}), [Slip(1, f"the recipe is longer than {MAX_BYTES // 1024} KB")]
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    slips: list[Slip] = []
    while len(slips) < MAX_SYNTAX_SLIPS:
        try:
            data = tomllib.loads("\n".join(lines))
        except tomllib.TOMLDecodeError as error:
            number, slip = _syntax_slip(str(error), lines)
            slips.append(slip)
            if not number or lines[number - 1].lstrip().startswith("["):
                break
            lines[number - 1] = ""
            continue
        places, long = _places(lines)
        return (data, places, slips + long) if not long else ({}, places, slips + long)
    return {}, Places({}), slips


def _syntax_slip(message: str, lines: list[str]) -> tuple[int, Slip]:
    """Return the line to pass over (0: there is no going on) and the slip."""
    found = _AT.search(message)
    number = int(found[1]) if found and found[1] else 0
    number = min(number, len(lines))
    what = _AT.sub("", message)
    content = lines[number - 1] if number else ""
    if not content.strip():
        number = 0
    if bare := _BARE.match(content):
        return number, Slip(number, f'a word needs quotes around it: write "{bare[1]}"')
    if "Cannot overwrite" in what or "Cannot declare" in what or "twice" in what:
        what = "this is said a second time; keep one of them"
    elif not number:
        what = "the file ends in the middle of something: a quote or bracket is not closed"
        return 0, Slip(len(lines), what)
    else:
        what = f"this line cannot be read as TOML ({what[:1].lower()}{what[1:]})"
    return number, Slip(number, what)


def _statements(lines: list[str]) -> Iterator[tuple[int, list[str], dict[str, Any]]]:
    begin = 0
    while begin < len(lines):
        for end in range(begin + 1, min(len(lines), begin + MAX_STATEMENT_LINES) + 1):
            try:
                parsed = tomllib.loads("\n".join(lines[begin:end]))
            except tomllib.TOMLDecodeError:
                continue
            yield begin + 1, lines[begin:end], parsed
            begin = end
            break
        else:
            yield begin + 1, [], {}
            return


def _places(lines: list[str]) -> tuple[Places, list[Slip]]:
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    head: Path = ()
    for number, chunk, parsed in _statements(lines):
        if not chunk:
            text = f"a value is longer than {MAX_STATEMENT_LINES} lines"
            return Places(found), [Slip(number, text)]
        start = chunk[0].lstrip()
        if start.startswith("["):
            head = _heading(parsed, counts, again=start.startswith("[["))
            for length in range(1, len(head) + 1):
                found.setdefault(head[:length], number)
        else:
            _note(found, head, parsed, number, chunk)
    return Places(found), []


def _heading(parsed: dict[str, Any], counts: dict[Path, int], *, again: bool) -> Path:
    """Return the path of a table's heading, with the index of each list of tables on it."""
    names: list[str] = []
    while isinstance(parsed, dict) and parsed:
        name = next(iter(parsed))
        names.append(name)
        parsed = parsed[name]
    path: Path = ()
    for depth, name in enumerate(names, start=1):
        path = (*path, name)
        if again and depth == len(names):
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _note(found: dict[Path, int], head: Path, value: Any, number: int, chunk: list[str]) -> None:
    """Note the line of everything inside a statement; what spans lines is looked for in them."""
    if isinstance(value, dict):
        entries: list[tuple[str | int, Any, str]] = [(k, v, k) for k, v in value.items()]
    elif isinstance(value, list):
        entries = [(index, item, _sample(item)) for index, item in enumerate(value)]
    else:
        return
    for key, item, sample in entries:
        path = (*head, key)
        hits = (at for at, line in enumerate(chunk) if sample and sample in line)
        found.setdefault(path, number + next(hits, 0))
        _note(found, path, item, number, chunk)


def _sample(item: Any) -> str:
    """Return a text by which a list's entry is found in its lines."""
    if isinstance(item, dict):
        return next((value for value in item.values() if isinstance(value, str)), "")
    return item if isinstance(item, str) else ""
