"""Real CalDAV servers for the tests: own processes, loopback, ports of their own, cleaned up.

    with radicale(password="secret") as server:
        server.make_calendar("ana")
        ...
        server.events("ana")      # read back with an independent client

Each server owns its process by id and a directory that is removed at the end, also when the
test fails. `kill` and `start` work on the same data and the same port.
"""

import contextlib
import http.client
import imaplib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import caldav

from support.ports import held_port

CYRUS_BIN = Path("/usr/lib/cyrus/bin")
UP_SECONDS = 30.0


@dataclass
class Server:
    """A server that runs: `url` is what a person would type in, `home` where calendars lie."""

    name: str
    url: str
    home: str
    user: str
    password: str
    folder: Path
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    ready: Callable[["Server"], None] | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process on the data and port of before, and wait until it answers."""
        log = (self.folder / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.env},
                start_new_session=True,
            )
        self._wait()
        if self.ready is not None:
            self.ready(self)

    def _wait(self) -> None:
        until = time.monotonic() + UP_SECONDS
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.request("OPTIONS", urlsplit(self.url).path or "/")
                if self._process.poll() is None:  # else somebody else answered
                    return
            time.sleep(0.05)
        text = (self.folder / "server.log").read_text(errors="replace")[-2000:]
        self.kill()
        raise RuntimeError(f"{self.name} did not come up: {text}")

    def kill(self) -> None:
        """End the process and its children at once, as a power cut would."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        """End the process in order; it takes its children along."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(3)
        self.kill()

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request as the account's user; header names come back in lower case."""
        proof = b64encode(f"{self.user}:{self.password}".encode()).decode()
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request(method, path, body, {"Authorization": f"Basic {proof}", **(headers or {})})
            answer = link.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, names, answer.read()
        finally:
            link.close()

    def path(self, calendar: str) -> str:
        """Return the path of a calendar of the account's home."""
        return f"{self.home}{calendar}/"

    def make_calendar(self, calendar: str, title: str = "") -> str:
        """Make a calendar (MKCALENDAR) and return its path."""
        body = (
            '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
            f"<D:displayname>{title or calendar}</D:displayname>"
            '<C:supported-calendar-component-set><C:comp name="VEVENT"/>'
            "</C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>"
        )
        headers = {"Content-Type": "application/xml; charset=utf-8"}
        status, _, answer = self.request("MKCALENDAR", self.path(calendar), body.encode(), headers)
        if status != 201:
            raise RuntimeError(f"{self.name} made no calendar ({status}): {answer[:200]!r}")
        return self.path(calendar)

    def put(self, calendar: str, name: str, data: str) -> str:
        """Store an object as another client of the person would; return its path."""
        path = f"{self.path(calendar)}{name}"
        body = data.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        headers = {"Content-Type": "text/calendar; charset=utf-8"}
        status, _, answer = self.request("PUT", path, body, headers)
        if status not in {200, 201, 204}:
            raise RuntimeError(f"{self.name} refused {name} ({status}): {answer[:300]!r}")
        return path

    def get(self, calendar: str, name: str) -> tuple[str, str]:
        """Return an object's text and ETag as another client sees them."""
        status, headers, body = self.request("GET", f"{self.path(calendar)}{name}")
        if status != 200:
            raise FileNotFoundError(f"{name} ({status})")
        return body.decode(), headers.get("etag", "")

    def delete(self, calendar: str, name: str) -> None:
        """Delete an object as another client of the person would."""
        status, _, _ = self.request("DELETE", f"{self.path(calendar)}{name}")
        if status not in {200, 204}:
            raise RuntimeError(f"{self.name} did not delete {name} ({status})")

    def events(self, calendar: str) -> dict[str, str]:
        """Read everything back with the independent client: object name -> iCalendar text."""
        with caldav.DAVClient(
            url=f"http://127.0.0.1:{self.port}", username=self.user, password=self.password
        ) as client:
            box = client.calendar(url=f"http://127.0.0.1:{self.port}{self.path(calendar)}")
            return {
                str(event.url).rstrip("/").rsplit("/", 1)[-1]: event.data for event in box.events()
            }


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def _folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"truckroll-{name}-"))
    folder.chmod(0o755)
    return folder


@contextlib.contextmanager
def radicale(*, user: str = "ana", password: str = "") -> Iterator[Server]:
    """Run Radicale; with a password it asks for it, without one it lets everybody in."""
    with held_port() as port:
        yield from _radicale(port, user, password)


def _radicale(port: int, user: str, password: str) -> Iterator[Server]:
    folder = _folder("radicale")
    users = folder / "users"
    users.write_text(f"{user}:{password}\n")
    auth = (
        f"type = htpasswd\nhtpasswd_filename = {users}\nhtpasswd_encryption = plain\ndelay = 0"
        if password
        else "type = none"
    )
    config = folder / "config"
    config.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\nmax_connections = 64\n[auth]\n{auth}\n"
        f"[storage]\nfilesystem_folder = {folder / 'data'}\n"
        "[logging]\nlevel = warning\n"
    )
    command = [sys.executable, "-m", "radicale", "--config", str(config)]
    base = f"http://127.0.0.1:{port}/"
    with _running(
        Server("Radicale", base, f"/{user}/", user, password or "any", folder, command)
    ) as server:
        yield server


@contextlib.contextmanager
def xandikos(*, user: str = "ana") -> Iterator[Server]:
    """Run Xandikos, which knows one principal and asks for no password."""
    with held_port() as port:
        yield from _xandikos(port, user)


def _xandikos(port: int, user: str) -> Iterator[Server]:
    folder = _folder("xandikos")
    command = [
        *(sys.executable, "-m", "xandikos", "serve", "--defaults"),
        *("-d", str(folder / "data"), "-l", "127.0.0.1", "-p", str(port)),
        *("--current-user-principal", f"/{user}/"),
    ]
    base = f"http://127.0.0.1:{port}/"
    home = f"/{user}/calendars/"
    with _running(Server("Xandikos", base, home, user, "any", folder, command)) as server:
        yield server


def cyrus_missing() -> str:
    """Return why Cyrus cannot run here, or ""."""
    if not (CYRUS_BIN / "master").exists() or not (CYRUS_BIN / "httpd").exists():
        return "Debian's cyrus-imapd and cyrus-caldav are not installed"
    return ""


@contextlib.contextmanager
def cyrus(*, user: str = "ana") -> Iterator[Server]:
    """Run Cyrus as an unprivileged account; any password will do."""
    with held_port() as port, held_port() as imap:
        yield from _cyrus(port, imap, user)


def _cyrus(port: int, imap: int, user: str) -> Iterator[Server]:
    folder = _folder("cyrus")
    account = "cyrus" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    _write_cyrus(folder, port, imap, account)
    master = [str(CYRUS_BIN / "master"), "-C", str(folder / "imapd.conf")]
    command = [*master, "-M", str(folder / "cyrus.conf"), "-p", str(folder / "pid"), "-D"]
    if os.geteuid() == 0:
        owner = pwd.getpwnam(account)
        for place in (folder, *folder.rglob("*")):
            os.chown(place, owner.pw_uid, owner.pw_gid)
        drop = f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"
        command = ["setpriv", *drop, *command]
    base, home = f"http://127.0.0.1:{port}/dav/", f"/dav/calendars/user/{user}/"

    def make_user(_: Server) -> None:
        with imaplib.IMAP4("127.0.0.1", imap, timeout=30) as box:
            box.login(account, "any")
            box.create(f"user/{user}")

    with _running(
        Server("Cyrus", base, home, user, "any", folder, command, ready=make_user)
    ) as server:
        yield server


def _write_cyrus(folder: Path, port: int, imap: int, account: str) -> None:
    for name in ("config", "spool", "run"):
        (folder / name).mkdir()
    (folder / "imapd.conf").write_text(
        f"configdirectory: {folder}/config\ndefaultpartition: default\n"
        f"partition-default: {folder}/spool\nadmins: {account}\ncyrus_user: {account}\n"
        "sasl_pwcheck_method: alwaystrue\nsasl_mech_list: PLAIN\nallowplaintext: yes\n"
        "httpmodules: caldav\nunixhierarchysep: yes\naltnamespace: yes\nvirtdomains: off\n"
        f"caldav_allowscheduling: off\nidlesocket: {folder}/run/idle\n"
        f"lmtpsocket: {folder}/run/lmtp\nnotifysocket: {folder}/run/notify\n"
    )
    conf = f"-C {folder}/imapd.conf"
    (folder / "cyrus.conf").write_text(
        f'START {{ recover cmd="{CYRUS_BIN}/ctl_cyrusdb {conf} -r" }}\n'
        "SERVICES {\n"
        f'  imap cmd="{CYRUS_BIN}/imapd {conf}" listen="127.0.0.1:{imap}" prefork=0\n'
        f'  http cmd="{CYRUS_BIN}/httpd {conf}" listen="127.0.0.1:{port}" prefork=1\n'
        "}\nEVENTS { }\n"
    )
