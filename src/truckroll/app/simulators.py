"""The vendors in a box, started as a process of their own on a loopback port."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from truckroll.app.calendars import on_free_port
from truckroll.app.trouble import TroubleError

if TYPE_CHECKING:
    from pathlib import Path

# Named, never imported: what the simulators are is none of the hub's knowledge.
MODULE = "truckroll_sim"
_UP_SECONDS = 30.0
# The settings of an account at each system, by the name that its credentials have in the box.
_ASKED: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "servicetitan": (
        {"tenant": "tenant", "client_id": "client_id", "api": "api", "auth": "token_url"},
        ("client_secret", "app_key"),
    ),
    "google-calendar": (
        {"client_id": "client_id", "api": "api", "token": "token"},
        ("client_secret", "refresh_token"),
    ),
}
_WELL = 400


class Simulators:
    """Running simulators of vendors, all at one address. Ended by `stop`; they keep nothing."""

    def __init__(self, folder: Path) -> None:
        present()
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "simulators.log"
        self.port, self._process = on_free_port(self._start)
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the simulators."""
        return self._process.pid

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        self.port = port
        with self._log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 -- our own interpreter and our own package
                command(port),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until = time.monotonic() + _UP_SECONDS
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.ask("GET", "/_sim/")
                if process.poll() is None:  # else another's process answered at this port
                    return process
            time.sleep(0.05)
        process.kill()
        process.wait(10)
        raise TroubleError(f"The simulators did not come up; they say why in {self._log}")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Call the simulators' control plane and return its JSON answer."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = None if body is None else json.dumps(body)
            link.request(method, path, sent, {"Content-Type": "application/json"})
            answer = link.getresponse()
            text = answer.read().decode()
        finally:
            link.close()
        if answer.status >= _WELL:
            raise TroubleError(f"The simulators refused {method} {path}: {text}")
        return json.loads(text) if text else None

    def listed(self, what: str) -> list[dict[str, Any]]:
        """Return a list of the control plane, such as `servicetitan/records/appointments`."""
        (items,) = self.ask("GET", f"/_sim/{what}").values()
        return list(items)

    def company(self, *, on_google: int | None = None, zone: str, **size: Any) -> list[str]:
        """Make a sample company in ServiceTitan and Google; return its technicians' names.

        `size` are ServiceTitan's seed parameters. The first `on_google` technicians (None: all)
        have Google calendars.
        """
        self.ask("POST", "/_sim/servicetitan/seed", {"zone": zone, **size})
        people = self.listed("servicetitan/records/technicians")
        named = [(one["email"], *one["name"].split()) for one in people[:on_google]]
        folk = [{"email": mail, "given": given, "family": family} for mail, given, family in named]
        sample = {"people": folk, "vans": 0, "zone": zone, "domain": "acme.example"}
        self.ask("POST", "/_sim/google-calendar/seed", sample)
        return [one["name"] for one in people]

    def answers(self, system: str) -> tuple[list[str], dict[str, str]]:
        """Return what somebody says who adds an account there: options, and secrets by name."""
        keys = self.ask("GET", f"/_sim/{system}/credentials")
        plain, secret = _ASKED[system]
        said = [f"{setting}={keys[key]}" for setting, key in plain.items()]
        options = ["--private", "yes", *(word for one in said for word in ("--set", one))]
        return options, {name: keys[name] for name in secret}

    def stop(self) -> None:
        """End the simulators."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


def present() -> None:
    """Raise TroubleError where the simulators are not installed."""
    if importlib.util.find_spec(MODULE) is None:
        raise TroubleError("The simulators are not installed:  pip install 'truckroll[demo]'")


def command(port: int) -> list[str]:
    """Return the command that serves the simulators on a loopback port (0: a free one)."""
    return [sys.executable, "-m", MODULE, "--port", str(port)]
