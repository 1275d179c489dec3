"""What writes do beside what they say."""

from datetime import datetime

import pytest

from truckroll.connectors.acme_dispatch import ACME_DISPATCH
from truckroll.kit.contract import Change, Draft, Missing, Removal
from truckroll.kit.errors import GiveUp
from truckroll.model.time import Timed

VISITS = ACME_DISPATCH.resource("appointment")
WHEN = datetime(2026, 11, 30, 9)


async def test_nobody_is_told_of_what_the_hub_writes(stay):
    fields = {"title": "AC", "when": Timed(start=WHEN, zone="UTC", seconds=3600)}
    draft = Draft(id="", key="k", mark="00ff", fields=fields)
    made = (await VISITS.create(stay.session, stay.scope, draft)).seen
    change = Change(made.id, made.version, {"title": "AC dead"}, made.fields, made.raw)
    made = (await VISITS.update(stay.session, stay.scope, change)).seen
    change = Change(made.id, made.version, {}, made.fields, made.raw)
    made = (await VISITS.cancel(stay.session, stay.scope, change)).seen
    removal = Removal(made.id, made.version, made.raw)
    await VISITS.remove(stay.session, stay.scope, removal)
    assert isinstance(await VISITS.read(stay.session, stay.scope, made.id), Missing)
    assert stay.server.system.kit.outbox.messages == []


def test_an_address_must_be_known():
    with pytest.raises(GiveUp, match='as the setting "api"'):
        ACME_DISPATCH.transport({"token": "t"})
