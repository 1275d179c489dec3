"""The pages on observability, alerts and webhooks say what the code does."""

import re
from pathlib import Path

import pytest

from support.watching import Clock
from truckroll.app import alarms
from truckroll.app.alerts import _KNOWN
from truckroll.app.gauges import Gauges
from truckroll.app.observe import Meter
from truckroll.app.webhooks import _PAUSES, EVENTS, PATIENCE
from truckroll.cli.parser import make_parser

DOCS = Path(__file__).parents[2] / "docs"
SOURCE = Path(alarms.__file__).read_text(encoding="utf-8")


def page(name):
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def named(text, what):
    return set(re.findall(rf"`({what})`", text))


def test_every_metric_is_on_the_page_and_there_is_no_other():
    meter = Meter()
    Gauges(meter.registry, Clock())
    names = {
        one.name + ("_total" if one.type == "counter" else "") for one in meter.registry.collect()
    }
    assert named(page("observability"), r"truckroll_\w+") == names


def test_every_reason_for_an_alert_is_on_the_page_and_there_is_no_other():
    told = set(re.findall(r"^\| `(\w+)` \|", page("alerts"), re.MULTILINE))
    raised = set(re.findall(r'Finding\(\s*"(\w+)"', SOURCE))
    assert told == raised


def test_every_event_is_on_the_page_and_there_is_no_other():
    rows = "\n".join(line for line in page("webhooks").splitlines() if line.startswith("| `"))
    assert named(rows, r"\w+\.\w+") == set(EVENTS)


def test_the_pauses_are_those_on_the_page():
    assert [round(one.total_seconds()) for one in _PAUSES] == [
        *(5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200),
    ]
    assert PATIENCE.days == 3
    assert "after 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h" in page("webhooks")


@pytest.mark.parametrize("name", ["observability", "alerts", "webhooks"])
def test_every_command_on_the_pages_can_be_typed(name):
    text = page(name).replace("\\\n", " ")
    lines = re.findall(r"^(?:truckroll )(.*?)(?:\s{2,}#.*)?$", text, re.MULTILINE)
    assert lines
    for line in lines:
        assert make_parser().parse_args(line.split()).run


def test_the_kinds_of_channels_are_those_on_the_page():
    assert set(re.findall(r"truckroll alerts add \w+ (\w+)", page("alerts"))) == set(_KNOWN)
