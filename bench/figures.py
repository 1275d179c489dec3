"""What a bench says: figures beside goals, the machine they were taken on, and the page."""

from __future__ import annotations

import os
import platform
import re
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
_MARK = "<!-- figures: {} -->"


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    `ours` and `beside` are what was measured, as people read it. `goal` is the bound on `ratio`,
    an upper one unless `least`; None where a line is for information. `asks` says the goal where
    it is not one of the ratio.
    """

    what: str
    ours: str
    beside: str
    ratio: float
    goal: float | None = None
    least: bool = False
    note: str = ""
    asks: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.ratio >= self.goal if self.least else self.ratio <= self.goal

    def row(self) -> list[str]:
        sign = {None: "", True: "✓", False: "✗"}[self.met]
        goal = "" if self.goal is None else f"{'≥' if self.least else '≤'} {self.goal:g}"
        goal = self.asks or goal
        return [self.what, self.ours, self.beside, f"{self.ratio:.2f}", goal, sign, self.note]


def median(values: list[float]) -> float:
    return statistics.median(values)


def seconds(values: list[float]) -> str:
    """Return the median of durations as people read it."""
    middle = median(values)
    return f"{middle:.1f} s" if middle >= 10 else f"{middle:.2f} s"


def paired(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the ratios of runs that were taken one after the other."""
    return median([a / b for a, b in zip(ours, theirs, strict=True)])


def table(figures: list[Figure]) -> str:
    """Return figures as a Markdown table that reads well in a terminal too."""
    heads = ["what", "Truckroll", "beside", "ratio", "goal", "", "remarks"]
    rows = [heads, *(one.row() for one in figures)]
    wide = [max(len(row[at]) for row in rows) for at in range(len(heads))]
    lines = [" | ".join(cell.ljust(wide[at]) for at, cell in enumerate(row)) for row in rows]
    rule = " | ".join("-" * max(3, width) for width in wide)
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))


def machine() -> str:
    """Return date, machine and load in one paragraph."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {os.cpu_count()} cores "
        f"({model[1] if model else platform.processor() or platform.machine()}), "
        f"{memory:.0f} GiB · {platform.system()} {platform.release().split('-')[0]} · "
        f"Python {platform.python_version()} · load before {load[0]:.1f} / {load[1]:.1f}"
    )


def versions(*names: str) -> str:
    """Return the versions of packages, where they are installed here."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def keep(part: str, text: str, page: Path = PAGE) -> None:
    """Put a part's figures between its marks on the page; the rest of the page stays."""
    begin, end = _MARK.format(part), _MARK.format(f"end of {part}")
    old = page.read_text(encoding="utf-8")
    head, found, rest = old.partition(begin)
    if not found or end not in rest:
        raise ValueError(f"{page.name} has no place for {part}")
    page.write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")
