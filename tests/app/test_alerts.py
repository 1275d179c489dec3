"""Alerts on their way to people: each once, over mail, Slack and a signed webhook."""

import asyncio
import json
from datetime import timedelta
from email import message_from_bytes

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from standardwebhooks import Webhook

from support.watching import make_office, receiving
from truckroll.app import alerts
from truckroll.app.hub import utc_now
from truckroll.app.trouble import TroubleError
from truckroll.store.alerts import Finding

LATE = Finding(
    "late", "field", "Nothing read Ana's calendar <since> 07:58. It is late.", "truckroll top"
)


class Post:
    """A mail server's inbox."""

    def __init__(self):
        self.mails = []
        self.refuse = 0

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 -- aiosmtpd's name
        if self.refuse:
            self.refuse -= 1
            return "451 try later"
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"


@pytest.fixture
async def post():
    inbox = Post()

    def who(server, session, envelope, mechanism, data):
        return AuthResult(success=data.password == b"right", handled=False)

    def serve():
        return SMTP(inbox, authenticator=who, auth_require_tls=False)

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
    inbox.port = server.sockets[0].getsockname()[1]
    yield inbox
    server.close()


@pytest.fixture
async def office(store, tmp_path):
    office = await make_office(store, tmp_path)
    office.clock.now = utc_now()
    return office


def mail_to(post, **more):
    return {
        "host": "127.0.0.1",
        "port": str(post.port),
        "tls": "none",
        "private": "yes",
        "from": "hub@acme.example",
        "to": "office@acme.example",
        **more,
    }


async def settle(office, *found):
    return await office.hub.store.settle_alerts(found, at=office.clock())


async def test_an_alert_is_mailed_once_and_once_when_it_is_over(office, post):
    await alerts.add_channel(office.hub, "office", "mail", mail_to(post))
    for _ in range(3):
        await settle(office, LATE)
        await alerts.deliver(office.hub)
        office.clock.go(minutes=1)
    await settle(office)
    office.clock.go(minutes=6)
    await settle(office)
    assert await alerts.deliver(office.hub) == 1
    assert await alerts.deliver(office.hub) == 0
    first, over = post.mails
    assert first["Subject"] == "[Truckroll] Nothing read Ana's calendar <since> 07:58"
    assert first["To"] == "office@acme.example"
    assert "What to do:  truckroll top" in first.get_payload()
    assert over["Subject"].startswith("[Truckroll] Well again: Nothing read")
    assert first["Message-ID"] != over["Message-ID"]


async def test_nobody_is_told_before_there_is_a_channel_then_of_what_is_open(office, post):
    assert (await settle(office, LATE)).told == 0
    assert await alerts.deliver(office.hub) == 0
    await alerts.add_channel(office.hub, "office", "mail", mail_to(post))
    assert (await settle(office, LATE)).told == 1
    assert await alerts.deliver(office.hub) == 1
    assert len(post.mails) == 1


async def test_a_mail_that_is_refused_is_tried_again_under_the_same_id_and_given_up_after_a_day(
    office, post
):
    await alerts.add_channel(office.hub, "office", "mail", mail_to(post))
    await settle(office, LATE)
    post.refuse = 1
    assert await alerts.deliver(office.hub) == 0
    assert await alerts.deliver(office.hub) == 0, "not at once"
    assert list(await office.hub.store.failing_channels()) == ["office"]
    office.clock.go(seconds=11)
    assert await alerts.deliver(office.hub) == 1
    assert await office.hub.store.failing_channels() == {}
    await settle(office, LATE, Finding("late", "shop", "Late."))
    post.refuse = 1000
    for _ in range(40):
        await alerts.deliver(office.hub)
        office.clock.go(hours=1)
    post.refuse = 0
    assert await alerts.deliver(office.hub) == 0
    assert len(post.mails) == 1
    assert list(await office.hub.store.failing_channels()) == ["office"]
    await settle(office, LATE, Finding("late", "shop", "Late."), Finding("late", "barn", "Late."))
    assert await alerts.deliver(office.hub) == 1
    assert await office.hub.store.failing_channels() == {}, "it works again"


async def test_that_it_is_over_is_told_after_what_it_was(office, post):
    await alerts.add_channel(office.hub, "office", "mail", mail_to(post))
    await settle(office, LATE)
    post.refuse = 1
    await alerts.deliver(office.hub)
    await settle(office)
    office.clock.go(minutes=6)
    await settle(office)
    assert await alerts.deliver(office.hub) == 1
    assert await alerts.deliver(office.hub) == 1
    assert ["Well again" in one["Subject"] for one in post.mails] == [False, True]


async def test_two_processes_send_a_message_once(office, post):
    await alerts.add_channel(office.hub, "office", "mail", mail_to(post))
    await settle(office, LATE)
    sent = await asyncio.gather(*(alerts.deliver(office.hub) for _ in range(4)))
    assert sum(sent) == len(post.mails) == 1


async def test_slack_and_webhook_get_theirs(office):
    async with receiving() as slack, receiving() as other:
        await alerts.add_channel(office.hub, "ops", "slack", {"url": slack.url, "private": "yes"})
        added = await alerts.add_channel(
            office.hub, "pager", "webhook", {"url": other.url, "private": "yes"}
        )
        await settle(office, LATE)
        assert await alerts.deliver(office.hub) == 2
    ((_, said),) = slack.got
    assert json.loads(said)["text"].startswith("Nothing read Ana's calendar &lt;since&gt; 07:58.")
    ((headers, body),) = other.got
    told = Webhook(added.secret).verify(body, headers)
    assert (told["type"], told["data"]["code"]) == ("alert.opened", "late")


async def test_a_silenced_alert_is_told_to_nobody_until_the_silence_is_over(office, post):
    await settle(office, LATE)
    (alert,) = await alerts.listed(office.hub)
    await alerts.silence(office.hub, alert.id, timedelta(hours=1))
    await alerts.add_channel(office.hub, "office", "mail", mail_to(post))
    assert (await settle(office, LATE)).told == 0
    (alert,) = await alerts.listed(office.hub)
    assert alert.silenced_until == office.clock() + timedelta(hours=1)
    office.clock.go(minutes=61)
    assert (await settle(office, LATE)).told == 1
    with pytest.raises(TroubleError, match="there is no alert 99"):
        await alerts.silence(office.hub, 99, timedelta(hours=1))


async def test_a_test_says_what_is_wrong_with_a_channel(office, post):
    await alerts.add_channel(
        office.hub, "office", "mail", mail_to(post, user="hub", password="right")
    )
    await alerts.test_channel(office.hub, "office")
    assert (
        post.mails[0].get_payload().startswith("This is a test of Truckroll's alerts: it arrived.")
    )
    await alerts.add_channel(office.hub, "wrong", "mail", mail_to(post, user="hub", password="no"))
    with pytest.raises(TroubleError, match="does not accept the user or password"):
        await alerts.test_channel(office.hub, "wrong")
    await alerts.add_channel(office.hub, "tls", "mail", mail_to(post, tls="starttls"))
    with pytest.raises(TroubleError, match="cannot do what is asked of it"):
        await alerts.test_channel(office.hub, "tls")
    await alerts.add_channel(office.hub, "inside", "mail", mail_to(post, private="no"))
    with pytest.raises(TroubleError, match="leads into a private network"):
        await alerts.test_channel(office.hub, "inside")


@pytest.mark.parametrize(
    ("kind", "answers", "says"),
    [
        ("pigeon", {}, "there is no kind of channel"),
        ("mail", {"host": "x"}, "also needs: to"),
        ("mail", {"host": "x", "to": "a@x", "colour": "red"}, "no setting of a mail channel"),
        ("mail", {"host": "x", "to": "a@x\nBcc: b@x"}, "one line of mail addresses"),
        ("mail", {"host": "x", "to": "a@x", "tls": "none", "password": "p"}, "without encryption"),
        ("slack", {"url": "http://127.0.0.1/x"}, "private network"),
        ("slack", {"url": "http://169.254.169.254/x", "private": "yes"}, "no server may have"),
    ],
)
async def test_a_channel_that_cannot_work_is_refused(office, kind, answers, says):
    with pytest.raises(TroubleError, match=says):
        await alerts.add_channel(office.hub, "x", kind, answers)
    assert await alerts.channel_views(office.hub) == []


async def test_a_channel_is_shown_without_its_secrets(office, post):
    await alerts.add_channel(
        office.hub, "office", "mail", mail_to(post, user="hub", password="canary")
    )
    (view,) = await alerts.channel_views(office.hub)
    assert "canary" not in str(view)
    assert view.settings["user"] == "hub"
    with pytest.raises(TroubleError, match="already"):
        await alerts.add_channel(office.hub, "office", "mail", mail_to(post))
    await alerts.remove_channel(office.hub, "office")
    with pytest.raises(TroubleError, match='there is no channel "office"'):
        await alerts.remove_channel(office.hub, "office")
