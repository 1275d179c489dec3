import io
import traceback
from datetime import timedelta

import pytest
import structlog
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from truckroll.kit.auth import ApiKey, Basic, Bearer, OAuth2, OAuthApp, Tokens, authorization_url
from truckroll.kit.contract import Session
from truckroll.kit.errors import VendorError
from truckroll.kit.http import Limits, Transport, open_client
from truckroll.kit.secrets import HIDDEN, Redactor, redact

CANARY = "canary-7f3a9c/+=x"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization: Basic {CANARY}",
        f"{{'Authorization': 'Bearer {CANARY}'}}",
        f"sent bearer {CANARY} to it",
        "https://ann:canary-7f3a9c+=x@calendar.example/x",
        f"https://x.example/?access_token={CANARY}&a=1",
        f"https://x.example/?key=1&api_key={CANARY}",
        f'{{"refresh_token": "{CANARY}"}}',
        f"client_secret={CANARY}",
        f"password: {CANARY}",
        f"ApiKey={CANARY}",
        f"Cookie: session={CANARY}; other=1",
        f'Authorization: Digest username="ann", response="{CANARY}"',
        f"Set-Cookie: JSESSIONID={CANARY}",
        "eyJhbGciOiJIUzI1NiJ9.canary-7f3a9c.canary-7f3a9c",
    ],
)
@pytest.mark.fault("F69")
def test_what_looks_like_a_secret_is_hidden(text):
    assert "canary" not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Radicale does not accept the sign-in of account field any more. Sign in again [401].",
        "The token of the job is at the gate.",
        "Call Ann at https://example.com/a?b=c, not before 9:00.",
        "key lime pie: 3 pieces",
    ],
)
def test_plain_sentences_stay_as_they_are(text):
    assert redact(text) == text


@given(st.text(), st.lists(st.text(min_size=4), max_size=3))
def test_a_known_secret_is_never_left(text, secrets):
    for secret in secrets:
        cleaned = redact(text + secret + text, secrets)
        assert secret not in cleaned.replace(HIDDEN, "\0")


def test_a_secret_is_found_in_its_url_form():
    assert redact("a?k=p%2Fq%2Br&x", ["p/q+r"]) == f"a?k={HIDDEN}&x"


@pytest.mark.fault("F69")
def test_no_log_line_shows_a_secret():
    out = io.StringIO()
    redactor = Redactor()
    redactor.learn(CANARY)
    log = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[
            structlog.processors.format_exc_info,
            redactor,
            structlog.processors.JSONRenderer(),
        ],
    )
    log.info("signed in", password="canary-plain", headers={"Authorization": f"Bearer {CANARY}"})
    address = f"url https://x/?q={CANARY}"
    log.info(address, items=[CANARY, {"access_token": "canary-plain"}])
    log.info("raw", body=CANARY.encode(), tokens=Tokens(CANARY, CANARY), count=3, on=True, no=None)
    try:
        int(CANARY)
    except ValueError:
        log.exception("it broke")
    text = out.getvalue()
    assert "canary" not in text
    assert '"count": 3' in text
    assert '"on": true' in text
    assert "ValueError" in text
    assert "canary" not in repr(redactor)


APP = OAuthApp("Jobber", "https://t.example/", "me", CANARY, token_extra={"x": CANARY})


def credentials(url):
    app = OAuthApp("Jobber", f"{url}token?x=1", "me", CANARY, private=True)
    return [
        Basic("ann", CANARY),
        Bearer(CANARY),
        ApiKey("X-Key", CANARY),
        ApiKey("key", CANARY, "query"),
        OAuth2(app, Tokens(CANARY, CANARY)),
    ]


@pytest.mark.fault("F69")
def test_no_text_form_shows_a_secret():
    values = [
        *credentials("http://127.0.0.1/"),
        APP,
        Tokens(CANARY, CANARY, more={"id": CANARY}),
        Session("field", "Radicale", {"password": CANARY}, None),
    ]
    for value in values:
        for text in (
            repr(value),
            str(value),
            f"{[value]}",
            f"{Transport('https://x/', auth=None)}",
        ):
            assert "canary" not in text
        if not isinstance(value, Session):
            assert "canary" not in repr(Transport("https://x.example/", auth=value))
    url = authorization_url(APP, redirect_uri="https://h/", state="s", verifier=CANARY)
    assert "canary" not in url


def breaks(kind):
    """Answers in a way that fails, echoing every secret it was sent."""

    async def handler(request):
        echo = f"{dict(request.headers)} {request.url} {await request.text()}"
        if kind == "hang up":
            request.transport.close()
        if kind == "circle":
            return web.Response(status=302, headers={"Location": str(request.url)})
        if kind == "elsewhere":
            return web.Response(status=302, headers={"Location": f"https://e.example/?k={CANARY}"})
        if kind == "garbage":
            return web.Response(body=echo.encode(), headers={"Content-Encoding": "gzip"})
        if kind == "large":
            return web.Response(text=echo + "x" * 5000)
        if kind == "slow":
            return web.Response(status=429, text=echo, headers={"Retry-After": "900"})
        return web.Response(status=int(kind), text=echo)

    return handler


@pytest.mark.fault("F69")
@pytest.mark.parametrize(
    "kind", ["401", "500", "503", "slow", "hang up", "circle", "elsewhere", "garbage", "large"]
)
@pytest.mark.parametrize("which", range(5))
async def test_no_error_and_no_call_log_shows_a_secret(serve, clock, kind, which):
    url = await serve(breaks(kind))
    auth = credentials(url)[which]
    transport = Transport(url, auth=auth, private=True, limits=Limits(body_bytes=4000))
    opened = open_client(transport, system="Radicale", account="field", timing=clock.timing)
    async with opened as http:
        for method, headers in (("GET", {}), ("PUT", {"X-Token": CANARY})):
            with pytest.raises(VendorError) as caught:
                await http.request(
                    method,
                    f"/a?token={CANARY.replace('+', '%2B')}",
                    headers=headers,
                    body=CANARY.encode(),
                    timeout=timedelta(seconds=5),
                )
            shown = [
                caught.value.says,
                str(caught.value),
                repr(caught.value),
                repr(http),
                "".join(traceback.format_exception(caught.value)),
            ]
            assert "canary" not in "\n".join(shown)
