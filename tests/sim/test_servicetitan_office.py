"""The office's screens over the control plane, and that lists and feeds agree whatever is done."""

import random

import pytest

from sim.servicetitan_world import at, world

CREW = "dispatch/appointment-assignments"


@pytest.fixture
async def it():
    async with world() as it:
        yield it


async def desk(it, method, path, body=None):
    address = f"{it.box.address}/_sim/servicetitan/records/{path}"
    async with it.session.request(method, address, json=body) as answer:
        return answer.status, await answer.json() if answer.status != 204 else None


async def test_records_are_listed_made_changed_and_deleted_as_in_the_screens(it):
    status, made = await desk(it, "POST", "technicians", {"name": "Vera Voss", "email": None})
    assert (status, made["name"], made["active"]) == (201, "Vera Voss", True)
    assert (await it.get(f"settings/technicians/{made['id']}"))["name"] == "Vera Voss"
    await desk(it, "PATCH", f"technicians/{made['id']}", {"active": False})
    assert (await desk(it, "GET", f"technicians/{made['id']}"))[1]["active"] is False
    job = await it.job()
    body = {"jobId": job["id"], "start": at(48), "end": at(49)}
    _, visit = await desk(it, "POST", "appointments", body)
    await desk(it, "PATCH", f"appointments/{visit['id']}", {"start": at(47)})
    assert (await it.get(f"jpm/appointments/{visit['id']}"))["start"] == at(47)
    assert (await it.get(f"jpm/jobs/{job['id']}"))["appointmentCount"] == 2
    assert (await desk(it, "DELETE", f"appointments/{visit['id']}"))[0] == 204
    assert (await it.get(f"jpm/jobs/{job['id']}"))["appointmentCount"] == 1
    listed = (await desk(it, "GET", "appointments"))[1]["items"]
    assert visit["id"] not in [row["id"] for row in listed]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("PATCH", "technicians/5", {"name": "x"}, 404, "was not found"),
        ("POST", "jobs", {"priority": "Normal"}, 400, "missing required field"),
        ("POST", "job_notes", {"jobId": 5, "text": "x"}, 404, "was not found"),
        ("POST", "job_notes", {"text": "x"}, 400, "the act needs jobId"),
    ],
)
async def test_a_slip_at_a_desk_is_told_in_a_sentence(it, method, path, body, status, word):
    said, told = await desk(it, method, path, body)
    assert (said, word in told["error"]) == (status, True)


async def test_a_field_that_a_row_does_not_have_is_told(it):
    number = it.seed["technicians"][0]
    said, told = await desk(it, "PATCH", f"technicians/{number}", {"nmae": "x"})
    assert (said, "there is no such field" in told["error"]) == (400, True)


class Walk:
    """Random deeds of office, technicians and API; what the vendor refuses is no harm."""

    def __init__(self, it, seed):
        self.it, self.chance = it, random.Random(seed)

    async def step(self):
        it, chance = self.it, self.chance
        it.later(chance.randint(0, 40))
        visit = chance.choice((await it.get("jpm/appointments", pageSize=500))["data"])
        path = f"jpm/appointments/{visit['id']}"
        person = chance.choice(it.seed["technicians"])
        crew = {"jobAppointmentId": visit["id"], "technicianIds": [person]}
        reason = {"reasonId": it.seed["hold_reasons"][0], "memo": "x"}
        why = {"reasonId": it.seed["cancel_reasons"][0], "memo": "x"}
        hour = chance.randint(1, 300)
        times = {"start": at(hour), "end": at(hour + 1)}
        job = f"jpm/jobs/{visit['jobId']}"
        deeds = [
            ("PATCH", f"{path}/reschedule", times),
            (
                "POST",
                "jpm/appointments",
                times | {"jobId": visit["jobId"], "technicianIds": [person]},
            ),
            ("DELETE", path, None),
            ("POST", f"{CREW}/assign-technicians", crew),
            ("POST", f"{CREW}/unassign-technicians", crew),
            ("PUT", f"{path}/hold", reason),
            ("DELETE", f"{path}/hold", None),
            ("PUT", f"{job}/cancel", why),
            ("PUT", f"{job}/remove-cancellation", None),
            ("PUT", f"{job}/complete", {"completedOn": at(hour)}),
        ]
        acts = ("dispatch", "arrive", "pause", "resume", "done")
        if chance.random() < 0.35:
            address = f"{it.box.address}/_sim/servicetitan/acts/{chance.choice(acts)}"
            async with it.session.post(address, json={"appointmentId": visit["id"]}) as answer:
                assert answer.status in (200, 400, 404), await answer.text()
            return
        said = await it.api(*chance.choice(deeds))
        assert said.status in (200, 400, 404, 409), said.body


@pytest.mark.parametrize("lag_seconds", [0, 90])
@pytest.mark.parametrize("seed", [1, 2])
async def test_feeds_read_in_pieces_add_up_to_the_lists_whatever_is_done(seed, lag_seconds):
    feeds = {
        "jpm/export/appointments": "jpm/appointments",
        "jpm/export/jobs": "jpm/jobs",
        "dispatch/export/appointment-assignments": CREW,
    }
    known, tokens = {feed: {} for feed in feeds}, dict.fromkeys(feeds)
    async with world(appointments=6) as it:
        it.system.tenant.habits.feed_page = 7
        it.system.tenant.habits.token_seconds = 10**6
        await it.sign_in()
        walk = Walk(it, seed)
        it.later(200)
        if lag_seconds:
            it.fault(kind="stale", seconds=lag_seconds)

        async def read(feed, **query):
            more = True
            while more:
                begin = {"from": tokens[feed]} if tokens[feed] else {}
                page = await it.get(feed, **begin, **query)
                known[feed].update((row["id"], row) for row in page["data"])
                tokens[feed], more = page["continueFrom"], page["hasMore"]

        for number in range(70):
            await walk.step()
            if number % 5 == 0:
                recent = {"includeRecentChanges": "true"} if number % 10 == 0 else {}
                for feed in feeds:
                    await read(feed, **recent)
        it.later(lag_seconds + 1)
        for feed, listing in feeds.items():
            await read(feed)
            rows = (await it.get(listing, pageSize=5000))["data"]
            alive = {row["id"]: row for row in known[feed].values() if row["active"]}
            assert {row["id"] for row in rows} == set(alive)
            assert all(row.items() <= alive[row["id"]].items() for row in rows)
        jobs = {row["id"]: row for row in (await it.get("jpm/jobs", pageSize=500))["data"]}
        visits = (await it.get("jpm/appointments", pageSize=500))["data"]
        for number, job in jobs.items():
            mine = [row for row in visits if row["jobId"] == number]
            assert job["appointmentCount"] == len(mine)
            if job["jobStatus"] == "Canceled":
                assert {row["status"] for row in mine} <= {"Canceled", "Done"}
