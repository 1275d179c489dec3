"""What stands before the API: token, app key, tenant, scope, rate; and how lists are asked for."""

import base64

import pytest
from yarl import URL

from sim.servicetitan_world import GUID, at, world


@pytest.fixture
async def it():
    async with world() as it:
        yield it


async def token(it, form, **headers):
    async with it.session.post(it.keys["token_url"], data=form, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_a_token_is_given_for_the_form_and_for_basic_and_to_nobody_else(it):
    form = {"grant_type": "client_credentials", "client_id": it.keys["client_id"]}
    status, said = await token(it, form | {"client_secret": it.keys["client_secret"]})
    assert (status, said["token_type"], said["expires_in"]) == (200, "Bearer", 900)
    assert "tn.jpm.jobs:r" in said["scope"].split()
    pair = f"{it.keys['client_id']}:{it.keys['client_secret']}".encode()
    basic = f"Basic {base64.b64encode(pair).decode()}"
    assert (await token(it, {"grant_type": "client_credentials"}, Authorization=basic))[0] == 200
    assert await token(it, form | {"client_secret": "guess"}) == (400, {"error": "invalid_client"})
    status, said = await token(it, {"grant_type": "password"}, Authorization=basic)
    assert (status, said) == (400, {"error": "unsupported_grant_type"})


async def test_token_and_app_key_are_both_needed_and_a_token_ends(it):
    bearer = {"Authorization": it.headers["Authorization"]}
    key = {"ST-App-Key": it.keys["app_key"]}
    for headers in ({}, bearer, key, bearer | {"ST-App-Key": "ak1.other"}):
        said = await it.api("GET", "jpm/jobs", headers=headers)
        assert (said.status, said.body["status"]) == (401, 401)
    by_query = {"servicetitanapplicationkey": it.keys["app_key"]}
    assert (await it.api("GET", "jpm/jobs", headers=bearer, **by_query)).status == 200
    it.later(901)
    assert (await it.api("GET", "jpm/jobs")).status == 401
    await it.sign_in()
    assert (await it.api("GET", "jpm/jobs")).status == 200
    await it.act("revoke")
    assert (await it.api("GET", "jpm/jobs")).status == 401


async def test_another_tenant_is_404_and_a_scope_that_was_taken_is_403_from_the_next_token_on(it):
    it.keys["tenant"] += 1
    assert (await it.api("GET", "jpm/jobs")).status == 404
    it.keys["tenant"] -= 1
    await it.act("scopes", without=["tn.jpm.jobs:r"])
    assert (await it.api("GET", "jpm/jobs")).status == 200
    await it.sign_in()
    said = await it.api("GET", "jpm/jobs")
    assert (said.status, said.body["title"]) == (403, "The scope tn.jpm.jobs:r is not granted.")
    assert (await it.api("GET", "jpm/export/jobs")).status == 403
    assert (await it.api("GET", "jpm/appointments")).status == 200
    await it.act("scopes")
    await it.sign_in()
    assert (await it.api("GET", "jpm/jobs")).status == 200


async def test_the_61st_call_within_a_second_is_429_with_retry_after():
    async with world(frozen=False) as it:
        statuses = []
        for _ in range(70):
            said = await it.api("GET", "settings/tag-types")
            statuses.append(said.status)
            if said.status == 429:
                break
        assert statuses[-1] == 429
        assert statuses[:-1] == [200] * (len(statuses) - 1)
        assert len(statuses) >= 61
        assert said.headers["Retry-After"] == "1"
        it.later(1)
        assert (await it.api("GET", "settings/tag-types")).status == 200


async def test_an_injected_error_speaks_as_the_vendor(it):
    it.fault(kind="status", status=500, reason="Out of order", times=1)
    said = await it.api("GET", "jpm/jobs")
    assert (said.status, said.body["title"]) == (500, "Out of order")
    assert set(said.body) == {"type", "title", "status", "traceId", "errors", "data"}


async def test_pages_count_from_one_have_a_most_and_tell_the_total_when_asked(it):
    first = await it.get("jpm/appointments", pageSize=5)
    last = await it.get("jpm/appointments", pageSize=5, page=3, includeTotal="true")
    assert (first["page"], first["pageSize"], first["hasMore"]) == (1, 5, True)
    assert "totalCount" not in first
    assert (len(last["data"]), last["hasMore"], last["totalCount"]) == (2, False, 12)
    assert (await it.get("jpm/appointments"))["pageSize"] == 50
    assert (await it.get("jpm/appointments", page=9))["data"] == []
    for query in ({"page": 0}, {"page": "x"}, {"pageSize": 5001}, {"pageSize": 0}):
        said = await it.api("GET", "jpm/appointments", **query)
        assert (said.status, list(said.body["errors"])) == (400, list(query))


async def test_fifty_ids_are_the_most(it):
    numbers = [row["id"] for row in (await it.get("jpm/appointments"))["data"]]
    two = await it.get("jpm/appointments", ids=f"{numbers[3]},{numbers[0]}")
    assert {row["id"] for row in two["data"]} == {numbers[0], numbers[3]}
    many = ",".join(str(number) for number in range(1, 52))
    assert (await it.api("GET", "jpm/appointments", ids=many)).status == 400
    fewer = ",".join(str(number) for number in range(1, 51))
    assert (await it.api("GET", "jpm/appointments", ids=fewer)).status == 200


async def test_sort_goes_both_ways_and_a_plus_has_to_be_encoded(it):
    it.later(60)
    job = (await it.get("jpm/jobs"))["data"][3]
    await it.do("PATCH", f"jpm/jobs/{job['id']}", {"customerPo": "PO-1"})
    newest = await it.get("jpm/jobs", sort="-ModifiedOn", pageSize=1)
    assert newest["data"][0]["id"] == job["id"]
    rising = [row["modifiedOn"] for row in (await it.get("jpm/jobs", sort="+ModifiedOn"))["data"]]
    assert rising == sorted(rising)
    url = it.url("jpm/jobs") + "?sort=+ModifiedOn"
    async with it.session.get(url.replace("+", "%2B"), headers=it.headers) as answer:
        assert answer.status == 200
    async with it.session.get(URL(url, encoded=True), headers=it.headers) as answer:
        assert answer.status == 400
    assert (await it.api("GET", "jpm/jobs", sort="+Summary")).status == 400
    assert (await it.get("jpm/jobs", sort="-Priority", pageSize=1))["data"]


async def test_filters_by_time_and_by_state(it):
    it.later(3600)
    await it.sign_in()
    job = await it.job()
    new = await it.get("jpm/jobs", createdOnOrAfter=at(1))
    assert [row["id"] for row in new["data"]] == [job["id"]]
    assert len((await it.get("jpm/jobs", createdBefore=at(1)))["data"]) == it.seed["counts"]["jobs"]
    first = it.seed["technicians"][0]
    visits = await it.get("jpm/appointments", technicianId=first, jobId=job["id"])
    assert [row["id"] for row in visits["data"]] == [job["firstAppointmentId"]]
    span = {"appointmentStartsOnOrAfter": at(24), "appointmentStartsBefore": at(24, 1)}
    assert job["id"] in [row["id"] for row in (await it.get("jpm/jobs", **span))["data"]]
    assert (await it.api("GET", "jpm/jobs", jobStatus="Late")).status == 400
    assert (await it.api("GET", "jpm/jobs", createdBefore="yesterday")).status == 400


async def test_external_data_is_shown_and_found_only_with_the_applications_guid(it):
    pairs = [{"key": "wo", "value": "17"}, {"key": "line", "value": "2"}]
    job = await it.job(externalData={"applicationGuid": GUID, "externalData": pairs})
    path = f"jpm/jobs/{job['id']}"
    assert job["externalData"] == []
    assert (await it.get(path))["externalData"] == []
    assert (await it.get(path, externalDataApplicationGuid=GUID))["externalData"] == pairs
    other = "11111111-2222-4333-8444-555555555555"
    assert (await it.get(path, externalDataApplicationGuid=other))["externalData"] == []
    query = {"externalDataApplicationGuid": GUID, "externalDataKey": "wo"}
    found = await it.get("jpm/jobs", **query, externalDataValues="16,17")
    assert [row["id"] for row in found["data"]] == [job["id"]]
    assert (await it.get("jpm/jobs", **query, externalDataValues="16"))["data"] == []
    assert (await it.api("GET", "jpm/jobs", **query)).status == 400

    change = {"applicationGuid": GUID, "patchMode": "Merge"}
    merged = change | {"externalData": [{"key": "line", "value": None}, {"key": "x", "value": "y"}]}
    await it.do("PATCH", path, {"externalData": merged})
    read = await it.get(path, externalDataApplicationGuid=GUID)
    assert read["externalData"] == [{"key": "wo", "value": "17"}, {"key": "x", "value": "y"}]
    replaced = change | {"patchMode": "Replace", "externalData": [{"key": "z", "value": "1"}]}
    await it.do("PATCH", path, {"externalData": replaced})
    read = await it.get(path, externalDataApplicationGuid=GUID)
    assert read["externalData"] == [{"key": "z", "value": "1"}]


async def test_inactive_rows_are_hidden_unless_they_are_asked_for(it):
    number = it.seed["technicians"][0]
    people = it.system.records["technicians"]
    people.edit(str(number), {"active": False}, {})

    async def listed(**query):
        rows = (await it.get("settings/technicians", **query))["data"]
        return number in [row["id"] for row in rows], len(rows)

    assert await listed() == (False, 3)
    assert await listed(active="Any") == (True, 4)
    assert await listed(active="False") == (True, 1)
    assert (await it.get(f"settings/technicians/{number}"))["active"] is False
