"""The units and the compose file are well-formed and call what there is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
CHECKER = shutil.which("systemd-analyze")


@pytest.mark.skipif(CHECKER is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_each_unit_as_it_is(unit, tmp_path):
    text = unit.read_text().replace("/opt/truckroll/bin/truckroll", shutil.which("true"))
    place = tmp_path / unit.name.replace("@.", "@1.")
    place.write_text(text)
    ran = subprocess.run(
        [CHECKER, "verify", "--man=no", str(place)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in ran.stderr.splitlines() if place.name in line]
    assert ours == []


def test_every_file_that_the_container_is_built_from_is_there():
    text = (DEPLOY / "Containerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_page_names_every_file_of_the_folder():
    page = (ROOT / "docs" / "operating.md").read_text()
    assert [one.name for one in DEPLOY.iterdir() if one.name not in page] == []
