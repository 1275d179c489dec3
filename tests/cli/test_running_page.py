"""docs/running.md is so: each of its commands is run, in its order, and what it shows comes."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "running.md"
UP = "truckroll up"
_BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks():
    """Return the page's blocks: each a list of commands with the lines that they show."""
    found = []
    for text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        commands = []
        for line in text.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
        found.append(commands)
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Desk:
    """A person with a shell, and other windows in which the hub is up."""

    def __init__(self, folder, environment, port):
        self.folder, self.environment, self.port = folder, environment, port
        self.up = []
        self.token = ""

    def run(self, command):
        """Run a command; what it sets is known to later ones."""
        script = f'{command}\necho "@@$TOKEN"'
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**self.environment, "TOKEN": self.token},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        out, _, self.token = done.stdout.rstrip("\n").rpartition("@@")
        return out

    def begin(self, command):
        """Run `truckroll up` in a window of its own, and return what it says once it is up."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.up.append(process)
        said = ""
        while "End it with Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, (said, process.stderr.read())
            said += line
        return said

    def end(self):
        """Press Ctrl-C in each window."""
        while self.up:
            process = self.up.pop()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            assert (process.returncode, out.strip(), err) == (0, "ended", "")


@pytest.fixture
def desk(tmp_path, database_url):
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "truckroll"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m truckroll.cli "$@"\n')
    program.chmod(0o755)
    port = free_port()
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "TRUCKROLL_HOME": str(tmp_path / "home"),
        "TRUCKROLL_DATABASE": database_url,
        "TRUCKROLL_LISTEN": f"127.0.0.1:{port}",
    }
    made = Desk(tmp_path, environment, port)
    yield made
    for process in made.up:
        process.kill()
        process.communicate()


def test_each_command_of_the_page_does_what_the_page_says(desk):
    shown, ran = "", 0
    for commands in blocks():
        if any(command.startswith(UP) for command, _ in commands):
            desk.end()
        for command, lines in commands:
            said = command.replace("8460", str(desk.port))
            out = desk.begin(said) if command.startswith(UP) else desk.run(said)
            for line in lines:
                assert line.replace("8460", str(desk.port)) in out.splitlines(), (command, out)
            shown += out
            ran += 1
    desk.end()
    assert ran >= 28
    for word in ("1 write", "office.csv", "truckroll_promise_seconds", '"accounts":[', "J-1"):
        assert word in shown


def test_what_the_page_says_of_how_often_is_so():
    from truckroll.app.freshness import PROMISE  # noqa: PLC0415 -- beside what it is about
    from truckroll.app.polling import PUSHED  # noqa: PLC0415 -- the same
    from truckroll.app.systems import connector  # noqa: PLC0415 -- the same

    seconds = {
        name: connector(name).poll.total_seconds()
        for name in ("file", "servicetitan", "google-calendar", "caldav", "ical-feed")
    }
    assert seconds == {
        "file": 10,
        "servicetitan": 30,
        "google-calendar": 60,
        "caldav": 120,
        "ical-feed": 900,
    }
    assert PUSHED.total_seconds() == PROMISE.total_seconds() == 900
