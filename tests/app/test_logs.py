"""Log lines: ids and counts, never a secret, never what a record holds."""

import base64
import io
import json
import logging
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truckroll.app.logs import PLAIN, log, plain, start_logs
from truckroll.kit import watch
from truckroll.kit.secrets import Redactor
from truckroll.store.secret import Keyring

CANARY = "canary-7f3a9c/+=x"
BASIC = base64.b64encode(b"ann:canary-7f3a9c").decode()
SHAPES = [
    f"Authorization: Bearer {CANARY}",
    f"Basic {BASIC}",
    f"https://ann:{CANARY.replace('/', '')}@calendar.example/x",
    f"https://x.example/?access_token={CANARY}",
    f"https://x.example/?api_key={CANARY}&a=1",
    f'{{"refresh_token": "{CANARY}"}}',
    f"password={CANARY}",
    f"client_secret={CANARY}",
    f"Cookie: session={CANARY}",
    f"eyJhbGciOiJIUzI1NiJ9.{BASIC.replace('=', '')}.canary-7f3a9c",
    f"whsec_{BASIC}",
    f"https://hooks.slack.com/services/T0/B0/{BASIC.replace('=', '')}",
    f"xoxb-1-{BASIC.replace('=', '')}",
    f"ya29.{BASIC.replace('=', '')}{BASIC.replace('=', '')}",
    f"-----BEGIN PRIVATE KEY-----\n{BASIC}\n-----END PRIVATE KEY-----",
]
TELLTALE = ("canary", BASIC.rstrip("="))


@pytest.fixture(autouse=True)
def quiet_again():
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    ours = logging.getLogger("truckroll").level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("truckroll").setLevel(ours)


def fail(error):
    raise error


def lines(out):
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.fault("F69")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", ["event", "account", "password", "error", "library", "raised"])
def test_no_shape_of_a_secret_comes_into_a_line(shape, how):
    for json_lines in (True, False):
        out = io.StringIO()
        start_logs(json=json_lines, out=out)
        ours = log("truckroll.test")
        if how == "event":
            ours.warning(f"asked with {shape}")
        elif how == "library":
            logging.getLogger("aiohttp").warning("sent %s to %s", shape, "x")
            logging.getLogger("aiohttp").warning("sent " + shape)  # noqa: G003 -- as some do
        elif how == "raised":
            try:
                fail(ValueError(shape))
            except ValueError:
                ours.exception("it broke")
                logging.getLogger("psycopg").exception("it broke")
        else:
            ours.warning("asked", **{how: shape})
        assert out.getvalue()
        assert not any(sign in out.getvalue() for sign in TELLTALE), out.getvalue()


def test_a_line_says_the_numbers_that_it_was_given_and_of_texts_how_long_they_are():
    out = io.StringIO()
    start_logs(json=True, out=out)
    logging.getLogger("truckroll.test").error("link %s of %s cannot be planned", 12, "Smith")
    logging.getLogger("truckroll.test").error("%d links", Decimal(3))
    told = [one["event"] for one in lines(out)]
    assert told == ["link 12 of [5 characters] cannot be planned", "%d links"]


@pytest.mark.fault("F69")
@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=12),
        st.recursive(
            st.sampled_from(["Canary at 12 Elm St", b"Canary", "canary@x.example", 7, None]),
            lambda inner: st.lists(inner) | st.dictionaries(st.just("k"), inner),
            max_leaves=5,
        ),
    )
)
def test_no_content_of_a_record_comes_through_under_any_name(event):
    event = {name: value for name, value in event.items() if name not in PLAIN}
    assert "anary" not in repr(plain(None, "info", event))


@pytest.mark.fault("F69")
@given(st.text(min_size=4, max_size=60))
def test_a_secret_that_looks_like_none_is_learnt(secret):
    redactor = Redactor()
    redactor.learn(secret)
    event = redactor(None, "info", {"event": f"a {secret} b", "error": secret})
    assert secret not in event["event"].replace("[hidden]", "\0")
    assert secret not in event["error"].replace("[hidden]", "\0")


@pytest.mark.fault("F69")
def test_sealed_settings_do_not_come_into_a_line():
    key_id, sealed = Keyring.parse(f"k:{base64.urlsafe_b64encode(bytes(32)).decode()}").seal(
        {"password": "canary"}, [1, "field"]
    )
    out = io.StringIO()
    start_logs(json=True, out=out)
    log("truckroll.test").warning("kept", sealed=sealed, row={"sealed": sealed, "key_id": key_id})
    (line,) = lines(out)
    assert line["sealed"] == f"[{len(sealed)} characters]"
    assert line["row"] == "[2 items]"


def test_bound_ids_stand_on_every_line_of_the_context_alone():
    out = io.StringIO()
    start_logs(json=True, out=out)
    with watch.bound(tenant=1, account=4), watch.bound(scope=9):
        log("truckroll.test").info("read", records=12)
        logging.getLogger("aiohttp").warning("a library says so")
    log("truckroll.test").info("idle")
    first, second, third = lines(out)
    assert {key: first[key] for key in ("tenant", "account", "scope", "records")} == {
        "tenant": 1,
        "account": 4,
        "scope": 9,
        "records": 12,
    }
    assert (first["event"], first["level"], first["logger"]) == ("read", "info", "truckroll.test")
    assert second["scope"] == 9
    assert "scope" not in third


def test_an_error_is_told_by_its_kind_and_its_places():
    out = io.StringIO()
    start_logs(json=True, out=out)
    try:
        fail(KeyError("Canary"))
    except KeyError:
        log("truckroll.test").exception("it broke")
    (line,) = lines(out)
    assert line["error"] == "KeyError"
    assert "test_logs.py:" in line["trace"]
    assert "Canary" not in out.getvalue()
