"""The sample company: its table, and what its office does to it."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from pathlib import Path

ZONE = "America/New_York"
TECHNICIANS = (
    *("Ana Ruiz", "Ben Cole", "Chu Park", "Dee Fox"),
    *("Eli Stone", "Fay Moss", "Gus Hart", "Ida Lund"),
)
_DAYS = re.compile(r"(?<![\w+-])(dst)?\+(\d+)(?= |;|$)")
_A_YEAR = 366


class Table:
    """The company's table of visits: a CSV file that the office edits with its own programme."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, today: date) -> int:
        """Write the sample table with days from the Monday after `today`; return its rows."""
        text = resources.files("truckroll.app.sample").joinpath("jobs.csv").read_text("utf-8")
        monday = today + timedelta(days=7 - today.weekday())
        change = clock_change(monday)

        def day(match: re.Match[str]) -> str:
            begin = change - timedelta(days=1) if match[1] else monday
            return (begin + timedelta(days=int(match[2]))).isoformat()

        self.path.write_text(_DAYS.sub(day, text), encoding="utf-8")
        return len(self.rows())

    def rows(self) -> dict[str, dict[str, str]]:
        """Return the rows by job number."""
        with self.path.open(encoding="utf-8", newline="") as file:
            return {row["Job Number"]: row for row in csv.DictReader(file)}

    def change(self, number: str, **columns: str) -> None:
        """Change cells of a row; `_` in a column's name stands for a blank."""
        rows = self.rows()
        rows[number] |= {name.replace("_", " "): value for name, value in columns.items()}
        self._save(rows)

    def move(self, number: str, *, hours: int) -> None:
        """Move a visit by whole hours."""
        row = self.rows()[number]
        self.change(number, Start=_later(row["Start"], hours), End=_later(row["End"], hours))

    def _save(self, rows: dict[str, dict[str, str]]) -> None:
        out = io.StringIO()
        writer = csv.DictWriter(out, next(iter(rows.values())), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
        self.path.write_text(out.getvalue(), encoding="utf-8")


def _later(text: str, hours: int) -> str:
    moved = datetime.fromisoformat(text) + timedelta(hours=hours)
    return moved.strftime("%Y-%m-%d %H:%M")


def clock_change(after: date) -> date:
    """Return the day on which the clocks of the company's zone change next after a day."""
    zone = ZoneInfo(ZONE)
    noon = datetime(after.year, after.month, after.day, 12, tzinfo=UTC)
    before = noon.astimezone(zone).utcoffset()
    for days in range(1, _A_YEAR):
        at = (noon + timedelta(days=days)).astimezone(zone)
        if at.utcoffset() != before:
            return at.date()
    raise AssertionError("the clocks of this zone never change")
