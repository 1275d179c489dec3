"""servicepytan, a client library that is in use, reads the simulator as it reads the vendor."""

import asyncio

import pytest

from sim.google_world import served
from sim.servicetitan_world import served_world, world

servicepytan = pytest.importorskip("servicepytan", reason="servicepytan is not installed")


SAMPLE = {"appointments": 230, "days": 20, "technicians": 6}


@pytest.fixture(params=["in process", "served"])
async def it(request):
    if request.param == "in process":
        async with world(**SAMPLE, foreign=True) as it:
            yield it
    else:
        with served() as address:
            async with served_world(address, **SAMPLE) as it:
                yield it


@pytest.fixture
def conn(it):
    keys = it.keys
    made = servicepytan.auth.servicepytan_connect(
        app_key=keys["app_key"],
        tenant_id=str(keys["tenant"]),
        client_id=keys["client_id"],
        client_secret=keys["client_secret"],
    )
    return made | {"auth_root": keys["api"], "api_root": keys["api"]}


async def test_the_library_reads_jobs_and_appointments_page_by_page(it, conn):
    for path, kind in (("jobs", "jobs"), ("appointments", "appointments")):
        endpoint = servicepytan.requests.Endpoint("jpm", path, conn)
        rows = await asyncio.to_thread(endpoint.get_all, {"pageSize": 100})
        assert len(rows) == it.seed["counts"][kind]
        assert len({row["id"] for row in rows}) == len(rows)
    calls = (await it.control("GET", "calls"))["calls"]
    assert len([call for call in calls if call["path"].endswith("/appointments")]) == 3


async def test_the_library_follows_the_feeds_to_their_ends(it, conn):
    await it.act("habits", feed_page=70)
    for module, path, kind in (
        ("jpm", "jobs", "jobs"),
        ("jpm", "appointments", "appointments"),
        ("dispatch", "appointment-assignments", "assignments"),
        ("crm", "customers", "customers"),
    ):
        endpoint = servicepytan.requests.Endpoint(module, "export", conn)
        rows = await asyncio.to_thread(endpoint.export_all, path)
        assert len(rows) == it.seed["counts"][kind]
        assert all(row["active"] for row in rows)


async def test_the_library_reads_one_record_and_its_notes_and_makes_one(it, conn):
    jobs = servicepytan.requests.Endpoint("jpm", "jobs", conn)
    job = (await it.get("jpm/jobs"))["data"][0]
    read = await asyncio.to_thread(jobs.get_one, job["id"])
    assert read["jobNumber"] == job["jobNumber"]
    await it.do("POST", f"jpm/jobs/{job['id']}/notes", {"text": "Key at the desk"})
    notes = await asyncio.to_thread(jobs.get_all, {}, str(job["id"]), "notes")
    assert [note["text"] for note in notes] == ["Key at the desk"]
    types = servicepytan.requests.Endpoint("jpm", "job-types", conn)
    made = await asyncio.to_thread(types.create, {"name": "Inspection", "duration": 1800})
    assert (await it.get(f"jpm/job-types/{made['id']}"))["duration"] == 1800
