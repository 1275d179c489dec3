import urllib.error
import urllib.request

import pytest

from sim.google_world import timed

pytestmark = pytest.mark.shared

VISIT = timed("2026-11-04T09:00:00", "2026-11-04T10:30:00", summary="AC tune-up")


def run(client, requests):
    answers = {}

    def note(name, answer, error):
        answers[int(name)] = (answer, error)

    batch = client.new_batch_http_request(callback=note)
    for number, request in enumerate(requests, 1):
        batch.add(request, request_id=str(number))
    # The library copies a request's http, which here carries the token.
    batch.execute(http=requests[0].http)
    return [answers[number] for number in range(1, len(requests) + 1)]


def test_twenty_calls_travel_as_one_and_each_has_its_own_answer(google):
    client = google.client()
    ids = [f"visit{number:02d}" for number in range(20)]
    google.sim("DELETE", "calls")
    answers = run(
        client,
        [
            client.events().insert(
                calendarId=google.ana, body={**VISIT, "id": name, "summary": name}
            )
            for name in (*ids[:19], "visit00")
        ],
    )
    assert [made["id"] for made, _ in answers[1:19]] == ids[1:19]
    assert sorted(
        error.resp.status if error else 200 for _, error in (answers[0], answers[19])
    ) == [200, 409]
    [line] = google.sim("GET", "calls")["calls"]
    assert (line["path"], len(line["parts"])) == ("/batch/calendar/v3", 20)
    assert sorted(part["status"] for part in line["parts"]) == [200] * 19 + [409]
    assert {part["account"] for part in line["parts"]} == {google.office}


def test_reads_writes_and_deletes_in_one(google):
    client = google.client()
    made = [client.events().insert(calendarId=google.ana, body=VISIT).execute() for _ in range(3)]
    where = [{"calendarId": google.ana, "eventId": one["id"]} for one in made]
    answers = run(
        client,
        [
            client.events().get(**where[0]),
            client.events().patch(**where[1], body={"summary": "Größe"}),
            client.events().delete(**where[2]),
            client.calendarList().list(),
            client.events().get(calendarId=google.ana, eventId="nothing"),
        ],
    )
    assert answers[0][0] == made[0]
    assert answers[1][0]["summary"] == "Größe"
    assert answers[2] == ("", None)
    assert answers[3][0]["kind"] == "calendar#calendarList"
    assert answers[4][1].resp.status == 404


def test_two_writes_of_one_event_clash(google):
    client = google.client()
    made = client.events().insert(calendarId=google.ana, body=VISIT).execute()
    where = {"calendarId": google.ana, "eventId": made["id"]}
    requests = [client.events().patch(**where, body={"summary": name}) for name in "ab"]
    errors = [error for _, error in run(client, requests) if error]
    assert [error.resp.status for error in errors] == [409]
    assert errors[0].error_details[0]["reason"] == "conflict"


def test_more_than_fifty_are_refused_and_each_part_counts_against_the_quota(google):
    client = google.client()
    requests = [client.events().list(calendarId=google.ana) for _ in range(51)]
    with pytest.raises(Exception, match="at most 50"):
        run(client, requests)
    google.sim("POST", "acts/limits", {"per_user": 5})
    answers = run(client, requests[:8])
    assert sum(error is not None for _, error in answers) == 3
    reasons = {error.error_details[0]["reason"] for _, error in answers if error}
    assert reasons == {"userRateLimitExceeded"}


def test_faults_meet_parts_by_themselves_and_the_whole(google):
    client = google.client()
    fault = {"kind": "status", "status": 429, "path": "*/events", "times": 2}
    google.sim("POST", "faults", {**fault, "retry_after": "7"})
    bodies = [{**VISIT, "summary": str(number)} for number in range(5)]
    requests = [client.events().insert(calendarId=google.ana, body=body) for body in bodies]
    errors = [error for _, error in run(client, requests) if error]
    assert [(one.resp.status, one.resp["retry-after"]) for one in errors] == [(429, "7")] * 2
    google.sim("POST", "faults", {"kind": "status", "status": 503, "path": "/batch/*", "times": 1})
    with pytest.raises(Exception, match="503"):
        run(client, requests)


def test_a_part_may_carry_an_authorization_of_its_own(google):
    office, ana = google.client(), google.client(google.ana)
    requests = [office.calendarList().get(calendarId="primary") for _ in range(2)]
    requests[1].headers["authorization"] = f"Bearer {ana.calendarList().list().http.token}"
    answers = run(office, requests)
    assert [entry["id"] for entry, _ in answers] == [google.office, google.ana]


def post(google, body, kind='multipart/mixed; boundary="B"'):
    """Send a batch byte for byte and return the answer's."""
    signed = google.sim("GET", "credentials")
    headers = {"Content-Type": kind, "Authorization": f"Bearer {signed['access_token']}"}
    request = urllib.request.Request(signed["batch"], body, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def test_a_batch_written_by_hand_without_ids_or_root(google):
    part = (
        "--B\nContent-Type: application/http\n\n"
        "POST /calendar/v3/calendars/primary/events?sendUpdates=none\n"
        "content-type: application/json\n\n"
        '{"summary": "Größe \u2013 ünï", "start": {"date": "2026-11-04"},'
        ' "end": {"date": "2026-11-05"}}\n--B--\n'
    )
    answer = post(google, part.encode())
    assert b"HTTP/1.1 200 OK" in answer
    assert b"Content-ID" not in answer
    [made] = google.client().events().list(calendarId="primary").execute()["items"]
    assert made["summary"] == "Größe \u2013 ünï"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"nothing", "multipart/mixed; boundary=B"),
        (b"--B\n\nGARBAGE\n--B--", "multipart/mixed; boundary=B"),
    ],
)
def test_what_is_no_batch_is_refused(google, body, kind):
    with pytest.raises(urllib.error.HTTPError) as told:
        post(google, body, kind)
    told.value.close()
    assert told.value.code == 400
