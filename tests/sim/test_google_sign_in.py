import json
import time
import urllib.parse
import urllib.request

import pytest
from google.auth import crypt, jwt
from google.oauth2 import service_account

from sim.google_world import refused, timed

pytestmark = pytest.mark.shared

SCOPE = "https://www.googleapis.com/auth/calendar"
VISIT = timed("2026-11-04T09:00:00", "2026-11-04T10:30:00", summary="AC tune-up")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def post(url, **form):
    """Post a form and return the status and what the JSON says."""
    request = urllib.request.Request(url, urllib.parse.urlencode(form).encode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def refreshed(signed):
    return post(
        signed["token"],
        grant_type="refresh_token",
        client_id=signed["client_id"],
        client_secret=signed["client_secret"],
        refresh_token=signed["refresh_token"],
    )


def test_a_refresh_token_gives_access_until_it_is_revoked(google):
    signed = google.sim("GET", "credentials")
    status, told = refreshed(signed)
    assert (status, told["token_type"], told["expires_in"]) == (200, "Bearer", 3599)
    assert "refresh_token" not in told
    client = google.with_token("google-calendar", told["access_token"])
    assert client.calendarList().get(calendarId="primary").execute()["id"] == signed["account"]
    assert refreshed({**signed, "client_secret": "x"}) == (401, {"error": "invalid_client"})
    google.sim("POST", "acts/revoke", {"account": google.office})
    status, told = refreshed(signed)
    assert (status, told["error"]) == (400, "invalid_grant")
    assert refused(client.calendarList().list()) == (401, "authError")


def test_an_access_token_ends_with_its_time(google):
    client = google.client()
    client.calendarList().list().execute()
    google.advance(minutes=61)
    assert refused(client.calendarList().list()) == (401, "authError")
    client = google.client()
    google.sim("POST", "acts/expire-tokens", {})
    assert refused(client.calendarList().list()) == (401, "authError")


def test_a_person_consents_and_a_code_is_exchanged_once(google):
    signed = google.sim("GET", "credentials")
    asked = {
        "client_id": signed["client_id"],
        "redirect_uri": "http://127.0.0.1:1/back",
        "scope": SCOPE,
        "state": "abc",
        "login_hint": google.ana,
    }
    opener = urllib.request.build_opener(NoRedirect)
    with pytest.raises(urllib.error.HTTPError) as told:
        opener.open(f"{signed['authorize']}?{urllib.parse.urlencode(asked)}", timeout=20)
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(told.value.headers["Location"]).query))
    told.value.close()
    assert back["state"] == "abc"
    form = {name: signed[name] for name in ("client_id", "client_secret")}
    form |= {"grant_type": "authorization_code", "code": back["code"]}
    status, granted = post(signed["token"], **form, redirect_uri=asked["redirect_uri"])
    assert (status, granted["scope"]) == (200, SCOPE)
    assert refreshed({**signed, **granted})[0] == 200
    status, again = post(signed["token"], **form, redirect_uri=asked["redirect_uri"])
    assert (status, again["error"]) == (400, "invalid_grant")


def assertion(key, **claims):
    signer = crypt.RSASigner.from_service_account_info(key)
    now = 1793635200  # the world's clock
    base = {
        "iss": key["client_email"],
        "scope": SCOPE,
        "aud": key["token_uri"],
        "iat": now,
        "exp": now + 3600,
    }
    kept = {name: value for name, value in {**base, **claims}.items() if value is not None}
    return jwt.encode(signer, kept).decode()


def asserted(key, **claims):
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return post(key["token_uri"], grant_type=grant, assertion=assertion(key, **claims))


def test_a_service_account_acts_for_whom_it_was_delegated_to(google):
    key = google.sim("GET", "credentials")["service_account"]
    status, told = asserted(key, sub=google.ana)
    assert status == 200
    client = google.with_token("google-calendar", told["access_token"])
    body = {**VISIT, "attendees": [{"email": "customer@home.example"}]}
    made = client.events().insert(calendarId="primary", body=body).execute()
    assert made["organizer"] == {"email": google.ana, "self": True}


@pytest.mark.parametrize(
    ("claims", "status", "error"),
    [
        ({"sub": "nobody@acme-hvac.example"}, 400, "invalid_grant"),
        (
            {"scope": "https://www.googleapis.com/auth/drive", "sub": "office@acme-hvac.example"},
            401,
            "unauthorized_client",
        ),
        ({"exp": 1793635200 + 7200}, 400, "invalid_grant"),
        ({"iat": 1793635200 - 7200, "exp": 1793635200 - 3600}, 400, "invalid_grant"),
        ({"aud": "https://elsewhere.example/token"}, 400, "invalid_grant"),
        ({"iss": "x@y.example"}, 400, "invalid_grant"),
        ({"scope": None}, 400, "invalid_scope"),
    ],
)
def test_a_bad_assertion_is_refused(google, claims, status, error):
    key = google.sim("GET", "credentials")["service_account"]
    got = asserted(key, **claims)
    assert (got[0], got[1]["error"]) == (status, error)


def test_an_assertion_that_was_tampered_with_is_refused(google):
    key = google.sim("GET", "credentials")["service_account"]
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    head, claims, signature = assertion(key).split(".")
    other = assertion(key, sub=google.ana).split(".")[1]
    for word in (f"{head}.{other}.{signature}", f"{head}.{claims}", "x", ""):
        status, told = post(key["token_uri"], grant_type=grant, assertion=word)
        assert (status, told["error"]) == (400, "invalid_grant")
    assert post(key["token_uri"], grant_type="password")[1] == {"error": "unsupported_grant_type"}


def test_the_vendors_own_library_signs_in_with_the_key(google):
    google.sim("POST", "/_sim/clock", {"frozen": False})
    google.sim("POST", "/_sim/clock", {"set": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
    key = google.sim("GET", "credentials")["service_account"]
    signed = service_account.Credentials.from_service_account_info(
        key, scopes=[SCOPE], subject=google.ben
    )

    def fetch(url, method="GET", body=None, headers=None, **_):
        request = urllib.request.Request(url, body, headers or {}, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            data = answer.read()
        return type("Answer", (), {"status": answer.status, "headers": {}, "data": data})

    signed.refresh(fetch)
    client = google.with_token("google-calendar", signed.token)
    assert client.calendarList().get(calendarId="primary").execute()["id"] == google.ben


def test_delegation_can_be_narrowed_and_a_suspended_person_cannot_be_acted_for(google):
    key = google.sim("GET", "credentials")["service_account"]
    google.sim("POST", "acts/delegate", {"scopes": [SCOPE]})
    assert asserted(key, sub=google.ana)[0] == 200
    wide = f"{SCOPE} https://www.googleapis.com/auth/admin.directory.user.readonly"
    assert asserted(key, sub=google.ana, scope=wide)[1]["error"] == "unauthorized_client"
    client = google.client(google.ana)
    google.sim("PATCH", f"records/users/{google.ana}", {"suspended": True})
    assert refused(client.calendarList().list()) == (401, "authError")
    assert asserted(key, sub=google.ana)[1]["error"] == "invalid_grant"


def test_a_service_account_by_itself_cannot_invite(google):
    key = google.sim("GET", "credentials")["service_account"]
    _, told = asserted(key)
    rule = {"role": "writer", "scope": {"type": "user", "value": key["client_email"]}}
    google.client(google.ana).acl().insert(calendarId=google.ana, body=rule).execute()
    events = google.with_token("google-calendar", told["access_token"]).events()
    events.insert(calendarId=google.ana, body=VISIT).execute()
    body = {**VISIT, "attendees": [{"email": google.ben}]}
    request = events.insert(calendarId=google.ana, body=body)
    assert refused(request) == (403, "forbiddenForServiceAccounts")


def test_a_scope_that_is_too_narrow(google):
    readonly = [f"{SCOPE}.readonly"]
    events = google.client(google.ana, scopes=readonly).events()
    events.list(calendarId="primary").execute()
    request = events.insert(calendarId="primary", body=VISIT)
    assert refused(request) == (403, "insufficientPermissions")


def test_the_quota_is_a_sliding_minute_per_person_and_per_project(google):
    google.sim("POST", "acts/limits", {"per_user": 3, "per_project": 5})
    office, ana = google.client().calendarList(), google.client(google.ana).calendarList()
    for _ in range(3):
        office.list().execute()
    assert refused(office.list()) == (403, "userRateLimitExceeded")
    for _ in range(2):
        ana.list().execute()
    assert refused(ana.list()) == (403, "rateLimitExceeded")
    google.advance(seconds=61)
    office.list().execute()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"status": 403, "reason": "quotaExceeded"}, (403, "quotaExceeded")),
        ({"status": 429, "retry_after": "2.128"}, (429, "rateLimitExceeded")),
        ({"status": 500}, (500, "backendError")),
        ({"status": 403, "reason": "forbidden"}, (403, "forbidden")),
    ],
)
def test_faults_speak_as_the_vendor_does(google, fault, told):
    google.sim("POST", "faults", {"kind": "status", "times": 1, **fault})
    assert refused(google.client().calendarList().list()) == told


def test_a_write_may_be_done_though_its_answer_is_lost(google):
    events = google.client().events()
    google.sim("POST", "faults", {"kind": "status", "status": 503, "times": 1, "after": True})
    body = {**VISIT, "id": "visit1"}
    assert refused(events.insert(calendarId=google.ana, body=body)) == (503, "backendError")
    assert refused(events.insert(calendarId=google.ana, body=body)) == (409, "duplicate")


def test_the_token_endpoint_can_be_in_trouble_too(google):
    signed = google.sim("GET", "credentials")
    google.sim(
        "POST",
        "faults",
        {"kind": "status", "status": 400, "reason": "invalid_grant", "path": "/token", "times": 1},
    )
    assert refreshed(signed) == (400, {"error": "invalid_grant"})
    assert refreshed(signed)[0] == 200


def test_a_body_that_is_no_json_is_refused(google):
    signed = google.sim("GET", "credentials")
    url = f"{signed['api']}/calendars/primary/events"
    headers = {"Authorization": f"Bearer {signed['access_token']}"}
    for raw in (b"{", b"[]", b"\xff"):
        request = urllib.request.Request(url, raw, headers)
        with pytest.raises(urllib.error.HTTPError) as told:
            urllib.request.urlopen(request, timeout=20)
        with told.value:
            assert json.loads(told.value.read())["error"]["errors"][0]["reason"] == "parseError"


def test_an_unknown_path_is_not_found(google):
    with pytest.raises(urllib.error.HTTPError) as told:
        google.call("GET", "/google-calendar/calendar/v4/things")
    told.value.close()
    assert told.value.code == 404
