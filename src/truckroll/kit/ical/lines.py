"""Content lines and components (RFC 5545 section 3.1): taken apart within limits, put together.

A line that is not touched is written back as it came, which is how an update keeps everything
that the hub does not know. Why not the `icalendar` package for this: it builds values before
limits can be checked, and does not give back what it could not read.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PARAM = re.compile(r';\s*([A-Za-z0-9_-]+)\s*=\s*((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)')
_FOLD = 75
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_LISTED = re.compile(r",((?:\\.|[^,\\]|\\$)*)")
_ESCAPED = re.compile(r"\\([\\;,nN])")


class Limits(msgspec.Struct, frozen=True):
    """How much is read of one text; anything beyond is refused with the limit named."""

    total_bytes: int = 10_000_000
    line_bytes: int = 1_000_000
    lines: int = 200_000
    components: int = 20_000
    depth: int = 8


LIMITS = Limits()


class RefusedError(ValueError):
    """The text or a part of it is not read; says why, as a whole sentence."""


@dataclass(slots=True)
class Line:
    """A content line. `params` have upper-case names; quotes are off. `number` counts from 1."""

    name: str
    params: Mapping[str, str]
    value: str
    text: str
    number: int = 0


@dataclass(slots=True)
class Component:
    """A component with its lines and parts, in the order in which they came.

    `octets` is its written form, kept where it is never edited any more.
    """

    name: str
    items: "list[Line | Component]" = field(default_factory=list)
    number: int = 0
    octets: bytes | None = None

    def lines(self, *names: str) -> list[Line]:
        """Return the lines of these names, in order; all lines where none is named."""
        return [
            item
            for item in self.items
            if (not names or item.name in names) and isinstance(item, Line)
        ]

    def line(self, name: str) -> Line | None:
        """Return the first line of a name."""
        for one in self.items:
            if one.name == name and isinstance(one, Line):
                return one
        return None

    def text(self, name: str) -> str | None:
        """Return the first TEXT value of a name, without its escapes, or None."""
        line = self.line(name)
        return None if line is None else unescape(line.value)

    def parts(self, *names: str) -> "list[Component]":
        """Return the components directly inside, of these names."""
        return [
            item
            for item in self.items
            if (not names or item.name in names) and isinstance(item, Component)
        ]

    def put(self, line: Line) -> None:
        """Set a line in the place of the first of its name (others go), or before the parts."""
        name = line.name
        places = [
            n for n, item in enumerate(self.items) if item.name == name and isinstance(item, Line)
        ]
        if len(places) == 1:
            self.items[places[0]] = line
        elif places:
            self.drop(name)
            self.items.insert(places[0], line)
        else:
            self.items.insert(self._end_of_lines(), line)

    def _end_of_lines(self) -> int:
        for n, item in enumerate(self.items):
            if isinstance(item, Component):
                return n
        return len(self.items)

    def drop(self, *names: str) -> None:
        """Take out all lines of these names."""
        if any(item.name in names for item in self.items):
            self.items = [
                item for item in self.items if not (item.name in names and isinstance(item, Line))
            ]


@dataclass(slots=True)
class Tree:
    """What a text holds: its components at the top, and sentences about what was odd."""

    parts: list[Component] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_tree(data: bytes, limits: Limits = LIMITS) -> Tree:
    """Return the components of a text; raises RefusedError where it goes beyond a limit.

    Reads CRLF, LF and CR, folds by space and tab also inside a character, byte order marks,
    UTF-16, lower case, blank lines, and components that are closed wrongly or never.
    """
    if len(data) > limits.total_bytes:
        raise RefusedError(
            f"The calendar is larger than {limits.total_bytes // 1000:,} kB and was not read."
        )
    tree = Tree()
    open_ones: list[Component] = []
    count = 0
    for number, raw in _unfolded(data, limits):
        line = _line(raw, number, tree)
        if line is None:
            continue
        if line.name == "BEGIN":
            count += 1
            if count > limits.components:
                raise RefusedError(
                    f"The calendar has more than {limits.components:,} parts and was not read."
                )
            _open(line, open_ones, tree, limits)
        elif line.name == "END":
            _close(line, open_ones, tree)
        elif open_ones:
            open_ones[-1].items.append(line)
        else:
            _note(tree, f"Line {number} stands outside of any part and was passed over.")
    for part in open_ones:
        _note(tree, f"The {part.name} that begins at line {part.number} is never closed.")
    return tree


def _open(line: Line, open_ones: list[Component], tree: Tree, limits: Limits) -> None:
    part = Component(line.value.strip().upper(), number=line.number)
    if part.name == "VEVENT" and any(one.name == "VEVENT" for one in open_ones):
        _note(tree, f"A VEVENT begins at line {line.number} inside another; it counts on its own.")
        while open_ones[-1].name != "VEVENT":
            open_ones.pop()
        open_ones.pop()
    if len(open_ones) >= limits.depth:
        raise RefusedError(
            f"The calendar has parts inside parts more than {limits.depth} deep"
            f" (line {line.number}) and was not read."
        )
    (open_ones[-1].items if open_ones else tree.parts).append(part)
    open_ones.append(part)


def _close(line: Line, open_ones: list[Component], tree: Tree) -> None:
    name = line.value.strip().upper()
    if not any(one.name == name for one in open_ones):
        _note(tree, f"Line {line.number} closes a {name[:40]} that is not open.")
        return
    while open_ones:
        part = open_ones.pop()
        if part.name == name:
            return
        _note(tree, f"The {part.name} that begins at line {part.number} is never closed.")


def _note(tree: Tree, text: str) -> None:
    if len(tree.problems) < 100:  # noqa: PLR2004 -- nobody reads more
        tree.problems.append(text)


def _unfolded(data: bytes, limits: Limits) -> Iterator[tuple[int, bytes]]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    data = data.removeprefix(codecs.BOM_UTF8)
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if len(lines) > limits.lines:
        raise RefusedError(f"The calendar has more than {limits.lines:,} lines and was not read.")
    begun, size = 1, 0
    pieces = [b""]
    for number, raw in enumerate(lines, start=1):
        if raw.startswith((b" ", b"\t")):
            pieces.append(raw[1:])
        else:
            yield begun, pieces[0] if len(pieces) == 1 else b"".join(pieces)
            begun, pieces, size = number, [raw], 0
        size += len(raw)
        if size > limits.line_bytes:
            raise RefusedError(
                f"Line {begun} is longer than {limits.line_bytes // 1000:,} kB;"
                " the calendar was not read."
            )
    yield begun, b"".join(pieces)


def _line(raw: bytes, number: int, tree: Tree) -> Line | None:
    if not raw.strip():
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
        _note(tree, f"Line {number} is not UTF-8; it was read as Windows-1252.")
    line = parse_line(text, number)
    if line is None:
        _note(tree, f'Line {number} is no content line and was passed over: "{text.strip()[:60]}"')
    return line


def parse_line(text: str, number: int = 0) -> Line | None:
    """Return a content line, or None where the text is none."""
    parts = (_known_parts if len(text) <= _FOLD else _line_parts)(text)
    return None if parts is None else Line(*parts, text, number)


def _line_parts(text: str) -> tuple[str, Mapping[str, str], str] | None:
    """Return name, parameters and value of a content line."""
    name = _NAME.match(text)
    if name is None:
        return None
    at = name.end()
    params: dict[str, str] = {}
    while (param := _PARAM.match(text, at)) is not None:
        params.setdefault(param[1].upper(), param[2].replace('"', "").strip())
        at = param.end()
    if text[at : at + 1] == ";":  # a parameter that is none: leave it, the value may still do
        at = text.find(":", at)
    if at < 0 or text[at : at + 1] != ":":
        return None
    value = text[at + 1 :]
    if params.get("ENCODING", "").upper() == "QUOTED-PRINTABLE":
        value = _quoted_printable(value)
    return name[0].rpartition(".")[2].upper(), params, value


# Most lines of a calendar stand in each of its objects: those of the time zone, above all.
_known_parts = lru_cache(maxsize=2048)(_line_parts)


def _quoted_printable(value: str) -> str:
    """Return the text of a vCalendar 1.0 value; its soft breaks were lost with the lines."""
    raw = codecs.decode(value.encode(), "quopri")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    return text.replace("\r\n", "\\n").replace("\n", "\\n")


def make_line(name: str, value: str, **params: str) -> Line:
    """Return a new content line; `value` is already in its written form."""
    if not value.isprintable():
        value = _CONTROLS.sub("", value).replace("\n", "")
    if not params:
        return Line(name, {}, value, f"{name}:{value}")
    clean = {key: _param(text) for key, text in params.items() if text}
    head = "".join(f";{key}={_quoted(text)}" for key, text in clean.items())
    return Line(name, clean, value, f"{name}{head}:{value}")


def _param(text: str) -> str:
    return _CONTROLS.sub("", text).replace('"', "").replace("\n", "").strip()


def _quoted(text: str) -> str:
    return f'"{text}"' if set(text) & set(":;,") else text


def write_tree(part: Component) -> bytes:
    """Return a component as octets: CRLF, folded at 75 octets between characters."""
    out: list[bytes] = []
    _write(part, out)
    return b"\r\n".join(out) + b"\r\n"


def keep_octets(part: Component) -> Component:
    """Return a component with its written form; it is not to be edited after that."""
    part.octets = write_tree(part).removesuffix(b"\r\n")
    return part


def _write(part: Component, out: list[bytes]) -> None:
    if part.octets is not None:
        out.append(part.octets)
        return
    out.append(f"BEGIN:{part.name}".encode())
    for item in part.items:
        if isinstance(item, Component):
            _write(item, out)
            continue
        data = item.text.encode("utf-8", "replace")
        if len(data) <= _FOLD:
            out.append(data)
        else:
            out.extend(_folded(data))
    out.append(f"END:{part.name}".encode())


def _folded(data: bytes) -> Iterator[bytes]:
    at, room, prefix = 0, _FOLD, b""
    while len(data) - at > room:
        cut = at + room
        while data[cut] & 0xC0 == 0x80:  # noqa: PLR2004 -- inside a UTF-8 character
            cut -= 1
        yield prefix + data[at:cut]
        at, room, prefix = cut, _FOLD - 1, b" "
    yield prefix + data[at:]


def escape(text: str) -> str:
    """Return a TEXT value in its written form (RFC 5545 section 3.3.11)."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return _CONTROLS.sub("", plain.replace("\n", "\\n"))


def unescape(value: str) -> str:
    """Return the text that a TEXT value means; a lone backslash stays."""
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def split_texts(value: str) -> list[str]:
    """Return the texts of a comma-separated TEXT list."""
    return [unescape(found[1]) for found in _LISTED.finditer("," + value)] if value else []
