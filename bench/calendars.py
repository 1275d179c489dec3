"""(a) Events from one CalDAV collection to another on one server, beside vdirsyncer.

Both sides run as a person runs them: whole processes, their own start included, and for
Truckroll the start and stop of its embedded database. Each pair has collections of its own, each
of a user of its own, since Cyrus wants an object's UID but once per user.
"""

from __future__ import annotations

import dataclasses
import imaplib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench import ROOT
from bench.events import edited, events
from bench.figures import Figure, median, paired, seconds
from support import servers
from truckroll.store.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.servers import Server

CONCURRENCY = 8  # what Truckroll's connector allows itself at a CalDAV server
EDITS = 20
# An installed programme has its modules compiled, whatever the shell of the bench says of that.
_AS_INSTALLED = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
_HOOK = str(ROOT / "bench" / "hook.py")

_VDIRSYNCER = """
[general]
status_path = "{folder}/status/"

[pair bench]
a = "a"
b = "b"
collections = [["bench", "source", "target"]]
conflict_resolution = "a wins"

[storage a]
type = "caldav"
url = "{a.url}"
username = "{a.user}"
password = "{a.password}"

[storage b]
type = "caldav"
url = "{b.url}"
username = "{b.user}"
password = "{b.password}"
"""


class Sent(NamedTuple):
    """A request of a process: times are monotonic seconds."""

    method: str
    url: str
    status: int
    began: float
    ended: float
    body: str


@dataclass(frozen=True)
class Ran:
    """A process that ended well: its wall time in seconds, its requests, what it printed."""

    wall: float
    sent: list[Sent]
    out: str

    @property
    def puts(self) -> list[Sent]:
        return [one for one in self.sent if one.method == "PUT"]

    def span(self, sent: list[Sent] | None = None) -> float:
        """Return the time from the first request's beginning to the last one's answer."""
        sent = self.sent if sent is None else sent
        return max(one.ended for one in sent) - min(one.began for one in sent)


def run(folder: Path, call: str, *args: str, python: str = sys.executable, **env: str) -> Ran:
    """Run a call (`module:function`) as a process of its own under the hook.

    It begins with nothing left to be written to the disk by whoever ran before it.
    """
    log = folder / "requests.json"
    os.sync()
    began = time.monotonic()
    done = subprocess.run(
        [python, _HOOK, str(log), call, *args],
        env=_AS_INSTALLED | env,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"{call} {' '.join(args)} failed: {done.stdout[-800:]}{done.stderr}")
    sent = [Sent(*line) for line in json.loads(log.read_text())]
    return Ran(wall, sent, done.stdout)


def as_user(server: Server, user: str) -> Server:
    """Return the server as another user of it sees it, who is made where that is needed."""
    config = server.folder / "cyrus.conf"
    home = server.home.replace(f"/{server.user}/", f"/{user}/")
    if config.exists():
        port = int(re.search(r'imapd.*listen="127.0.0.1:(\d+)"', config.read_text())[1])
        admin = re.search(r"admins: (.+)", (server.folder / "imapd.conf").read_text())[1]
        with imaplib.IMAP4("127.0.0.1", port, timeout=30) as box:
            box.login(admin, "any")
            box.create(f"user/{user}")
    return dataclasses.replace(server, user=user, home=home)


@dataclass
class Bench:
    """A server with a source collection, and the times that were taken on it."""

    server: Server
    texts: dict[str, str]
    folder: Path
    peer: str
    walls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    edits: int = 0

    def fill(self) -> None:
        self.server.make_calendar("source")
        self._put(self.texts)

    def edit(self) -> dict[str, str]:
        """Change twenty events at the source, other ones each time; return these."""
        names = sorted(self.texts)
        first = self.edits * EDITS % len(names)
        self.edits += 1
        chosen = {name: edited(self.texts[name], self.edits) for name in names[first:][:EDITS]}
        self.texts.update(chosen)
        self._put(chosen)
        return chosen

    def _put(self, texts: dict[str, str]) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda item: self.server.put("source", *item), texts.items()))

    def note(self, what: str, wall: float, ran: Ran) -> None:
        self.walls[what].append(wall)
        self.counts[what].append(len(ran.sent))


class Ours:
    """Truckroll in a home of its own, ready to run."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.target = as_user(bench.server, f"ours{name}")
        self.target.make_calendar("target")
        self._folder = bench.folder / f"ours{name}"
        self._folder.mkdir()
        self._call("init")
        for account, server in (("here", bench.server), ("there", self.target)):
            proof = ("--user", server.user, "--password", server.password, "--private", "yes")
            self._call("account", "add", account, "--system", "caldav", "--url", server.url, *proof)
        ends = "--from", "here/source", "--to", "there/target"
        self._call("recipe", "install", "calendar-to-calendar", *ends)

    def _call(self, *args: str) -> Ran:
        home = str(self._folder / "home")
        return run(self._folder, "truckroll.cli.main:main", *args, TRUCKROLL_HOME=home)

    def apply(self) -> Ran:
        return self._call("apply")


class Peer:
    """vdirsyncer with a status directory of its own, after its discovery."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.target = as_user(bench.server, f"peer{name}")
        self.target.make_calendar("target")
        self._folder = bench.folder / f"peer{name}"
        self._folder.mkdir()
        self._python = bench.peer
        text = _VDIRSYNCER.format(folder=self._folder, a=bench.server, b=self.target)
        (self._folder / "config").write_text(text)
        self._call("discover", "--no-list")

    def _call(self, *args: str) -> Ran:
        config = str(self._folder / "config")
        return run(self._folder, "vdirsyncer.cli:app", "-c", config, *args, python=self._python)

    def apply(self) -> Ran:
        return self._call("sync")


class Bare:
    """The bare loop with a collection of its own; it keeps nothing but two sync tokens."""

    def __init__(self, bench: Bench, name: str) -> None:
        self._server = bench.server
        self.target = as_user(bench.server, f"bare{name}")
        self.target.make_calendar("target")
        self._folder = bench.folder / f"bare{name}"
        self._folder.mkdir()
        root = f"http://127.0.0.1:{bench.server.port}"
        self._place = root + self.target.path("target")
        # The target is read as its own user: a proof names one user alone.
        self._lists = [self._place, self._place]
        self._tokens = ["", ""]

    def send(self, puts: list[Sent], *, lists: bool) -> Ran:
        """Send the same objects, after two lists of what changed since the last time."""
        objects = [(one.url.rsplit("/", 1)[1], one.body) for one in puts]
        return self.put(objects, lists=lists)

    def put(self, objects: list[tuple[str, str]], *, lists: bool) -> Ran:
        """Send objects, given by name and text, as `send` does."""
        plan = {
            "proof": f"{self.target.user}:{self.target.password}",
            "concurrency": CONCURRENCY,
            "lists": list(zip(self._lists, self._tokens, strict=True)) if lists else [],
            "puts": [(self._place + name, text) for name, text in objects],
        }
        (self._folder / "plan.json").write_text(json.dumps(plan))
        path = str(self._folder / "plan.json")
        ran = run(self._folder, "bench.bare:main", path, PYTHONPATH=str(ROOT))
        if lists:
            self._tokens = json.loads(ran.out)
        return ran


def measure(bench: Bench, *, pairs: int, rounds: int) -> None:
    """Take initial fills, each in collections of its own, and rounds on the last of them."""
    for number in range(pairs):
        ours, peer, bare = (kind(bench, str(number)) for kind in (Ours, Peer, Bare))
        filled = ours.apply()
        assert len(filled.puts) == len(bench.texts), f"{len(filled.puts)} PUTs: {filled.out}"
        synced = peer.apply()
        assert len(synced.puts) == len(bench.texts), f"{len(synced.puts)} PUTs: {synced.out}"
        loop = bare.send(filled.puts, lists=False)
        for who, ran in (("ours", filled), ("peer", synced), ("bare", loop)):
            bench.note(f"initial {who}", ran.span(ran.puts), ran)
            bench.walls[f"initial whole {who}"].append(ran.wall)
        for who, side in (("ours", ours), ("peer", peer)):
            ran = side.apply()
            bench.note(f"first {who}", ran.wall, ran)
    bare.send([], lists=True)
    for _ in range(rounds):
        _round(bench, ours, peer, bare)


def _round(bench: Bench, ours: Ours, peer: Peer, bare: Bare) -> None:
    for who, side in (("ours", ours), ("peer", peer)):
        ran = side.apply()
        assert not ran.puts
        bench.note(f"none {who}", ran.wall, ran)
    bench.edit()
    ran = ours.apply()
    assert len(ran.puts) == EDITS, ran.out
    synced = peer.apply()
    loop = bare.send(ran.puts, lists=True)
    for who, one in (("ours", ran), ("peer", synced), ("bare", loop)):
        bench.note(f"edits {who}", one.wall, one)
        bench.walls[f"edits span {who}"].append(one.span())
    # What a pass wrote comes back once in the next list of changes; that is not "no change".
    for side in (ours, peer):
        side.apply()


def figures(bench: Bench, name: str) -> list[Figure]:
    """Return the lines of the table for one server."""
    walls, counts, many = bench.walls, bench.counts, len(bench.texts)

    def line(
        what: str, key: str, beside: str, label: str, goal: float | None, note: str = ""
    ) -> Figure:
        ours, theirs = walls[f"{key} ours"], walls[f"{key} {beside}"]
        return Figure(
            f"{name}: {what}",
            seconds(ours),
            f"{label} {seconds(theirs)}",
            paired(ours, theirs),
            goal,
            note=note or f"median of {len(ours)}",
        )

    def requests(what: str, key: str, goal: int) -> Figure:
        ours, theirs = median(counts[f"{key} ours"]), median(counts[f"{key} peer"])
        return Figure(
            f"{name}: {what}, requests",
            f"{ours:.0f}",
            f"vdirsyncer {theirs:.0f}",
            ours / theirs,
            goal / theirs,
            asks=f"≤ {goal} requests",
        )

    initial = f"initial, {many:,} events, first to last PUT"
    pairs = len(walls["initial ours"])
    rate = (
        f"{pairs} pair{'s' if pairs > 1 else ''}, {many / median(walls['initial ours']):.0f} PUT/s"
    )
    return [
        line(initial, "initial", "peer", "vdirsyncer", 1.0, rate),
        line(initial, "initial", "bare", "bare loop", 1.15, rate),
        line("initial, whole process", "initial whole", "peer", "vdirsyncer", None),
        line("first pass after it", "first", "peer", "vdirsyncer", None, "sees its own writes"),
        line("no change", "none", "peer", "vdirsyncer", 1.0),
        requests("no change", "none", 2),
        line("20 changes", "edits", "peer", "vdirsyncer", 1.0),
        line("20 changes, whole process", "edits", "bare", "bare loop", 1.3),
        line("20 changes, first to last request", "edits span", "bare", "bare loop", None),
        requests("20 changes", "edits", 22),
    ]


def on(
    serve: Callable, *, count: int, pairs: int, rounds: int, peer: str
) -> tuple[list[Figure], Bench]:
    """Run the whole comparison on one kind of server."""
    with serve() as server, tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder:
        bench = Bench(server, events(count), Path(folder), peer)
        try:
            bench.fill()
            measure(bench, pairs=pairs, rounds=rounds)
        finally:
            for home in bench.folder.glob("ours*/home"):
                Embedded(home).erase()  # under root the data stand elsewhere
        return figures(bench, server.name), bench


SERVERS = {"cyrus": servers.cyrus, "radicale": servers.radicale}
