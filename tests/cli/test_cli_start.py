"""The command line starts fast: what a pass does not need is not loaded."""

import subprocess
import sys

import pytest

from truckroll.cli.parser import make_parser

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


def test_the_part_of_a_command_says_of_it_what_the_whole_says():
    whole = _commands(make_parser())
    assert {"apply", "holds", "account", "webhooks"} <= whole.keys()
    for name, parser in whole.items():
        part = _commands(make_parser(name))
        assert set(part) <= set(whole)
        assert len(part) < len(whole) / 3
        assert part[name].format_help() == parser.format_help()


def test_a_first_word_that_is_no_command_is_told_all_of_them(capsys):
    with pytest.raises(SystemExit):
        make_parser("aply").parse_args(["aply"])
    said = capsys.readouterr().err
    assert "apply" in said
    assert "webhooks" in said


def _commands(parser):
    (commands,) = (one for one in parser._actions if one.choices is not None)
    return commands.choices
