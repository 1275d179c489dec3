"""What the connector's calls are, and what they do beside what they say."""

from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from re import sub

import pytest

from truckroll.connectors.acme_dispatch import ACME_DISPATCH
from truckroll.kit.contract import Change, Draft, Missing, Removal
from truckroll.kit.errors import GiveUp
from truckroll.model.time import Timed

PAGE = (Path(__file__).parents[3] / "docs" / "connectors" / "acme-dispatch.md").read_text()
HEADINGS = [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
VISITS = ACME_DISPATCH.resource("appointment")
WHEN = datetime(2026, 11, 30, 9)


@pytest.fixture
async def story(stay):
    """Everything that the connector can do, once; gives what the simulator saw of it."""
    await stay.list()
    session, scope = stay.session, stay.scope
    fields = {"title": "AC", "when": Timed(start=WHEN, zone="UTC", seconds=3600)}
    made = (await VISITS.create(session, scope, Draft("", "k", "00ff", fields))).seen
    change = Change(made.id, made.version, {"title": "AC dead"}, made.fields, made.raw)
    made = (await VISITS.update(session, scope, change)).seen
    change = Change(made.id, made.version, {}, made.fields, made.raw)
    made = (await VISITS.cancel(session, scope, change)).seen
    await VISITS.remove(session, scope, Removal(made.id, made.version, made.raw))
    assert isinstance(await VISITS.read(session, scope, made.id), Missing)
    return stay.server.system.kit


def test_nobody_is_told_of_what_the_hub_writes(story):
    assert story.outbox.messages == []


def test_every_call_has_its_heading_on_the_page(story):
    patterns = [sub(r"{\w+}", "*", heading) for heading in HEADINGS]
    for made in {f"{call.method} {call.path}" for call in story.calls}:
        assert any(fnmatchcase(made, pattern) for pattern in patterns), made


def test_an_address_must_be_known():
    with pytest.raises(GiveUp, match='as the setting "api"'):
        ACME_DISPATCH.transport({"token": "t"})
