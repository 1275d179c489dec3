"""Texts with fields in braces: `{number} {title or job_type} · {customer}`.

A template is data, not a language: a brace names a field, or several with `or` between them, of
which the first that is not empty counts. What surrounds an empty field goes with it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import msgspec

from truckroll.model.records import Fields, Kind, Value, as_text

# What separates the parts of a line; a part without content vanishes with its separator.
_SEPARATOR = re.compile(r"( · | \| | – | — | / |, )(?![^{}]*\})")
_LABEL = re.compile(r"[^{}]*?: ")
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_EMPTY_BRACKETS = re.compile(r"\(\s*\)|\[\s*\]")
_BLANKS = re.compile(r"(?<=\S) {2,}")
_EMPTY_LINES = re.compile(r"\n{3,}")

_MOST_LAYOUTS = 256

Names = tuple[str, ...]
Filled = tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch between separators: literal texts, and tuples of field names (`names`)."""

    separator: str
    pieces: tuple[str | Names, ...]
    names: tuple[Names, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a template: its label (`Contact: `), and the parts behind it."""

    label: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)  # no slots: what is read off the lines is kept
class Template:
    """A parsed template: its lines."""

    lines: tuple[Row, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All names in braces, in order, each once."""
        every = (
            name for line in self.lines for part in line.parts for one in part.names for name in one
        )
        return tuple(dict.fromkeys(every))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields of the record that the template reads."""
        return tuple(dict.fromkeys(name.partition(".")[0] for name in self.names))

    def fill(self, fields: Fields) -> str:
        """Return the text for a record: lines and parts whose fields are all empty are left out."""
        texts = tuple([brace(fields) for brace in self._braces])
        filled = tuple(map(bool, texts))
        layout = self._layouts.get(filled)
        if layout is None:
            layout = self._new_layout(filled)
        text = layout % tuple(filter(None, texts))
        return _EMPTY_LINES.sub("\n\n", text) if "\n\n\n" in text else text

    @cached_property
    def _braces(self) -> tuple[Callable[[Fields], str], ...]:
        """Return per brace the function that reads its text off a record."""
        clean = str.strip if len(self.lines) > 1 else _in_one_line
        return tuple(
            _reading(names, clean)
            for line in self.lines
            for part in line.parts
            for names in part.names
        )

    @cached_property
    def _layouts(self) -> dict[Filled, str]:
        return {}

    def _new_layout(self, filled: Filled) -> str:
        """Return `_lay_out` of these lines; most records leave the same few braces empty."""
        if len(self._layouts) >= _MOST_LAYOUTS:
            self._layouts.clear()
        self._layouts[filled] = layout = _lay_out(self.lines, filled)
        return layout


class TemplateError(ValueError):
    """A brace that cannot be read; the message is a sentence."""


def known_names(kind: Kind) -> tuple[str, ...]:
    """Return all that may stand in braces for a kind: its fields and the parts of some."""
    names = []
    for field in kind.fields:
        names.append(field)
        for one in kind.types.get(field, ()):
            if field in {"location", "contact"} and issubclass(one, msgspec.Struct):
                names += [f"{field}.{part}" for part in one.__struct_fields__]
    return tuple(names)


def parse(text: str) -> Template:
    """Return a template; raises TemplateError for braces that do not pair up."""
    lines = []
    for line in text.strip("\n").split("\n"):
        found = _LABEL.match(line)
        label = found[0] if found else ""
        cut = _SEPARATOR.split(line[len(label) :])
        parts = [_part("", cut[0])]
        parts += [_part(cut[at], cut[at + 1]) for at in range(1, len(cut), 2)]
        lines.append(Row(label, tuple(parts)))
    return Template(tuple(lines))


def _part(separator: str, text: str) -> Part:
    pieces = _pieces(text)
    return Part(separator, pieces, tuple(one for one in pieces if isinstance(one, tuple)))


def _pieces(text: str) -> tuple[str | Names, ...]:
    pieces: list[str | Names] = []
    at = 0
    for token in _TOKEN.finditer(text):
        pieces.append(text[at : token.start()])
        at = token.end()
        if token[0] in {"{{", "}}"}:
            pieces.append(token[0][0])
        elif token[0] in {"{", "}"}:
            raise TemplateError(f'a brace stands alone in "{text.strip()}"; write {{{{ for a brace')
        else:
            pieces.append(tuple(name.strip() for name in re.split(r"\s+or\s+", token[1])))
    pieces.append(text[at:])
    return tuple(piece for piece in pieces if piece)


def _lay_out(lines: tuple[Row, ...], filled: Filled) -> str:
    """Return the text with a `%s` for each brace that is filled, in the order of all braces."""
    braces = iter(filled)
    texts = [_line_text(line, braces) for line in lines]
    return "\n".join([text for text in texts if text is not None]).strip()


def _line_text(line: Row, braces: Iterator[bool]) -> str | None:
    """Return the text of a line, or None where it has braces and all are empty."""
    out = ""
    asked = filled = False
    for part in line.parts:
        text, full = _part_text(part, braces)
        asked |= bool(part.names)
        filled |= full
        if text and (full or not part.names):
            out += part.separator + text if out else text
    return None if asked and not filled else _literal(line.label) + out


def _part_text(part: Part, braces: Iterator[bool]) -> tuple[str, bool]:
    """Return a part's text, and whether any of its braces has content."""
    full = [next(braces) for _ in part.names]
    each = iter(full)
    pieces = [
        _literal(piece) if isinstance(piece, str) else "%s" * next(each) for piece in part.pieces
    ]
    text = "".join(pieces)
    if any(full) and not all(full):
        text = _BLANKS.sub(" ", _EMPTY_BRACKETS.sub("", text))
    return text.strip(" ") if full else text, any(full)


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _reading(names: Names, clean: Callable[[str], str]) -> Callable[[Fields], str]:
    """Return the function that gives the text of the first of these names that has content."""
    readings = [_reading_one(name, clean) for name in names]
    if len(readings) == 1:
        return readings[0]

    def first(fields: Fields) -> str:
        for read in readings:
            if text := read(fields):
                return text
        return ""

    return first


def _reading_one(name: str, clean: Callable[[str], str]) -> Callable[[Fields], str]:
    field, _, part = name.partition(".")

    def read(fields: Fields) -> str:
        value = fields.get(field)
        if isinstance(value, str):
            return clean(value)
        return clean(as_text(value)) if value is not None else ""

    def read_part(fields: Fields) -> str:
        value: Value = getattr(fields.get(field), part, None)
        if isinstance(value, str):
            return clean(value)
        return clean(as_text(value)) if value is not None else ""

    return read_part if part else read
