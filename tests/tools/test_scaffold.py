"""What `make connector` writes is green at once: it is made in a copy of the project and tried."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("src", "tools", "docs/connectors", "tests/contract", "tests/support")
FILES = ("pyproject.toml", ".importlinter", "Makefile")
NAME, TITLE = "umbrella-9-field-services", "UmbrellaNine & Sons' Services"
PACKAGE = "umbrella_9_field_services"
PARTS = [
    "truckroll/connectors/" + PACKAGE,
    "truckroll_sim/" + PACKAGE,
]


class Copy:
    """A copy of the project in which connectors may be written."""

    def __init__(self, root):
        self.root = root
        skip = shutil.ignore_patterns("__pycache__")
        for name in COPIED:
            shutil.copytree(ROOT / name, root / name, ignore=skip)
        for name in FILES:
            shutil.copy(ROOT / name, root / name)

    def run(self, *command):
        env = {**os.environ, "PYTHONPATH": str(self.root / "src")}
        env.pop("PYTEST_ADDOPTS", None)
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def well(self, *command):
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def written(self):
        return [str(path) for path in self.root.rglob("*.py") if PACKAGE in path.parts]


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path / "project")


def pytest_of(copy, *more):
    return copy.well("-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *more)


@pytest.mark.parametrize("options", [(), ("--without-etag",)], ids=["etag", "without-etag"])
def test_what_is_written_passes_the_contract_suite_at_once(copy, options):
    copy.well("tools/scaffold", NAME, TITLE, *options)
    told = pytest_of(
        copy, "tests/contract", f"tests/connectors/{PACKAGE}", "-k", f"{NAME} or {PACKAGE}"
    )
    assert int(told.split(" passed")[0].split()[-1]) > 60
    assert "failed" not in told
    assert "acme" not in "".join(Path(path).read_text().lower() for path in copy.written())
    copy.well("-m", "ruff", "check", "--no-cache", *copy.written())
    copy.well("-m", "ruff", "format", "--no-cache", "--check", *copy.written())


def test_the_hub_and_the_box_find_it_and_the_page_names_it(copy):
    copy.well("tools/scaffold", NAME, TITLE)
    asked = "from truckroll.app.systems import connector; print(connector({!r}).title)"
    assert copy.well("-c", asked.format(NAME)).strip() == TITLE
    asked = "from truckroll_sim.systems import SYSTEMS; print([one.name for one in SYSTEMS])"
    assert repr(NAME) in copy.well("-c", asked)
    page = (copy.root / "docs/connectors/README.md").read_text()
    assert f"- [{TITLE}]({NAME}.md)\n" in page
    assert f"| {NAME} | appointment | RCUXDQ | checked by the system |" in page


def test_nothing_is_written_over_and_slips_are_told_in_a_sentence(copy):
    for arguments, said in (
        (("Acme", "Acme"), '"Acme" is no name'),
        (("import", "Acme"), '"import" is no name'),
        (("acme", 'The "A"'), "is no title"),
        (("acme", ""), "is no title"),
        (("a" * 31, "Acme"), "at most 30"),
        (("ical-feed", "Feeds"), "is there already. Nothing was written."),
    ):
        done = copy.run("tools/scaffold", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not (copy.root / "src/truckroll_sim/ical_feed").exists()


@pytest.mark.long
@pytest.mark.parametrize("options", [(), ("--without-etag",)], ids=["etag", "without-etag"])
def test_what_is_written_is_typed_and_keeps_the_layers(copy, options):
    copy.well("tools/scaffold", NAME, TITLE, *options)
    copy.well("-m", "mypy", *(f"src/{part}" for part in PARTS))
    copy.well("-c", "from importlinter.cli import lint_imports_command as lint; lint()")
