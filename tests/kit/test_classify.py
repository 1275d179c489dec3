from datetime import timedelta

import msgspec
import pytest

from truckroll.kit.classify import (
    GRAPHQL_FAILED,
    GRAPHQL_THROTTLED,
    NOT_OK,
    NOT_SUCCESSFUL,
    Rule,
    check,
    values_at,
)
from truckroll.kit.errors import (
    GiveUp,
    Gone,
    HoldRecord,
    Replan,
    RetryLater,
    SignIn,
    StartOver,
    VendorError,
)
from truckroll.kit.http import Response


def answer(status, body=b"", **headers):
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(status, {k.replace("_", "-"): v for k, v in headers.items()}, data, "http://x/")


@pytest.mark.parametrize("status", [200, 201, 204, 207])
@pytest.mark.parametrize("record", ["", "job 1"])
def test_a_success_passes(status, record):
    check(answer(status), system="Jobber", record=record)


@pytest.mark.parametrize(
    ("status", "of_a_record", "of_a_scope"),
    [
        (301, GiveUp, GiveUp),
        (400, HoldRecord, HoldRecord),
        (401, SignIn, SignIn),
        (402, GiveUp, GiveUp),
        (403, HoldRecord, GiveUp),
        (404, Gone, GiveUp),
        (405, GiveUp, GiveUp),
        (409, Replan, HoldRecord),
        (410, Gone, StartOver),
        (412, Replan, HoldRecord),
        (413, HoldRecord, HoldRecord),
        (418, HoldRecord, HoldRecord),
        (422, HoldRecord, HoldRecord),
        (423, RetryLater, RetryLater),
        (429, RetryLater, RetryLater),
        (500, RetryLater, RetryLater),
        (501, GiveUp, GiveUp),
        (503, RetryLater, RetryLater),
        (507, GiveUp, GiveUp),
    ],
)
def test_a_status_says_what_to_do_next(status, of_a_record, of_a_scope):
    for record, error in (("job 1", of_a_record), ("", of_a_scope)):
        with pytest.raises(VendorError) as caught:
            check(answer(status), system="Jobber", record=record)
        assert type(caught.value) is error
        says = caught.value.says
        assert says[0].isupper()
        assert says.endswith(f" [{status}].")
        assert not says.endswith(f". [{status}].")
        assert "Jobber" in says


def google(reason):
    return {
        "error": {"errors": [{"domain": "usageLimits", "reason": reason}], "message": "Too much."}
    }


GOOGLE = (
    Rule(
        RetryLater,
        "{system} asked for a pause; it is asked again after that.",
        statuses=frozenset({403, 429}),
        at="error.errors.*.reason",
        codes=frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"}),
    ),
    Rule(
        StartOver,
        "{system} does not keep that place any more.",
        statuses=frozenset({410}),
        at="error.errors.*.reason",
        codes=frozenset({"fullSyncRequired"}),
    ),
)


def test_a_403_with_a_quota_reason_is_a_pause_and_without_it_a_refusal():
    with pytest.raises(RetryLater, match=r'It says: "Too much\." \[403\]\.$'):
        check(
            answer(403, google("rateLimitExceeded")),
            system="Google",
            rules=GOOGLE,
            record="visit 1",
        )
    with pytest.raises(HoldRecord):
        check(answer(403, google("forbidden")), system="Google", rules=GOOGLE, record="visit 1")


@pytest.mark.fault("F12")
def test_a_vendors_word_for_an_expired_cursor_starts_over():
    with pytest.raises(StartOver):
        check(answer(410, google("fullSyncRequired")), system="Google", rules=GOOGLE, record="x")
    with pytest.raises(Gone):
        check(answer(410, google("deleted")), system="Google", rules=GOOGLE, record="x")


@pytest.mark.parametrize(
    ("rule", "body", "error"),
    [
        (
            GRAPHQL_THROTTLED,
            {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]},
            RetryLater,
        ),
        (GRAPHQL_FAILED, {"data": None, "errors": [{"message": "No such column"}]}, HoldRecord),
        (NOT_SUCCESSFUL, {"success": False, "message": "No"}, HoldRecord),
        (NOT_OK, {"ok": False, "error": "channel_not_found"}, HoldRecord),
    ],
)
def test_a_failure_inside_a_success_is_found(rule, body, error):
    with pytest.raises(error, match=r"It says: .*\[200\]\.$"):
        check(answer(200, body), system="Jobber", rules=(rule,), record="job 1")


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (GRAPHQL_FAILED, {"data": {}, "errors": []}),
        (GRAPHQL_FAILED, {"data": {}, "errors": None}),
        (NOT_SUCCESSFUL, {"success": True}),
        (NOT_OK, {"ok": True}),
        (NOT_OK, [1, 2]),
        (NOT_OK, b"BEGIN:VCALENDAR"),
        (NOT_OK, b"[" * 100_000),
    ],
)
def test_a_real_success_is_none(rule, body):
    check(answer(200, body), system="Jobber", rules=(rule,))


def test_rules_look_at_text_and_headers_too():
    rules = (
        Rule(
            HoldRecord, "{record} has bad data.", frozenset({403}), pattern=r"valid-calendar-data"
        ),
        Rule(RetryLater, "{system} is closed.", header="X-Maintenance"),
    )
    with pytest.raises(HoldRecord, match=r"^Visit 7 has bad data \[403\]\.$"):
        check(answer(403, b"<C:valid-calendar-data/>"), system="R", rules=rules, record="visit 7")
    with pytest.raises(RetryLater, match="R is closed"):
        check(answer(200, x_maintenance="1"), system="R", rules=rules)
    with pytest.raises(GiveUp):
        check(answer(403, b"<D:need-privileges/>"), system="R", rules=rules)


def test_the_wait_that_was_asked_for_goes_along():
    with pytest.raises(RetryLater) as caught:
        check(answer(429, retry_after="7"), system="R")
    assert caught.value.after == timedelta(seconds=7)


@pytest.mark.fault("F69")
def test_the_vendors_words_are_short_and_without_secrets():
    echoed = {"message": "ApiKey=canary-1 was not\r\naccepted " + "x" * 500, "ApiKey": "canary-1"}
    with pytest.raises(HoldRecord) as caught:
        check(answer(400, echoed), system="serviceMinder", record="job 1")
    assert "canary-1" not in caught.value.says
    assert "\n" not in caught.value.says
    assert len(caught.value.says) < 400


def test_values_are_found_by_their_path():
    body = {"a": [{"b": 1}, {"b": 2}, {"c": 3}], "d": {"e": None}}
    assert list(values_at(body, "a.*.b")) == [1, 2]
    assert list(values_at(body, "d.e")) == [None]
    assert list(values_at(body, "a.b")) == []
    assert list(values_at("text", "a")) == []
