"""Deliveries: signed, at least once, patient, and never into the house."""

import asyncio
import json
from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from store.worlds import make_world
from support.watching import make_office, receiving
from truckroll.app import alerts, webhooks
from truckroll.app.hub import utc_now
from truckroll.app.trouble import TroubleError


@pytest.fixture
async def office(store, tmp_path):
    office = await make_office(store, tmp_path)
    office.clock.now = utc_now()
    office.clock.go(seconds=10)  # the journal's own clock goes on meanwhile
    return office


@pytest.fixture
async def receiver():
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def added(office, receiver):
    return await webhooks.add(office.hub, receiver.url, private=True)


async def happen(office):
    """Let a run end: one event."""
    world = await make_world(office.hub.store, f"r{office.clock().timestamp()}")
    async with office.hub.store.run(world.recipe, "apply") as run:
        await office.hub.store.end_run(run, {"writes": 2})


async def test_a_delivery_is_proven_by_the_librarys_own_verifier(office, receiver, added):
    await happen(office)
    assert await webhooks.deliver_due(office.hub) == 1
    ((headers, body),) = receiver.got
    told = Webhook(added.secret).verify(body, headers)
    assert (told["type"], told["data"]["writes"]) == ("run.finished", 2)
    assert headers["Content-Type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(added.secret).verify(body.replace(b"2", b"3"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(alerts.new_secret()).verify(body, headers)
    assert await webhooks.deliver_due(office.hub) == 0
    (line,) = await webhooks.log(office.hub)
    assert (line.status, line.attempts, line.head, line.problem) == (200, 1, "said 200", "")


async def test_a_failure_is_tried_again_later_with_the_same_id_and_body(office, receiver, added):
    await happen(office)
    receiver.answers = [500, 302, 200]
    assert await webhooks.deliver_due(office.hub) == 0
    (line,) = await webhooks.log(office.hub)
    assert (line.status, line.problem) == (500, "The receiver did not take it [500].")
    assert line.next_at == office.clock() + timedelta(seconds=5)
    assert await webhooks.deliver_due(office.hub) == 0
    assert len(receiver.got) == 1, "not before its time"
    office.clock.go(seconds=6)
    assert await webhooks.deliver_due(office.hub) == 0
    office.clock.go(seconds=31)
    assert await webhooks.deliver_due(office.hub) == 1
    ids = {headers["webhook-id"] for headers, _ in receiver.got}
    assert len(ids) == 1
    assert len({body for _, body in receiver.got}) == 1
    assert len(receiver.got) == 3


async def test_a_receiver_that_asks_for_a_pause_gets_it(office, receiver, added):
    await happen(office)
    receiver.answers, receiver.headers = [429], {"Retry-After": "900"}
    await webhooks.deliver_due(office.hub)
    (line,) = await webhooks.log(office.hub)
    assert line.next_at == office.clock() + timedelta(seconds=900)


async def test_after_three_days_it_is_paused_with_notice_and_nothing_is_lost(
    office, receiver, added
):
    await happen(office)
    receiver.answers = [500] * 100
    attempts = 0
    while not (await webhooks.listed(office.hub))[0].paused_at:
        await webhooks.deliver_due(office.hub)
        office.clock.go(minutes=30)
        attempts += 1
        assert attempts < 400
    assert 12 <= len(receiver.got) <= 20, "it pauses longer and longer"
    assert timedelta(days=3) <= timedelta(minutes=30 * attempts) <= timedelta(days=4)
    await alerts.look(office.hub)
    (alert,) = [one for one in await alerts.listed(office.hub) if one.code == "webhook_paused"]
    assert "it has taken nothing for 3 days" in alert.says
    await happen(office)
    office.clock.go(days=1)
    assert await webhooks.deliver_due(office.hub) == 0
    receiver.answers = []
    await webhooks.resume(office.hub, added.id)
    assert await webhooks.deliver_due(office.hub) == 3, "two runs and the alert about the pause"


async def test_one_event_that_is_never_taken_does_not_stop_the_others(office, receiver, added):
    await happen(office)
    receiver.answers = [500]
    await webhooks.deliver_due(office.hub)
    for _ in range(10):
        office.clock.go(hours=10)
        await happen(office)
        receiver.answers = [500]
        await webhooks.deliver_due(office.hub)
    (endpoint,) = await webhooks.listed(office.hub)
    assert endpoint.paused_at is None
    lines = await webhooks.log(office.hub)
    assert lines[-1].next_at is None, "given up alone"


async def test_an_endpoint_that_says_it_is_gone_is_paused_at_once(office, receiver, added):
    await happen(office)
    receiver.answers = [410]
    await webhooks.deliver_due(office.hub)
    (endpoint,) = await webhooks.listed(office.hub)
    assert "gone for good" in endpoint.paused_why
    assert endpoint.waiting == 1


async def test_what_was_delivered_is_delivered_again_on_request(office, receiver, added):
    await happen(office)
    await webhooks.deliver_due(office.hub)
    (line,) = await webhooks.log(office.hub)
    again = await webhooks.redeliver(office.hub, line.id)
    assert again.done_at is not None
    first, second = receiver.got
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    with pytest.raises(TroubleError, match="there is no delivery 99"):
        await webhooks.redeliver(office.hub, 99)


async def test_a_test_goes_to_its_endpoint_alone_whatever_it_listens_to(office, receiver):
    async with receiving() as other:
        one = await webhooks.add(office.hub, receiver.url, ["record.written"], private=True)
        await webhooks.add(office.hub, other.url, private=True)
        line = await webhooks.test(office.hub, one.id)
        assert (line.type, line.status) == ("webhook.test", 200)
        assert (len(receiver.got), other.got) == (1, [])
    with pytest.raises(TroubleError, match="there is no webhook 99"):
        await webhooks.test(office.hub, 99)


async def test_only_the_wanted_types_are_delivered(office, receiver):
    await webhooks.add(office.hub, receiver.url, ["record.held"], private=True)
    await happen(office)
    assert await webhooks.deliver_due(office.hub) == 0
    assert receiver.got == []


async def test_many_processes_deliver_each_event_once(office, receiver, added):
    for _ in range(5):
        await happen(office)
        office.clock.go(seconds=1)
    arrived = await asyncio.gather(*(webhooks.deliver_due(office.hub) for _ in range(4)))
    assert sum(arrived) == 5
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == len(receiver.got) == 5


async def test_one_that_hangs_holds_up_no_other(office, receiver, added, monkeypatch):
    gate = asyncio.Event()

    async def hang(reader, writer):
        await gate.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await webhooks.add(office.hub, f"http://127.0.0.1:{port}/", private=True)
    await happen(office)
    work = asyncio.create_task(webhooks.deliver_due(office.hub))
    async with asyncio.timeout(10):
        while not receiver.got:  # noqa: ASYNC110 -- the receiver is a plain server
            await asyncio.sleep(0.01)
    gate.set()
    assert await work == 1
    server.close()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "ftp://x.example/", "https://u:p@x.example/"]
)
async def test_an_address_that_may_not_be_called_is_refused(office, url):
    with pytest.raises(TroubleError):
        await webhooks.add(office.hub, url)
    with pytest.raises(TroubleError, match="there is no type of event"):
        await webhooks.add(office.hub, "https://x.example/", ["record.writen"])
    assert await webhooks.listed(office.hub) == []


async def test_a_name_that_leads_inside_is_not_called(office, receiver):
    inside = receiver.url.replace("127.0.0.1", "localhost")
    await webhooks.add(office.hub, inside)
    await happen(office)
    assert await webhooks.deliver_due(office.hub) == 0
    assert receiver.got == []
    (line,) = await webhooks.log(office.hub)
    assert "private network" in line.problem
    assert json.dumps(line.head) == '""'
