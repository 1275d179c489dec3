"""What the tests of writing to a simulated tenant do."""

import pytest

from contract import samples
from contract.sentences import assert_sentence
from truckroll.connectors.servicetitan import SERVICETITAN
from truckroll.kit.contract import Change, Draft
from truckroll.kit.errors import HoldRecord
from truckroll.model.time import Timed

APPOINTMENTS = SERVICETITAN.resource("appointment")
WHEN = Timed(samples.at("2099-03-04T10:00"), "America/Chicago", seconds=5400)


def visit_of(job):
    return str(job["firstAppointmentId"])


async def read(stay, id_):
    return await APPOINTMENTS.read(stay.session, stay.scope, id_)


async def change(stay, id_, write=APPOINTMENTS.update, **fields):
    seen = await read(stay, id_)
    asked = Change(id_, seen.version, fields, {**seen.fields, **fields}, seen.raw)
    return await write(stay.session, stay.scope, asked)


async def refused(stay, id_, error=HoldRecord, write=APPOINTMENTS.update, **fields):
    before = writes(stay.server)
    with pytest.raises(error) as caught:
        await change(stay, id_, write, **fields)
    assert_sentence(caught.value.says)
    return caught.value.says, writes(stay.server)[len(before) :]


def writes(company):
    """Return the calls that changed something, as method and last part of the path."""
    calls = company.system.kit.calls
    return [
        f"{call.method} {call.path.rpartition('/')[2]}"
        for call in calls
        if call.method != "GET" and not call.path.endswith("/token")
    ]


def draft(mark="00000000000000aa", **fields):
    whole = {"title": "AC not cooling", "when": WHEN, **fields}
    return Draft(id="", key=f"{mark}-7-0", mark=mark, fields=whole)


async def create(stay, asked):
    return await APPOINTMENTS.create(stay.session, stay.scope, asked)
