"""A desk to work at: a hub with a fresh database, a table, and real calendars."""

import csv
import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest

from support.servers import radicale
from truckroll.cli.main import main

COLUMNS = (
    *("Job Number", "Title", "Start", "End", "Status", "Technicians", "Address", "Customer"),
    *("Materials", "Rule", "Exceptions"),
)
PEOPLE = {"ana": "Ana Ruiz", "ben": "Ben Cole", "chu": "Chu Park"}
TODAY = date.today()  # noqa: DTZ011 -- any day of the coming week will do
MONDAY = TODAY + timedelta(days=7 - TODAY.weekday())


def job(number, who="Ana Ruiz", day=0, hour=9, **more):
    on = MONDAY + timedelta(days=day)
    row = {
        "Job Number": number,
        "Title": "Boiler service",
        "Start": f"{on} {hour:02}:00",
        "End": f"{on} {hour + 1:02}:00",
        "Status": "Scheduled",
        "Technicians": who,
        "Address": "12 Elm St",
        "Customer": "Bea Winter",
    }
    return row | more


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Desk:
    """What a dispatcher sees: commands in, exit code and output out."""

    home: Path
    folder: Path
    capsys: object
    calendars: object = None
    rows: dict = field(default_factory=dict)

    def __call__(self, *words):
        self.capsys.readouterr()
        code = main(["--home", str(self.home), *words])
        heard = self.capsys.readouterr()
        return Ran(code, heard.out, heard.err)

    def well(self, *words):
        ran = self(*words)
        assert ran.code == 0, (words, ran.out, ran.err)
        return ran

    @property
    def path(self):
        return self.folder / "jobs.csv"

    def table(self, *rows):
        self.rows = {row["Job Number"]: row for row in rows}
        self.save()

    def change(self, number, **columns):
        self.rows[number] |= {name.replace("_", " "): value for name, value in columns.items()}
        self.save()

    def save(self):
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows.values())

    def cells(self):
        with self.path.open(newline="", encoding="utf-8") as file:
            return {row["Job Number"]: row for row in csv.DictReader(file)}

    def add_table(self, name="jobs"):
        path = str(self.path)
        zone = "America/New_York"
        return self("account", "add", name, "--system", "file", "--path", path, "--zone", zone)

    def add_calendars(self, name="field", password="secret", *, url="", more=()):
        return self(
            *("account", "add", name, "--system", "caldav", "--url", url or self.calendars.url),
            *("--user", "field", "--password", password, "--private", "yes", *more),
        )

    def work(self, *rows, choices=()):
        """Set up a table, calendars, the recipe, and the people."""
        self.table(*rows)
        assert self.add_table().code == 0
        ran = self.add_calendars()
        assert ran.code == 0, ran.err
        chosen = [word for choice in choices for word in ("--set", choice)]
        self.well(
            *("recipe", "install", "appointments-to-calendars", "--from", "jobs", "--to", "field"),
            *chosen,
        )
        self("people", "suggest", "--take-sure")

    def events(self, calendar="ana"):
        return self.calendars.events(calendar)

    def move(self, calendar, word, old, new):
        """Edit an event as its owner would on a phone."""
        name, text = next(one for one in self.events(calendar).items() if word in one[1])
        assert old in text, text
        self.calendars.put(calendar, name, text.replace(old, new))


@pytest.fixture(scope="session")
def calendar_server():
    with radicale(user="field", password="secret") as server:
        yield server


@pytest.fixture
def desk(tmp_path, capsys, monkeypatch, database_url, calendar_server):
    monkeypatch.setenv("TRUCKROLL_DATABASE", database_url)
    monkeypatch.delenv("TRUCKROLL_PASSWORD", raising=False)
    for calendar, title in PEOPLE.items():
        calendar_server.make_calendar(calendar, title)
    made = Desk(tmp_path / "home", tmp_path, capsys, calendar_server)
    made.well("init")
    yield made
    for calendar in PEOPLE:
        calendar_server.delete(calendar, "")
