"""The demo tells the truth, and leaves nothing running."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from truckroll.app import calendars
from truckroll.cli.main import main


def left_over(place):
    return [one for one in Path(place).iterdir() if one.name.startswith("truckroll-demo-")]


def homes():
    """Return the databases of homes that the server's account could not enter."""
    place = Path("/var/lib/truckroll")
    return {one.name for one in place.iterdir()} if place.exists() else set()


@pytest.mark.behaviour("CAL-11")
def test_the_demo_holds_what_it_says_and_leaves_nothing_behind(tmp_path):
    before = homes()
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)  # under root the database has an account of its own
    ran = subprocess.run(
        [sys.executable, "-m", "truckroll.cli", "demo"],
        capture_output=True, text=True, timeout=170, check=False, env=env,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
    assert ran.stderr == ""
    assert "62 writes" in ran.stdout
    assert "changed by hand in the calendar “Ana Ruiz”" in ran.stdout
    assert "$ truckroll undo 3" in ran.stdout
    assert ran.stdout.rstrip().rpartition("$ truckroll apply")[2].lstrip().startswith("0 writes")
    assert left_over(tmp_path) == []
    assert homes() <= before
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in listed.stdout


def test_without_radicale_the_demo_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(calendars.importlib.util, "find_spec", lambda _: None)
    before = left_over(tempfile.gettempdir())
    assert main(["demo", "--json"]) == 1
    heard = capsys.readouterr()
    assert "truckroll[demo]" in heard.err
    assert "truckroll[demo]" in json.loads(heard.out)["error"]
    assert left_over(tempfile.gettempdir()) == before
