"""Tables in files under the contract suite: CSV, XLSX and JSON lines with a column for everything."""

import csv
import io
import json
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import openpyxl

from contract.bench import Held, Visit, World
from truckroll.connectors.file import FILE
from truckroll.kit.contract import Session

HEADER = (
    *("ID", "Job number", "Title", "Start", "End", "Time zone", "All day", "Status", "Technicians"),
    *("Address", "Job type", "Materials", "Notes", "Customer", "Contact", "Phone", "Email", "Busy"),
    *("Private", "Category", "Link", "Truckroll", "Colour"),
)
_numbers = count(1)


class NoHttp:
    """A connector of files sends no requests."""

    calls = 0


def _row(id_, title):
    shown = {"ID": id_, "Title": title, "Start": "2026-12-01 09:00", "End": "2026-12-01 10:00"}
    return [shown.get(name, "teal" if name == "Colour" else "") for name in HEADER]


class CsvTable:
    """A CSV file in people's hands: edited with the standard library."""

    suffix = ".csv"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.save([])

    def rows(self):
        with self.path.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))[1:]

    def save(self, rows) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([HEADER, *rows])
        self.path.write_text(text.getvalue(), encoding="utf-8", newline="")


class XlsxTable(CsvTable):
    """A workbook, edited with openpyxl."""

    suffix = ".xlsx"

    def rows(self):
        sheet = openpyxl.load_workbook(self.path).active
        found = [["" if v is None else v for v in row] for row in sheet.iter_rows(values_only=True)]
        return found[1:]

    def save(self, rows) -> None:
        book = openpyxl.Workbook()
        for number, row in enumerate([HEADER, *rows], 1):
            for column, value in enumerate(row, 1):
                cell = book.active.cell(number, column)
                cell.value = value or None
                if isinstance(value, str) and value:
                    cell.data_type = "s"
        book.save(self.path)


class JsonTable(CsvTable):
    """JSON lines, edited with the standard library; an empty table has no header to lose."""

    suffix = ".jsonl"

    def rows(self):
        lines = self.path.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        return [[row.get(name, "") for name in HEADER] for row in found if row["ID"]]

    def save(self, rows) -> None:
        lines = [json.dumps(dict(zip(HEADER, row, strict=True))) for row in rows]
        # A row that shows nothing but its keys is the header of a table without rows.
        blank = json.dumps(dict.fromkeys(HEADER, ""))
        self.path.write_text("".join(f"{line}\n" for line in [blank, *lines]), encoding="utf-8")


def _back(table, id_):
    row = next((row for row in table.rows() if str(row[0]) == id_), None)
    if row is None:
        return None
    shown = dict(zip(HEADER, row, strict=True))
    zone = ZoneInfo(shown["Time zone"] or "America/New_York")
    begins, ends = (
        datetime.fromisoformat(str(shown[name])).replace(tzinfo=zone) for name in ("Start", "End")
    )
    return {"title": shown["Title"], "status": shown["Status"], "begins": begins, "ends": ends}


def visit(kind):
    @asynccontextmanager
    async def stay(folder: Path):
        table = kind(folder / f"visits{next(_numbers)}{kind.suffix}")

        def seed(name: str, title: str) -> str:
            table.save([*table.rows(), _row(name, title)])
            return name

        def spoil() -> str:
            row = _row("J-13", "Bad")
            row[HEADER.index("Start")] = "31/02/2026"
            table.save([*table.rows(), row])
            return "J-13"

        def edit(id_: str, title: str) -> None:
            rows = table.rows()
            for row in rows:
                if str(row[0]) == id_:
                    row[2] = title
            table.save(rows)

        session = Session(
            account="office",
            system="file",
            settings={"path": str(table.path), "zone": "America/New_York"},
            http=NoHttp(),
            known=Held(),
        )
        (scope,) = await FILE.scopes(session)
        yield Visit(
            connector=FILE,
            session=session,
            scope=scope,
            seed=seed,
            edit=edit,
            delete=lambda id_: table.save([row for row in table.rows() if str(row[0]) != id_]),
            count=lambda: len(table.rows()),
            back=lambda id_: _back(table, id_),
            spoil=spoil,
            unknown=lambda id_: any(row[0] == id_ and row[-1] == "teal" for row in table.rows()),
            held=session.known,
            quiet_calls=0,
        )

    return stay


@contextmanager
def folder():
    with TemporaryDirectory() as path:
        yield Path(path)


WORLDS = [
    World("csv", folder, visit(CsvTable)),
    World("xlsx", folder, visit(XlsxTable)),
    World("jsonl", folder, visit(JsonTable)),
]
