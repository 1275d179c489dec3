"""Handshakes: answered while a subscription is being made, and only then."""

import hashlib
import hmac
import html
from dataclasses import replace
from datetime import timedelta

import pytest

from kit.schemes import SCHEMES, secret_of, signed
from store.worlds import AT
from truckroll.kit import handshakes
from truckroll.kit.contract import Push
from truckroll.kit.push import Subscribed
from web.receiving import BODY, TOKEN


@pytest.mark.fault("F07")
async def test_graph_is_answered_only_while_its_subscription_is_made(hall):
    push = replace(TOKEN, handshake=handshakes.VALIDATION_TOKEN)
    query = "?validationToken=Validation%3A%20%3Cscript%3Ealert(1)%3C%2Fscript%3E"
    assert (await hall.client.post(f"/push/{'x' * 43}{query}")).status_code == 404
    row = await hall.opened(push)
    answer = await hall.client.post(f"/push/{row.path}{query}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert html.unescape(answer.text) == "Validation: <script>alert(1)</script>"
    assert "<" not in answer.text
    told = Subscribed(id="r")
    await hall.store.settle_subscription(row, told, at=AT, anew=True)
    late = await hall.client.post(f"/push/{row.path}{query}")
    assert (late.status_code, late.content) == (401, b"")


@pytest.mark.fault("F07")
async def test_asanas_secret_counts_while_the_call_that_brings_it_is_still_open(hall):
    push = Push(SCHEMES["asana"], handshake=handshakes.HOOK_SECRET)
    row = await hall.opened(push)
    secret = hashlib.sha256(b"theirs").hexdigest()
    path = f"/push/{row.path}"
    answer = await hall.client.post(path, headers={"X-Hook-Secret": secret})
    assert (answer.status_code, answer.headers["x-hook-secret"]) == (200, secret)

    signature = signature_of(secret, BODY)
    answer = await hall.client.post(path, content=BODY, headers={"X-Hook-Signature": signature})
    assert answer.status_code == 200
    await hall.store.settle_subscription(row, Subscribed(id="r"), at=AT, anew=True)
    other = hashlib.sha256(b"a stranger's").hexdigest()
    answer = await hall.client.post(path, headers={"X-Hook-Secret": other})
    assert answer.status_code == 401
    assert "x-hook-secret" not in answer.headers
    assert (await hall.store.subscription(row.id)).secret == secret


def signature_of(secret, body):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.fault("F07")
async def test_servicem8_and_monday_are_answered_only_while_they_are_made(hall):
    for push, body, echo in (
        (
            replace(TOKEN, handshake=handshakes.FORM_CHALLENGE),
            b"mode=subscribe&challenge=c1",
            b"c1",
        ),
        (
            replace(TOKEN, handshake=handshakes.JSON_CHALLENGE),
            b'{"challenge":"c2"}',
            b'{"challenge":"c2"}',
        ),
    ):
        row = await hall.opened(push)
        answer = await hall.client.post(f"/push/{row.path}", content=body)
        assert (answer.status_code, answer.content) == (200, echo)
        hall.clock[0] += timedelta(minutes=3)  # the call has come to its end, whatever became of it
        answer = await hall.client.post(f"/push/{row.path}", content=body)
        assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.fault("F07")
async def test_slack_must_sign_its_challenge(hall):
    push = Push(SCHEMES["slack-v0"], handshake=handshakes.URL_VERIFICATION)
    row = await hall.subscribed(push, secret=secret_of("slack-v0"))
    body = b'{"token":"t","challenge":"c<b>","type":"url_verification"}'
    good = signed("slack-v0", body, AT).headers
    path = f"/push/{row.path}"
    answer = await hall.client.post(path, content=body, headers=good)
    assert (answer.status_code, answer.content) == (200, b"c&lt;b&gt;")
    bad = signed("slack-v0", body, AT, number=2).headers
    answer = await hall.client.post(path, content=body, headers=bad)
    assert (answer.status_code, answer.content) == (401, b"")
    assert await hall.store.pushes(row.id) == []


async def test_trello_may_look_whether_the_address_is_there(hall):
    push = replace(TOKEN, handshake=handshakes.HEAD)
    row = await hall.opened(push)
    assert (await hall.client.head(f"/push/{row.path}")).status_code == 200
    assert (await hall.client.head(f"/push/{'x' * 43}")).status_code == 404


async def test_while_a_subscription_is_made_an_unproven_push_is_asked_to_come_again(hall):
    row = await hall.opened(TOKEN, coming="not known to them yet")
    answer = await hall.send(row, headers={"X-Token": "theirs"})
    assert answer.status_code == 503
    assert await hall.store.pushes(row.id) == []
