import base64
import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from msgspec.structs import replace

from kit.schemes import SCHEMES, SEVERAL, URL, arrival, secret_of, signed
from truckroll.kit import handshakes
from truckroll.kit.proofs import (
    Basic,
    InBody,
    Jwt,
    Token,
    Unsigned,
    refusal,
    secret_headers,
)

AT = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
BODY = b'{"event": "task.changed", "id": 17}'
SIGNED = sorted(SCHEMES)
TIMED = sorted(name for name, proof in SCHEMES.items() if proof.timestamp)
SHARED = Path(os.environ.get("TRUCKROLL_SHARED", Path(__file__).parents[3] / "shared"))
VECTORS = SHARED / "data" / "webhooks" / "signature-vectors.json"
PUBLISHED = json.loads(VECTORS.read_text())["vectors"] if VECTORS.exists() else []


def refused(scheme, push, *numbers):
    secrets = [secret_of(scheme, number) for number in numbers or (1,)]
    return refusal(SCHEMES[scheme], push, secrets)


def with_header(push, name, change):
    return replace(push, headers={**push.headers, name.lower(): change(push.headers[name.lower()])})


def raw_signature(scheme, push):
    """Return the text of the signature alone, without prefix and timestamp."""
    proof = SCHEMES[scheme]
    value = push.headers[proof.header.lower()]
    return value.rpartition(proof.prefix)[2] if proof.prefix else value


# Signatures, with every mutation of the shared list


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", SIGNED)
def test_what_the_vendor_signed_is_proven(scheme):
    assert refused(scheme, signed(scheme, BODY, AT)) == ""


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", SIGNED)
def test_another_body_is_wrong(scheme):
    push = signed(scheme, BODY, AT)
    flipped = bytes([BODY[0] ^ 1]) + BODY[1:]
    serialised = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
    for body in (flipped, serialised, BODY + b"\n", b""):
        assert refused(scheme, replace(push, body=body)) == "wrong"


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", SIGNED)
def test_without_a_signature_there_is_no_proof(scheme):
    push = signed(scheme, BODY, AT)
    name = SCHEMES[scheme].header.lower()
    bare = {key: value for key, value in push.headers.items() if key != name}
    assert refused(scheme, replace(push, headers=bare)) == "missing"
    for empty in ("", " ", SCHEMES[scheme].prefix, "none"):
        assert refused(scheme, with_header(push, name, lambda _, text=empty: text)) == "missing"


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", SIGNED)
def test_a_signature_of_another_secret_is_wrong(scheme):
    assert refused(scheme, signed(scheme, BODY, AT, number=2)) == "wrong"
    assert refusal(SCHEMES[scheme], signed(scheme, BODY, AT), []) == "missing"
    assert refusal(SCHEMES[scheme], signed(scheme, BODY, AT), [""]) == "missing"


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", SIGNED)
def test_while_a_secret_is_exchanged_both_count(scheme):
    for number in (1, 2):
        assert refused(scheme, signed(scheme, BODY, AT, number=number), 1, 2) == ""
    assert refused(scheme, signed(scheme, BODY, AT, number=3), 1, 2) == "wrong"


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", SIGNED)
def test_of_two_signatures_the_second_counts_where_the_scheme_lists_several(scheme):
    proof = SCHEMES[scheme]
    push = signed(scheme, BODY, AT)
    other = raw_signature(scheme, signed(scheme, BODY, AT, number=2))
    glue = proof.separator or ","
    two = with_header(push, proof.header, lambda own: f"{proof.prefix}{other}{glue}{own}")
    assert refused(scheme, two) == ("" if scheme in SEVERAL else "missing")


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_push_out_of_its_time_is_stale(scheme, minutes):
    push = signed(scheme, BODY, AT + timedelta(minutes=minutes))
    assert refused(scheme, replace(push, at=AT)) == "stale"
    assert refused(scheme, replace(push, at=AT + timedelta(minutes=minutes * 4 / 6))) == ""


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize("stamp", ["", "soon", "-1", "1e400", "\u0661\u0667", "9" * 400])
def test_a_timestamp_that_is_none_is_refused(scheme, stamp):
    push = signed(scheme, BODY, AT)
    proof = SCHEMES[scheme]
    if proof.timestamp.endswith("="):
        own = raw_signature(scheme, push)
        bad = with_header(push, proof.header, lambda _: f"t={stamp},v1={own}")
    else:
        bad = with_header(push, proof.timestamp, lambda _: stamp)
    assert refused(scheme, bad) in ("wrong", "stale", "missing")


@pytest.mark.fault("F06")
@pytest.mark.parametrize("scheme", [one for one in SIGNED if SCHEMES[one].encoding != "base64"])
def test_the_case_of_hex_digits_does_not_matter(scheme):
    push = signed(scheme, BODY, AT)
    own = raw_signature(scheme, push)
    upper = with_header(push, SCHEMES[scheme].header, lambda text: text.replace(own, own.upper()))
    assert refused(scheme, upper) == ""


def test_either_encoding_is_taken_where_the_sheet_does_not_know():
    push = signed("servicetitan", BODY, AT)
    as_base64 = with_header(
        push,
        "x-servicetitan-signature",
        lambda text: base64.b64encode(bytes.fromhex(text)).decode(),
    )
    assert refused("servicetitan", as_base64) == ""


def test_a_signature_over_the_address_counts_for_that_address_alone():
    for scheme in ("trello", "hubspot-v3"):
        push = signed(scheme, BODY, AT)
        assert refused(scheme, replace(push, url=URL.replace("/a", "/b"))) == "wrong"


def test_hubspot_decodes_only_what_its_documentation_names():
    for url in (
        "https://hub.example/push/a?q=%20b%26%3d%2B",
        "https://hub.example/push/a?q=%3a%2f%2C",
    ):
        assert refused("hubspot-v3", signed("hubspot-v3", BODY, AT, url=url)) == ""
    push = signed("hubspot-v3", BODY, AT, url="https://hub.example/push/a?q=%20")
    spaced = replace(push, url="https://hub.example/push/a?q= ")
    assert refused("hubspot-v3", spaced) == "wrong"


def test_many_signatures_do_not_make_much_work():
    push = signed("standard-webhooks", BODY, AT)
    many = with_header(push, "webhook-signature", lambda own: " ".join(["v1,AAAA"] * 500 + [own]))
    assert refused("standard-webhooks", many) == "missing"


@pytest.mark.shared
@pytest.mark.fault("F06")
@pytest.mark.skipif(not PUBLISHED, reason="the shared material is not here")
@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda one: one["scheme"])
class TestVectors:
    """The shared vectors; their timestamps are old, so the clock stands at theirs."""

    def push(self, vector):
        proof = SCHEMES[vector["scheme"]]
        headers = {name.lower(): value for name, value in vector["headers"].items()}
        stamp = headers.get(proof.timestamp.lower(), "") if proof.timestamp else ""
        if proof.timestamp == "t=":
            stamp = vector["headers"][proof.header].partition(",")[0].removeprefix("t=")
        at = AT
        if stamp:
            seconds = int(stamp) / (1000 if proof.unit == "milliseconds" else 1)
            at = datetime.fromtimestamp(seconds, UTC)
        url = vector.get("callbackURL") or vector.get("uri") or URL
        return arrival(headers, vector["body"].encode(), at, url=url)

    def refused(self, vector, push, *secrets):
        return refusal(SCHEMES[vector["scheme"]], push, secrets or [vector["secret"]])

    def test_is_valid(self, vector):
        assert self.refused(vector, self.push(vector)) == ""

    def test_is_invalid_once_it_is_touched(self, vector):
        push = self.push(vector)
        body = push.body
        for touched in (
            bytes([body[0] ^ 1]) + body[1:],
            body + b"\n",
            body.replace(b":", b" : ") if b":" in body else body + b"&",
        ):
            assert self.refused(vector, replace(push, body=touched)) == "wrong"

    def test_is_invalid_without_its_header(self, vector):
        push, name = self.push(vector), SCHEMES[vector["scheme"]].header.lower()
        bare = {key: value for key, value in push.headers.items() if key != name}
        assert self.refused(vector, replace(push, headers=bare)) == "missing"
        assert self.refused(vector, replace(push, headers={**push.headers, name: ""})) == "missing"

    def test_is_invalid_with_another_secret_and_valid_with_both(self, vector):
        push = self.push(vector)
        other = "whsec_" + base64.b64encode(b"another").decode()
        assert self.refused(vector, push, other) == "wrong"
        assert self.refused(vector, push, other, vector["secret"]) == ""

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_is_stale_six_minutes_away(self, vector, minutes):
        push = self.push(vector)
        moved = replace(push, at=push.at + timedelta(minutes=minutes))
        timed = SCHEMES[vector["scheme"]].timestamp
        assert self.refused(vector, moved) == ("stale" if timed else "")


# Other proofs


def test_a_shared_token_is_compared_whole():
    proof = Token(header="X-Goog-Channel-Token")
    push = arrival({"X-Goog-Channel-Token": "right"}, b"", AT)
    assert refusal(proof, push, ["right"]) == ""
    assert refusal(proof, push, ["other", "right"]) == ""
    assert refusal(proof, push, ["righ"]) == "wrong"
    assert refusal(proof, push, ["right and more"]) == "wrong"
    assert refusal(proof, arrival({}, b"", AT), ["right"]) == "missing"


def test_a_shared_token_may_come_in_the_query_or_behind_a_word():
    push = arrival(
        {"Authorization": "Bearer s"}, b"", AT, url="https://hub.example/push/a?key=s%26"
    )
    assert refusal(Token(query="key"), push, ["s&"]) == ""
    assert refusal(Token(query="key"), push, ["s"]) == "wrong"
    assert refusal(Token(query="other"), push, ["s"]) == "missing"
    assert refusal(Token(header="Authorization", prefix="Bearer "), push, ["s"]) == ""


def test_user_and_password_are_proven():
    def push(text, scheme="Basic"):
        value = f"{scheme} {base64.b64encode(text.encode()).decode()}"
        return arrival({"Authorization": value}, BODY, AT)

    assert refusal(Basic(), push("occ:pä:ss"), ["occ:pä:ss"]) == ""
    assert refusal(Basic(), push("occ:pass", "basic"), ["occ:pass"]) == ""
    assert refusal(Basic(), push("occ:other"), ["occ:pass"]) == "wrong"
    assert refusal(Basic(), push("occ:pass", "Bearer"), ["occ:pass"]) == "missing"
    assert refusal(Basic(), arrival({"Authorization": "Basic !"}, b"", AT), ["x:y"]) == "wrong"
    assert refusal(Basic(), arrival({}, b"", AT), ["x:y"]) == "missing"


GRAPH = InBody("value.*.clientState", each="value.*")


def test_every_part_must_have_the_secret_of_a_body():
    def push(*states):
        value = [{"clientState": state} if state is not None else {} for state in states]
        return arrival({}, json.dumps({"value": value}).encode(), AT)

    assert refusal(GRAPH, push("s", "s"), ["s"]) == ""
    assert refusal(GRAPH, push("s", "t"), ["s"]) == "wrong"
    assert refusal(GRAPH, push("s", 1), ["s"]) == "wrong"
    assert refusal(GRAPH, push("s", None), ["s"]) == "missing"
    assert refusal(GRAPH, push(), ["s"]) == "missing"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"s"', b"\xff", b"[" * 100_000])
def test_a_body_without_the_secret_is_refused(body):
    assert refusal(GRAPH, arrival({}, body, AT), ["s"]) == "missing"


KEY = "a signing secret that is long enough for it"


def token(claims, key=KEY, alg="HS256"):
    return jwt.encode({"alg": alg}, claims, OctKey.import_key(key), algorithms=[alg])


def test_a_json_web_token_is_proven_by_signature_audience_and_time():
    proof = Jwt(header="Authorization", audience=True)
    ends = int(AT.timestamp()) + 300

    def why(text, secret=KEY):
        return refusal(proof, arrival({"Authorization": text}, BODY, AT), [secret])

    good = {"aud": URL, "exp": ends}
    assert why(token(good)) == ""
    assert why("Bearer " + token({"aud": [URL, "x"], "exp": ends})) == ""
    assert why(token(good), "another signing secret, as long as it is") == "wrong"
    assert why(token({**good, "aud": "https://else.example/"})) == "wrong"
    assert why(token({"exp": ends})) == "wrong"
    assert why(token({**good, "exp": ends - 600})) == "stale"
    assert why(token({**good, "nbf": ends + 600})) == "stale"
    assert why(token({**good, "exp": "never"})) == "wrong"
    assert why(token(good, alg="HS512")) == "wrong"
    assert why("no.token.atall") == "wrong"
    assert why("") == "missing"


def test_a_token_without_a_signature_is_no_token():
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    claims = base64.urlsafe_b64encode(json.dumps({"aud": URL}).encode()).rstrip(b"=").decode()
    push = arrival({"Authorization": f"{head}.{claims}."}, b"", AT)
    assert refusal(Jwt(header="Authorization"), push, [KEY]) == "wrong"


def test_the_whole_body_may_be_the_token():
    assert refusal(Jwt(), arrival({}, token({"eventName": "x"}).encode(), AT), [KEY]) == ""
    assert refusal(Jwt(), arrival({}, BODY, AT), [KEY]) == "wrong"
    assert refusal(Jwt(), arrival({}, b"\xff\xfe", AT), [KEY]) == "missing"


def test_what_is_not_signed_is_taken_as_a_hint():
    assert refusal(Unsigned(), arrival({}, BODY, AT), []) == ""


def test_headers_that_show_the_secret_are_known():
    assert secret_headers(Token(header="X-Goog-Channel-Token")) == {"x-goog-channel-token"}
    assert secret_headers(Basic()) == {"authorization"}
    assert secret_headers(SCHEMES["asana"]) == frozenset()


# Handshakes


def test_graph_gets_its_token_back_as_plain_text():
    url = f"{URL}&validationToken=Validation%3A%20a%2Bb%3Cscript%3E"
    answer = handshakes.VALIDATION_TOKEN.answer(arrival({}, b"", AT, url=url))
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.body == b"Validation: a+b&lt;script&gt;"
    assert handshakes.VALIDATION_TOKEN.answer(arrival({}, BODY, AT)) is None


def test_asana_gets_its_secret_back_and_it_counts_from_then_on():
    secret = hashlib.sha256(b"x").hexdigest()
    answer = handshakes.HOOK_SECRET.answer(arrival({"X-Hook-Secret": secret}, b"", AT))
    assert (answer.headers, answer.secret, answer.body) == ({"X-Hook-Secret": secret}, secret, b"")
    assert secret not in repr(answer)
    for bad in ("", "short", "a" * 40 + "\r\nSet-Cookie: x", "a" * 500):
        assert handshakes.HOOK_SECRET.answer(arrival({"X-Hook-Secret": bad}, b"", AT)) is None


def test_slack_monday_and_servicem8_get_their_challenge_back():
    slack = b'{"token":"t","challenge":"3eZ<b>","type":"url_verification"}'
    assert handshakes.URL_VERIFICATION.answer(arrival({}, slack, AT)).body == b"3eZ&lt;b&gt;"
    assert handshakes.URL_VERIFICATION.proven
    assert handshakes.URL_VERIFICATION.answer(arrival({}, b'{"challenge":"x"}', AT)) is None
    monday = handshakes.JSON_CHALLENGE.answer(arrival({}, b'{"challenge":"x\\"<"}', AT))
    assert json.loads(monday.body) == {"challenge": 'x"<'}
    assert monday.headers["Content-Type"] == "application/json"
    form = b"mode=subscribe&challenge=a%20b"
    assert handshakes.FORM_CHALLENGE.answer(arrival({}, form, AT)).body == b"a b"
    for other in (b"mode=unsubscribe&challenge=a", b"challenge=a", b"mode=subscribe", b"\xff"):
        assert handshakes.FORM_CHALLENGE.answer(arrival({}, other, AT)) is None
    for body in (b"", b"{", b"[]", b'{"challenge":1}', b'{"challenge":""}', b"[" * 100_000):
        assert handshakes.JSON_CHALLENGE.answer(arrival({}, body, AT)) is None


def test_smartsheet_asks_again_and_gets_its_header_back():
    answer = handshakes.HOOK_CHALLENGE.answer(
        arrival({"Smartsheet-Hook-Challenge": "v-1"}, b"", AT)
    )
    assert answer.headers["Smartsheet-Hook-Response"] == "v-1"
    assert json.loads(answer.body) == {"smartsheetHookResponse": "v-1"}
    assert handshakes.HOOK_CHALLENGE.later
    for bad in ("", "a b", "a\r\nb", "ü"):
        push = arrival({"Smartsheet-Hook-Challenge": bad}, b"", AT)
        assert handshakes.HOOK_CHALLENGE.answer(push) is None
