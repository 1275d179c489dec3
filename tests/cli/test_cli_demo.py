"""The demo tells the truth, and leaves nothing running."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest

from truckroll.app import calendars
from truckroll.cli.demo import story, table
from truckroll.cli.main import main


class Watched(story.Embedded):
    """The demo's database, remembered."""

    seen: ClassVar = []

    def let_go(self):
        if self.data is not None:
            self.seen.append((self.pid, self.data))
        super().let_go()


@pytest.fixture
def place(monkeypatch):
    """Return a directory for temporary files that every account may enter."""
    made = Path(tempfile.mkdtemp(prefix="demo-test-"))
    made.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    monkeypatch.setattr(story, "Embedded", Watched)
    monkeypatch.setattr(Watched, "seen", [])
    yield made
    shutil.rmtree(made)


def runs(pid):
    return Path(f"/proc/{pid}").exists()


@pytest.mark.behaviour("CAL-11")
def test_the_demo_holds_what_it_says_and_leaves_nothing_behind(place, capsys, monkeypatch):
    monkeypatch.setenv("TRUCKROLL_DATABASE", "postgresql://the-company's-own/")
    code = main(["demo"])
    heard = capsys.readouterr()
    assert code == 0, heard.out[-3000:] + heard.err
    assert heard.err == ""
    assert "62 writes" in heard.out
    assert "changed by hand in the calendar “Ana Ruiz”" in heard.out
    assert "$ truckroll undo 3" in heard.out
    assert heard.out.rpartition("$ truckroll apply")[2].lstrip().startswith("0 writes")
    assert "65 writes" in heard.out
    assert "ServiceTitan said" in heard.out
    assert heard.out.count("No mails went to customers or technicians") == 2
    assert len({data for _, data in Watched.seen}) == 2
    for pid, data in Watched.seen:
        assert not runs(pid)
        assert not data.exists()
    assert list(place.iterdir()) == []
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(place) not in listed.stdout
    assert os.environ["TRUCKROLL_DATABASE"] == "postgresql://the-company's-own/"


def test_a_promise_that_does_not_hold_is_said_loudly(place, capsys, monkeypatch):
    monkeypatch.setattr(table, "_count", lambda _: 0)
    assert main(["demo", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["well"] is False
    assert told["commands"][-1]["command"] == "apply"
    assert list(place.iterdir()) == []


def test_without_radicale_the_demo_says_what_is_missing(place, monkeypatch, capsys):
    monkeypatch.setattr(calendars.importlib.util, "find_spec", lambda _: None)
    assert main(["demo", "--json"]) == 1
    heard = capsys.readouterr()
    assert "truckroll[demo]" in heard.err
    assert "truckroll[demo]" in json.loads(heard.out)["error"]
    assert list(place.iterdir()) == []
