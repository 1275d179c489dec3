"""Texts with fields in braces: `{number} {title or job_type} · {customer}`.

A template is data, not a language: a brace names a field, or several with `or` between them, of
which the first that is not empty counts. What surrounds an empty field goes with it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import msgspec

from truckroll.model.records import Fields, Kind, Value, as_text

# What separates the parts of a line; a part without content vanishes with its separator.
_SEPARATOR = re.compile(r"( · | \| | – | — | / |, )(?![^{}]*\})")
_LABEL = re.compile(r"[^{}]*?: ")
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_EMPTY_BRACKETS = re.compile(r"\(\s*\)|\[\s*\]")
_BLANKS = re.compile(r"(?<=\S) {2,}")
_EMPTY_LINES = re.compile(r"\n{3,}")

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
        many = len(self.lines) > 1
        texts = [_first(names, fields, many) for names in self._braces]
        text = self._layout(tuple(map(bool, texts))) % tuple(filter(None, texts))
        return _EMPTY_LINES.sub("\n\n", text) if "\n\n\n" in text else text

    @cached_property
    def _braces(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Return per brace its names, cut into field and part."""
        return tuple(
            tuple((name.partition(".")[0], name.partition(".")[2]) for name in names)
            for line in self.lines
            for part in line.parts
            for names in part.names
        )

    @cached_property
    def _layout(self) -> Callable[[Filled], str]:
        """Return `_lay_out` of these lines; most records leave the same few braces empty."""
        return lru_cache(maxsize=256)(partial(_lay_out, self.lines))


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


def _first(names: tuple[tuple[str, str], ...], fields: Fields, many: bool) -> str:
    """Return the text of the first name that has content, in one line save `many`."""
    for field, part in names:
        value: Value = fields.get(field)
        if part:
            value = getattr(value, part, None)
        if value is not None:
            text = value if isinstance(value, str) else as_text(value)
            text = text.strip() if many else " ".join(text.split())
            if text:
                return text
    return ""
