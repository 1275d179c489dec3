"""(e) Visits of a ServiceTitan tenant into the Google calendars of its technicians.

Both systems are the simulators, in a process of their own, with their limits off: what is
measured is the hub, and how many calls it takes. Beside the first fill the same batches are sent
to a second box by a bare loop. Whole processes, their own start included.
"""

from __future__ import annotations

import json
import os
import random
import re
import tempfile
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

from bench import ROOT
from bench.calendars import Ran, Sent, run
from bench.figures import Figure, median, seconds
from truckroll.app.simulators import Simulators
from truckroll.store.embedded import Embedded

ZONE = "America/Chicago"
RECIPE = "appointments-to-calendars"
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Fleet:
    """A tenant, its technicians' calendars, and a hub between, each run a process of its own."""

    def __init__(self, folder: Path, *, visits: int, technicians: int) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.box = box(folder, visits=visits, technicians=technicians)
        self._chance = random.Random(1)

    def command(self, *words: str, **secrets: str) -> Ran:
        """Run a command of the hub under the hook."""
        named = {f"TRUCKROLL_{name.upper()}": value for name, value in secrets.items()}
        python = os.pathsep.join((str(ROOT), str(ROOT / "src")))
        words = ("--home", str(self.home), *words)
        return run(self.folder, "truckroll.cli.main:main", *words, PYTHONPATH=python, **named)

    def set_up(self) -> None:
        """Sign in to both systems, install the recipe, and say whose calendar is whose."""
        self.command("init")
        for name, system in (("titan", "servicetitan"), ("google", "google-calendar")):
            options, secrets = self.box.answers(system)
            words = ("account", "add", name, "--system", system, "--zone", ZONE)
            self.command(*words, *options, **secrets)
        self.command("recipe", "install", RECIPE, "--from", "titan", "--to", "google")
        self.command("people", "suggest", "--take-sure")

    def apply(self) -> tuple[Ran, int]:
        """Make one pass; return it and how many writes it made."""
        ran = self.command("apply", "--json")
        return ran, json.loads(ran.out)["writes"]

    def move(self, count: int) -> None:
        """Let the office move some visits on its board by an hour or two."""
        rows = self.box.listed("servicetitan/records/appointments")
        ready = [row for row in rows if row["status"] == "Scheduled"]
        for row in self._chance.sample(ready, count):
            by = timedelta(hours=self._chance.randint(1, 2))
            times = {
                side: (datetime.fromisoformat(row[side]) + by).isoformat()
                for side in ("start", "end")
            }
            act = {"appointmentId": row["id"], **times}
            self.box.ask("POST", "/_sim/servicetitan/acts/reschedule", act)


def box(folder: Path, *, visits: int, technicians: int) -> Simulators:
    """Start a box with the sample company in both systems, and no limits."""
    started = Simulators(folder / f"box-{len(list(folder.glob('box-*')))}")
    days = max(7, 2 * visits // (technicians * 5))
    started.company(zone=ZONE, technicians=technicians, appointments=visits, days=days)
    limits = {"per_user": 10_000_000, "per_project": 10_000_000}
    started.ask("POST", "/_sim/google-calendar/acts/limits", limits)
    started.ask("POST", "/_sim/servicetitan/acts/habits", {"calls_a_second": 100_000})
    return started


def _batches(sent: list[Sent]) -> list[Sent]:
    at_google = (one for one in sent if "/google-calendar/" in one.url)
    return [one for one in at_google if one.method in _WRITES and not one.url.endswith("/token")]


def _bare(folder: Path, batches: list[Sent], size: dict[str, int]) -> Ran:
    """Send the same calls to a fresh box, one after the other as the hub does."""
    fresh = box(folder, **size)
    try:
        keys = fresh.ask("GET", "/_sim/google-calendar/credentials")
        port = re.compile(r"^http://127\.0\.0\.1:\d+")
        calls = [(port.sub(fresh.url, one.url), one.body) for one in batches]
        plan = {"token": keys["access_token"], "calls": calls}
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        path = str(folder / "plan.json")
        return run(folder, "bench.bare:replay", path, PYTHONPATH=str(ROOT))
    finally:
        fresh.stop()


def figures(*, visits: int, technicians: int, rounds: int) -> list[Figure]:
    """Return the lines of the table."""
    size = {"visits": visits, "technicians": technicians}
    with tempfile.TemporaryDirectory(prefix="truckroll-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        fleet = Fleet(folder, **size)
        stack.callback(fleet.box.stop)
        stack.callback(Embedded(fleet.home).erase)
        fleet.set_up()
        filled, writes = fleet.apply()
        batches = _batches(filled.sent)
        lines = _filled(filled, writes, batches, _bare(folder, batches, size), technicians)
        fleet.apply()  # sees its own writes once more
        quiet = [fleet.apply() for _ in range(rounds)]
        assert not any(writes for _, writes in quiet)
        lists = len(quiet[-1][0].sent)
        for count in (max(1, visits // 100), max(1, visits // 10)):
            lines += _changed(fleet, count, lists, rounds)
    walls = [ran.wall for ran, _ in quiet]
    most = technicians + 10  # a list of each calendar, eight feeds, two sign-ins
    what, goal = f"no change, {technicians} calendars", f"≤ {most} calls"
    return [*lines, Figure(what, seconds(walls), f"{lists} calls", lists / most, 1.0, asks=goal)]


def _filled(
    filled: Ran, writes: int, batches: list[Sent], bare: Ran, calendars: int
) -> list[Figure]:
    """Return the lines of the first fill."""
    ours, theirs = filled.span(batches), bare.span()
    google = [one for one in filled.sent if "/google-calendar/" in one.url]
    return [
        Figure(
            f"first fill of {writes:,} events, first to last batch",
            f"{writes / ours:.0f} writes/s",
            f"bare loop {writes / theirs:.0f}/s",
            ours / theirs,
            note=f"whole process {filled.wall:.1f} s",
        ),
        Figure(
            "first fill, calls to Google for a write",
            f"{len(google) / writes:.3f}",
            f"{len(google)} calls",
            len(google) / (writes / 20 + calendars),
            1.05,
            asks="≤ 1/20 and lists",
        ),
    ]


def _changed(fleet: Fleet, count: int, lists: int, rounds: int) -> list[Figure]:
    """Return the lines of passes with so many changes."""
    walls, rates, asked = [], [], []
    for _ in range(rounds):
        fleet.move(count)
        ran, writes = fleet.apply()
        walls.append(ran.wall)
        rates.append(writes / ran.wall)
        asked.append((len(ran.sent) - lists) / count)
    calls = median(asked)
    return [
        Figure(
            f"{count} visits moved, whole process",
            f"{median(rates):.0f} writes/s",
            seconds(walls),
            calls,
            2.0,
            asks="≤ 2 calls a change",
            note=f"{calls:.2f} calls a change beyond lists and feeds; median of {rounds}",
        )
    ]
