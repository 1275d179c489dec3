"""What people see: lines that fit the width, signs before colours, JSON where it was asked for."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COLOURS = {"green": "32", "yellow": "33", "red": "31", "bold": "1", "dim": "2"}
_WIDEST = 120
_NARROWEST = 40
_PLAIN_WIDTH = 100
_COMMAND = re.compile(r"truckroll .*?(?=  |$)")


class Screen:
    """Standard output, or one JSON document in its place.

    With `json` only `data` prints; with another stream nothing is coloured. The width is the
    terminal's, 100 columns where there is none.
    """

    def __init__(self, *, json: bool = False, out: TextIO | None = None) -> None:
        self.json = json
        self._out = out or sys.stdout
        self.tty = self._out.isatty()
        self._coloured = self.tty and not os.environ.get("NO_COLOR")
        columns = shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns if self.tty else _PLAIN_WIDTH
        self.width = max(_NARROWEST, min(columns, _WIDEST))

    def line(self, text: str = "") -> None:
        """Print a line as it is."""
        if not self.json:
            print(text, file=self._out, flush=True)

    def text(self, text: str, *, indent: str = "", hang: str = "") -> None:
        """Print text within the width; `hang` goes before every line but the first.

        A command stays in one piece, up to two blanks or the end of its line.
        """
        for part in text.split("\n"):
            kept = _COMMAND.sub(lambda found: found[0].replace(" ", "\xa0"), part)
            lines = textwrap.wrap(
                kept,
                width=self.width,
                initial_indent=indent,
                subsequent_indent=hang or indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
            for line in lines or [indent.rstrip()]:
                self.line(line.replace("\xa0", " ").rstrip())

    def table(self, rows: Iterable[Sequence[str]], *, indent: str = "  ") -> None:
        """Print rows in columns; the last column wraps under itself."""
        rows = [list(row) for row in rows]
        if not rows:
            return
        count = max(len(row) for row in rows)
        widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(count - 1)]
        for row in rows:
            head = "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
            lead = indent + head
            if len(lead) > self.width - _NARROWEST // 2:
                self.line(lead.rstrip())
                self.text(row[-1], indent=f"{indent}    ")
            else:
                self.text(row[-1], indent=lead, hang=" " * len(lead))

    def paint(self, text: str, colour: str) -> str:
        """Return text in a colour, where there are colours. A sign stands beside every one."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._coloured else text

    def sign(self, *, well: bool) -> str:
        """Return the sign of what is well, or asks for somebody."""
        return self.paint("✓", "green") if well else self.paint("!", "yellow")

    def data(self, value: Any, *, indent: int = 2) -> None:
        """Print a value as JSON, where that was asked for. Times are ISO 8601.

        With a negative `indent` it is one line.
        """
        if self.json:
            import msgspec  # noqa: PLC0415 -- people's output does without

            text = msgspec.json.format(msgspec.json.encode(value), indent=indent)
            print(text.decode(), file=self._out, flush=True)


def complain(text: str, *, json: bool = False) -> None:
    """Say what is wrong on standard error; programs that asked for JSON get it there as well."""
    print(text, file=sys.stderr)
    if json:
        import msgspec  # noqa: PLC0415 -- people's output does without

        print(msgspec.json.encode({"error": text}).decode())


def count(number: int, word: str) -> str:
    """Return a number with its word: 1 write, 2 writes, 1,204 writes."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")
