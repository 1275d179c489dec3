"""The command line starts fast: what a pass does not need is not loaded."""

import subprocess
import sys

import pytest

NEVER = ("rich", "openpyxl", "alembic", "babel", "dateutil", "cyclopts", "recurring_ical_events")


@pytest.mark.parametrize(
    ("first", "without"),
    [
        ("truckroll.cli.main", (*NEVER, "truckroll.app", "asyncio", "msgspec", "psycopg")),
        ("truckroll.cli.passes", (*NEVER, "icalendar", "truckroll.connectors.caldav")),
    ],
)
def test_nothing_is_loaded_that_is_not_needed(first, without):
    code = f"import sys, {first}; print(sorted(set({without}) & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
