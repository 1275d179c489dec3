"""A simulated Google for tests: in this process or served by another, with the vendor's client."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from sim.discovery import JudgedHttp, document
from support.children import child
from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.kit.server import running

ROOT = Path(__file__).parents[2]
SESSION_SECONDS = 3600  # one serves all tests of a process, whatever runs between them
START = "2026-11-02T16:00:00Z"
ZONE = "America/Los_Angeles"


class GoogleWorld:
    """One simulated Google, with clients of its people."""

    system = "google-calendar"

    def __init__(self, address, judge):
        self.address, self.judge = address, judge
        self._open = []

    def sim(self, method, path, body=None):
        """Speak to the control plane; a path without a slash at its head is the system's."""
        whole = path if path.startswith("/") else f"/_sim/{self.system}/{path}"
        return self.call(method, whole, body)

    def call(self, method, path, body=None, headers=None):
        """Call any path of the box and return what its JSON says."""
        data = None if body is None else json.dumps(body).encode()
        url = self.address + path
        request = urllib.request.Request(url, data, headers or {}, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None

    def begin(self):
        """Make all anew, with a clock that stands still."""
        self.sim("POST", "reset")
        self.sim("POST", "/_sim/clock", {"set": START, "frozen": True})
        self.company = self.sim("POST", "seed", {"technicians": 3})
        self.office = self.company["office"]
        self.ana, self.ben, self.chu = self.company["technicians"]

    def client(self, account=None, **more):
        """Return the vendor's client of calendars, signed in as a person."""
        return self._built("google-calendar", account, more)

    def directory(self, account=None, **more):
        """Return the vendor's client of the directory, signed in as a person."""
        return self._built("google-workspace", account, more)

    def _built(self, name, account, more):
        signed = self.sim("POST", "acts/sign-in", {"account": account, **more})
        return self.with_token(name, signed["access_token"])

    def with_token(self, name, token):
        doc = document(name)
        doc["rootUrl"] = f"{self.address}/{self.system}/"
        http = JudgedHttp(self.judge, token, self.system)
        self._open.append(http)
        return build_from_document(doc, http=http)

    def advance(self, **more):
        self.sim(
            "POST",
            "/_sim/clock",
            {
                "advance_seconds": sum(
                    value * {"seconds": 1, "minutes": 60, "days": 86400}[unit]
                    for unit, value in more.items()
                )
            },
        )

    def outbox(self):
        """Return who was told, and why, and forget it."""
        told = self.sim("GET", "outbox")["outbox"]
        self.sim("DELETE", "outbox")
        return [(one["to"], one["why"]) for one in told]

    def close(self):
        for http in self._open:
            http.close()


def refused(request, headers=None):
    """Execute a request that is refused and return its status and reason."""
    request.headers.update(headers or {})
    try:
        request.execute()
    except HttpError as error:
        told = json.loads(error.content)["error"]
        return error.resp.status, told["errors"][0]["reason"]
    raise AssertionError("the request was not refused")


def read(events, calendar, **query):
    """Read to the last page and return all items and the sync token."""
    request, items = events.list(calendarId=calendar, **query), []
    while request is not None:
        page = request.execute()
        items += page["items"]
        request = events.list_next(request, page)
    return items, page["nextSyncToken"]


def timed(begin, end, zone=ZONE, **more):
    """Return the body of an event with wall times in a zone."""
    return {
        "start": {"dateTime": begin, "timeZone": zone},
        "end": {"dateTime": end, "timeZone": zone},
        **more,
    }


@contextmanager
def in_process():
    """Run a box on a loop of its own in this process and yield its address."""
    loop = asyncio.new_event_loop()
    ready, address = threading.Event(), []

    async def run():
        async with running([GoogleCalendar]) as box:
            address.append(box.address)
            ended = asyncio.Event()
            address.append(lambda: loop.call_soon_threadsafe(ended.set))
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(30), "the box did not come up within 30 s"
    try:
        yield address[0]
    finally:
        address[1]()
        thread.join(10)
        loop.close()


@contextmanager
def served():
    """Run a box in a process of its own and yield its address."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "truckroll_sim", "--port", "0"]
    with child(
        command, seconds=SESSION_SECONDS, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        line = process.stdout.readline()
        try:
            yield line.rstrip().rpartition(" ")[2]
        finally:
            process.terminate()
            assert process.wait(10) == 0
