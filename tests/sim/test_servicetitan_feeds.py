"""Export feeds and the reads that trail the writes."""

import pytest

from sim.servicetitan_world import at, world
from truckroll_sim.servicetitan.rows import Rows


@pytest.fixture
async def it():
    async with world() as it:
        yield it


async def follow(it, path, token=None, **query):
    """Return every row from a token on, and the token at the end."""
    rows, begin = [], {} if token is None else {"from": token}
    while True:
        page = await it.get(path, **begin, **query)
        rows += page["data"]
        begin = {"from": page["continueFrom"]}
        if not page["hasMore"]:
            return rows, page["continueFrom"]


async def test_a_feed_gives_everything_once_over_pages_and_then_only_what_changed(it):
    await it.act("habits", feed_page=5)
    rows, token = await follow(it, "jpm/export/appointments")
    assert len(rows) == len({row["id"] for row in rows}) == 12
    assert (await follow(it, "jpm/export/appointments", token))[0] == []
    visit = rows[3]["id"]
    for hour in (30, 31, 32):
        await it.do(
            "PATCH", f"jpm/appointments/{visit}/reschedule", {"start": at(hour), "end": at(40)}
        )
    changed, later = await follow(it, "jpm/export/appointments", token)
    assert [(row["id"], row["start"]) for row in changed] == [(visit, at(32))]
    assert (await follow(it, "jpm/export/appointments", token))[0] == changed
    assert (await follow(it, "jpm/export/appointments", later))[0] == []


async def test_deleted_and_inactive_rows_stay_in_the_feed_as_not_active(it):
    _, token = await follow(it, "jpm/export/appointments")
    _, crew = await follow(it, "dispatch/export/appointment-assignments")
    job = await it.job()
    body = {"jobId": job["id"], "start": at(48), "end": at(49)}
    body["technicianIds"] = it.seed["technicians"][:1]
    second = await it.do("POST", "jpm/appointments", body)
    await it.do("DELETE", f"jpm/appointments/{second['id']}")
    rows, _ = await follow(it, "jpm/export/appointments", token)
    assert {row["id"]: row["active"] for row in rows} == {
        job["firstAppointmentId"]: True,
        second["id"]: False,
    }
    rows, _ = await follow(it, "dispatch/export/appointment-assignments", crew)
    assert [row["active"] for row in rows if row["appointmentId"] == second["id"]] == [False]
    only = await it.get("dispatch/export/appointment-assignments", active="False")
    assert [row["appointmentId"] for row in only["data"]] == [second["id"]]


async def test_a_date_begins_by_when_a_row_was_modified(it):
    it.later(600)
    job = (await it.get("jpm/jobs"))["data"][0]
    await it.do("PATCH", f"jpm/jobs/{job['id']}", {"customerPo": "PO-2"})
    rows, token = await follow(it, "jpm/export/jobs", at(0, 10))
    assert [row["customerPo"] for row in rows] == ["PO-2"]
    assert (await follow(it, "jpm/export/jobs", token))[0] == []
    assert len((await follow(it, "jpm/export/jobs", "2020-01-01"))[0]) == it.seed["counts"]["jobs"]
    assert (await follow(it, "jpm/export/jobs", "2030-01-01"))[0] == []


@pytest.mark.parametrize("token", ["nonsense", "WyJqb2JzIiwxLDVd", "bnVsbA", "WzEsMl0"])
async def test_a_token_of_another_feed_or_of_nobody_is_400(it, token):
    said = await it.api("GET", "jpm/export/appointments", **{"from": token})
    assert (said.status, list(said.body["errors"])) == (400, ["from"])


async def test_tokens_that_were_forgotten_or_expire_by_a_fault_are_400(it):
    _, token = await follow(it, "jpm/export/jobs")
    it.fault(kind="cursor", times=1)
    assert (await it.api("GET", "jpm/export/jobs", **{"from": token})).status == 400
    assert (await it.api("GET", "jpm/export/jobs", **{"from": token})).status == 200
    await it.act("forget_feed_tokens")
    assert (await it.api("GET", "jpm/export/jobs", **{"from": token})).status == 400
    assert (await follow(it, "jpm/export/jobs"))[0]


async def test_lists_and_feeds_trail_by_the_lag_and_a_read_by_id_does_not(it):
    it.later(300)
    _, token = await follow(it, "jpm/export/jobs")
    it.fault(kind="stale", seconds=120)
    job = await it.job()
    path, number = f"jpm/jobs/{job['id']}", job["id"]

    async def listed():
        return number in [row["id"] for row in (await it.get("jpm/jobs"))["data"]]

    assert (await it.get(path))["id"] == number
    assert [row["id"] for row in (await it.get("jpm/jobs", ids=number))["data"]] == [number]
    assert not await listed()
    rows, token = await follow(it, "jpm/export/jobs", token)
    assert rows == []
    it.later(119)
    assert not await listed()
    it.later(2)
    assert await listed()
    rows, _ = await follow(it, "jpm/export/jobs", token)
    assert [row["id"] for row in rows] == [number]


async def test_what_comes_into_sight_while_a_feed_is_read_is_in_the_next_read(it, monkeypatch):
    it.later(300)
    _, token = await follow(it, "jpm/export/jobs")
    it.fault(kind="stale", seconds=120)
    job = await it.job()
    it.later(119)
    plain = Rows.changes

    def slow(rows, *how):
        found = plain(rows, *how)
        it.later(2)
        return found

    monkeypatch.setattr(Rows, "changes", slow)
    rows, token = await follow(it, "jpm/export/jobs", token)
    assert rows == []
    rows, _ = await follow(it, "jpm/export/jobs", token)
    assert [row["id"] for row in rows] == [job["id"]]


async def test_recent_changes_come_at_once_and_come_again(it):
    it.later(300)
    _, token = await follow(it, "jpm/export/jobs")
    it.fault(kind="stale", seconds=120)
    job = await it.job()
    fresh, again = await follow(it, "jpm/export/jobs", token, includeRecentChanges="true")
    assert [row["id"] for row in fresh] == [job["id"]]
    repeated, _ = await follow(it, "jpm/export/jobs", again)
    assert repeated == []
    it.later(121)
    repeated, again = await follow(it, "jpm/export/jobs", again)
    assert [row["id"] for row in repeated] == [job["id"]]
    assert (await follow(it, "jpm/export/jobs", again))[0] == []


async def test_recent_changes_over_many_pages_come_to_an_end(it):
    it.later(300)
    _, token = await follow(it, "jpm/export/jobs")
    it.fault(kind="stale", seconds=120)
    await it.act("habits", feed_page=2)
    numbers = [(await it.job())["id"] for _ in range(5)]
    rows, again = await follow(it, "jpm/export/jobs", token, includeRecentChanges="true")
    assert [row["id"] for row in rows] == numbers
    it.later(121)
    late, _ = await follow(it, "jpm/export/jobs", again)
    assert [row["id"] for row in late] == numbers


async def test_notes_have_their_ids_in_the_feed_and_an_edit_shows(it):
    job = await it.job()
    body = {"text": "Key at the desk"}
    assert "id" not in await it.do("POST", f"jpm/jobs/{job['id']}/notes", body)
    [note], token = await follow(it, "jpm/export/job-notes")
    assert (note["jobId"], note["text"]) == (job["id"], "Key at the desk")
    it.later(60)
    it.system.records["job_notes"].edit(str(note["id"]), {"text": "Key is gone"}, {})
    [edited], _ = await follow(it, "jpm/export/job-notes", token)
    assert (edited["id"], edited["text"]) == (note["id"], "Key is gone")
    assert edited["modifiedOn"] > note["modifiedOn"]


async def test_a_merge_shows_in_the_feed_and_the_jobs_go_over(it):
    customers = (await it.get("crm/customers"))["data"]
    gone, kept = customers[0]["id"], customers[1]["id"]
    job = await it.job()
    assert job["customerId"] == gone
    _, token = await follow(it, "crm/export/customers")
    await it.act("merge_customers", fromId=gone, intoId=kept)
    rows, _ = await follow(it, "crm/export/customers", token)
    assert [(row["id"], row["mergedToId"], row["active"]) for row in rows] == [(gone, kept, False)]
    assert (await it.get(f"jpm/jobs/{job['id']}"))["customerId"] == kept
    assert (await it.get(f"jpm/appointments/{job['firstAppointmentId']}"))["customerId"] == kept
