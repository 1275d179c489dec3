"""Channels: what Google is asked, what it sends, and how a channel ends."""

from datetime import UTC, datetime, timedelta

import pytest

from kit.schemes import arrival
from support.post import served
from truckroll.connectors.google_calendar import GOOGLE_CALENDAR, GOOGLE_WORKSPACE
from truckroll.connectors.google_calendar.channels import PUSH, delivery_id, watch
from truckroll.kit.errors import GiveUp, Gone, RetryLater
from truckroll.kit.proofs import refusal
from truckroll.kit.push import Subscribed, Wanted
from truckroll_sim.kit.faults import Fault

AT = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
TOKEN = "a token that nobody knows"


@pytest.fixture
async def box():
    """An address that keeps what comes."""
    came = []

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        message = await receive()
        came.append(arrival(headers, message["body"], datetime.now(UTC), url=scope["path"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with served(app) as address:
        yield Wanted(url=f"{address}/push/x", secret=TOKEN, name="a" * 32), came


async def test_a_channel_is_opened_with_our_token_and_ends_when_google_says(at_google, box):
    wanted, came = box
    company = at_google.server
    told = await watch(at_google.session, at_google.scope, wanted)
    channel = company.system.channels.open[told.id]
    assert (channel.id, channel.token, channel.address) == (wanted.name, TOKEN, wanted.url)
    assert abs(told.expires_at - channel.expires) < timedelta(milliseconds=1)
    assert told.more == {"resourceId": channel.resource_id}
    company.add(summary="Boiler")
    await company.system.kit.push.idle()
    assert len(came) >= 2
    assert [refusal(PUSH.proof, one, [TOKEN]) for one in came] == [""] * len(came)
    assert {refusal(PUSH.proof, one, ["another"]) for one in came} == {"wrong"}
    assert len({delivery_id(one) for one in came}) == len(came)
    first, *rest = came
    assert PUSH.handshake.answer(first).status == 200
    assert {PUSH.handshake.answer(one) for one in rest} == {None}


async def test_a_channel_is_closed_once(at_google, box):
    wanted, _ = box
    told = await watch(at_google.session, at_google.scope, wanted)
    await PUSH.stop(at_google.session, at_google.scope, told)
    assert at_google.server.system.channels.open == {}
    with pytest.raises(Gone):
        await PUSH.stop(at_google.session, at_google.scope, told)


async def test_an_organisations_channel_is_opened_and_closed_in_its_owners_name(at_workspace, box):
    wanted, _ = box
    told = await watch(at_workspace.session, at_workspace.scope, wanted)
    channel = at_workspace.server.system.channels.open[told.id]
    assert channel.account == at_workspace.server.ana
    await PUSH.stop(at_workspace.session, at_workspace.scope, told)
    assert at_workspace.server.system.channels.open == {}


async def test_an_address_that_google_does_not_take_is_told_with_its_words(at_google):
    wanted = Wanted(url="http://hub.example/push/x", secret=TOKEN, name="b" * 32)
    with pytest.raises(Exception, match="HTTPS") as caught:
        await watch(at_google.session, at_google.scope, wanted)
    assert caught.value.says.endswith("[400]") or "[400]" in caught.value.says


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 403, "reason": "forbidden"}, GiveUp),
        ({"status": 403, "reason": "rateLimitExceeded"}, RetryLater),
    ],
)
async def test_a_refusal_says_what_to_do_next(at_google, box, fault, error):
    wanted, _ = box
    at_google.server.system.kit.faults.add(Fault(kind="status", path="*/watch", **fault))
    with pytest.raises(error):
        await watch(at_google.session, at_google.scope, wanted)


def test_a_message_without_its_number_has_no_id_of_its_own():
    assert delivery_id(arrival({"X-Goog-Channel-ID": "a"}, b"", AT)) == ""
    both = {"X-Goog-Channel-ID": "a", "X-Goog-Message-Number": "7"}
    assert delivery_id(arrival(both, b"", AT)) == "a\n7"


def test_both_connectors_have_it_and_never_show_the_token():
    assert GOOGLE_CALENDAR.push is PUSH is GOOGLE_WORKSPACE.push
    assert TOKEN not in repr(Wanted(url=TOKEN, secret=TOKEN, name="n"))
    assert TOKEN not in repr(Subscribed(id="r", secret=TOKEN))
