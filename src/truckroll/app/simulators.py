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

from truckroll.app.calendars import free_port
from truckroll.app.trouble import TroubleError

if TYPE_CHECKING:
    from pathlib import Path

# Named, never imported: what the simulators are is none of the hub's knowledge.
MODULE = "truckroll_sim"
_UP_SECONDS = 30.0
_WELL = 400


class Simulators:
    """Running simulators of vendors, all at one address. Ended by `stop`; they keep nothing."""

    def __init__(self, folder: Path) -> None:
        present()
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "simulators.log"
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The process id of the simulators."""
        return self._process.pid

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 -- our own interpreter and our own package
                command(self.port),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until = time.monotonic() + _UP_SECONDS
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.ask("GET", "/_sim/")
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
