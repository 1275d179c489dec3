"""A real calendar server on this machine, for the demo: Radicale, on a loopback port."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import re
import secrets
import socket
import subprocess
import sys
import time
from base64 import b64encode
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from truckroll.app.trouble import TroubleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")
USER = "office"
_UP_SECONDS = 30.0
_HREF = re.compile(r"<(?:\w+:)?href>([^<]+\.ics)</(?:\w+:)?href>")
_TIMES = re.compile(r"^(DTSTART|DTEND)([^:\r\n]*):(\d{8}T\d{6})", re.MULTILINE)
_MAKE = (
    '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
    "<D:displayname>{title}</D:displayname>"
    '<C:supported-calendar-component-set><C:comp name="VEVENT"/>'
    "</C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>"
)
_LIST = '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'


class Calendars:
    """A running Radicale in a folder. Ended by `stop`; its data stay in the folder."""

    def __init__(self, folder: Path) -> None:
        if importlib.util.find_spec("radicale") is None:
            raise TroubleError(
                "The demo starts Radicale, a small calendar server, which is not installed:"
                "  pip install 'truckroll[demo]'"
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.password = secrets.token_urlsafe(9)
        self._log = folder / "radicale.log"
        self.port, self._process = on_free_port(partial(self._start, folder))
        self.url = f"http://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    def _start(self, folder: Path, port: int) -> subprocess.Popen[bytes]:
        self.port = port
        users, config = folder / "users", folder / "config"
        users.touch(mode=0o600)
        users.write_text(f"{USER}:{self.password}\n", encoding="utf-8")
        config.write_text(
            f"[server]\nhosts = 127.0.0.1:{self.port}\n"
            f"[auth]\ntype = htpasswd\nhtpasswd_filename = {users}\nhtpasswd_encryption = plain\n"
            f"[storage]\nfilesystem_folder = {folder / 'data'}\n[logging]\nlevel = warning\n",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "radicale", "--config", str(config)]
        with self._log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 -- our own interpreter and our own file
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        until = time.monotonic() + _UP_SECONDS
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._call("OPTIONS", "/")
                if process.poll() is None:  # else another's process answered at this port
                    return process
            time.sleep(0.05)
        process.kill()
        process.wait(10)
        raise TroubleError(f"Radicale did not come up; it says why in {self._log}")

    def make(self, titles: Sequence[str]) -> None:
        """Make a calendar for each title."""
        for title in titles:
            self._call("MKCALENDAR", _path(title), _MAKE.format(title=title))

    def events(self, title: str) -> dict[str, str]:
        """Return the events of a calendar as iCalendar texts by path, read as any client would."""
        listed = self._call("PROPFIND", _path(title), _LIST, depth="1")
        return {path: self._call("GET", path) for path in sorted(set(_HREF.findall(listed)))}

    def move(self, title: str, word: str, *, hours: int) -> None:
        """Move the event that has a word in its text, as its owner would on a phone."""
        for path, text in self.events(title).items():
            if word in text:
                moved = _TIMES.sub(lambda match: _later(match, hours), text)
                self._call("PUT", path, moved, content="text/calendar; charset=utf-8")
                return
        raise LookupError(word)

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)

    def _call(
        self,
        method: str,
        path: str,
        body: str = "",
        *,
        depth: str = "0",
        content: str = "application/xml; charset=utf-8",
    ) -> str:
        proof = b64encode(f"{USER}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {proof}", "Content-Type": content, "Depth": depth}
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request(method, path, body.encode(), headers)
            answer = link.getresponse()
            text = answer.read().decode()
        finally:
            link.close()
        if answer.status >= 400:  # noqa: PLR2004 -- HTTP: client and server errors
            raise TroubleError(f"Radicale refused {method} {path} ({answer.status})")
        return text


def _path(title: str) -> str:
    return f"/{USER}/{title.lower().replace(' ', '-')}/"


def _later(match: re.Match[str], hours: int) -> str:
    moved = datetime.strptime(match[3], "%Y%m%dT%H%M%S") + timedelta(hours=hours)  # noqa: DTZ007 -- wall time
    return f"{match[1]}{match[2]}:{moved:%Y%m%dT%H%M%S}"


def on_free_port(start: Callable[[int], T]) -> tuple[int, T]:
    """Start a server on a free port of 127.0.0.1; return the port, and what `start` returned.

    A port that was free a moment ago may be taken by then, so three are tried. Raises what the
    last try raised.
    """
    for tries_left in (2, 1, 0):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        try:
            return port, start(port)
        except TroubleError:
            if not tries_left:
                raise
    raise AssertionError
