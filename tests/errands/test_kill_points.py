"""A process is killed hard before and after each kind of commit; the next one goes on."""

import asyncio
import base64
import hmac
import signal
import time
from functools import partial

import httpx
import psycopg
import pytest

from errands.test_crashes import SEEN, make_old
from errands.test_up import until
from support.company import row
from truckroll.app.home import make_home
from truckroll.app.hub import utc_now
from truckroll.kit.contract import Scope

KEY = "a secret as long as they are"
WRITING = ("journal", "finish", "engine.finish", "take")  # of a lease
POINTS = (
    *WRITING,
    *("_make_workspace", "due"),
    *("engine.beat", "engine.recover", "engine.defer", "engine.take"),
    *("begin_listing", "store_page", "finish_listing", "set_cursor", "scope_read"),
    *("note_reads", "note_read", "take_turn", "release", "clamp_due"),
    *("adopt", "start_run", "plan_run", "end_run", "close_run", "recipe_settled"),
)
# Not in the life of each process, but once or once an hour; the first only of the first process.
SELDOM = (
    "mirror_id",
    "watch",
    "expect",
    "turn",
    "settle_alerts",
    "prune_pushes",
    "prune_watch",
    "prune_budgets",
    "_forget",
    "forget_counts",
)


AGAIN = (
    "delete from chore",
    "delete from scope_watch",
    "update workspace set watched = watched - 1",
)


@pytest.mark.timeout(120)
async def test_no_commit_on_the_way_of_a_change_is_left_out(office, ups):
    process = ups("--role", "worker", program=("support.dying", "record", "any"))
    await asyncio.to_thread(process.ready)
    await until(lambda: len(office.titles("ana")) == 1, 60)
    code, _, err = await asyncio.to_thread(process.end)
    points = {line.removeprefix("point ") for line in err.splitlines() if line.startswith("point ")}
    assert code == 0
    assert set(POINTS) <= points <= {*POINTS, *SELDOM}


@pytest.mark.fault("F55")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "points",
    [
        pytest.param(WRITING, id="writing"),
        pytest.param((*SELDOM, *POINTS), id="any", marks=pytest.mark.long),
    ],
)
async def test_a_process_that_is_killed_at_a_commit_is_followed_by_the_next(
    office, ups, store, database_url, points, when
):
    """Each has a new job and a moved one to write; what came is counted at the calendars."""
    (table,) = [one for one in await store.scopes() if one.scope.id == "table"]
    jobs, slowest = 1, 0.0
    for point in points:
        jobs += 1
        office.rows.append(row(jobs, ("Ana", "Ben")[jobs % 2], day=3 + jobs % 25))
        office.rows[jobs - 2]["Title"] = "Moved"
        office.save()
        await store.make_due([table.id], at=utc_now())
        if point in SELDOM:
            now_is_when(database_url)
        killed = ups("--role", "worker", program=("support.dying", point, when))
        assert await asyncio.to_thread(killed.process.wait, 20) == -signal.SIGKILL, point
        make_old(database_url)
        began = time.monotonic()
        following = await asyncio.to_thread(ups("--role", "worker").ready)
        slowest = max(slowest, time.monotonic() - began)
        await until(partial(shows, office, list(range(1, jobs + 1))), 60)
        code, _, err = await asyncio.to_thread(following.end)
        assert code == 0, (point, err)
        assert not any('"level": "error"' in line for line in err.splitlines()), (point, err)
        assert shows(office, list(range(1, jobs + 1))), point
    print(f"{len(points)} killed {when} a commit; the next served after {slowest:.2f} s at most")
    assert await store.open_intents(1) == []
    with psycopg.connect(database_url, options="-c search_path=truckroll") as connection:
        assert connection.execute(SEEN).fetchone()[0] == jobs


def now_is_when(database_url):
    """Let come again in the next process what comes once, or once an hour."""
    with psycopg.connect(database_url, options="-c search_path=truckroll") as connection:
        for statement in AGAIN:
            connection.execute(statement)


@pytest.mark.fault("F55")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_push_whose_receiver_is_killed_at_its_commit_is_kept_once(
    ups, store, tmp_path, when
):
    """Its sender hears nothing, and sends it again."""
    make_home(tmp_path / "home")
    account = await store.add_account("servicetitan", "titan", {}, {})
    (scope,) = await store.put_scopes(account.id, [Scope("t", "T", "appointment")])
    row = await store.add_subscription(account.id, scope.id, at=utc_now(), secret=KEY, by_hand=True)
    body = b'{"event": "job.updated", "id": 17}'
    signature = base64.b64encode(hmac.digest(KEY.encode(), body, "sha256")).decode()
    headers = {"X-ServiceTitan-Signature": signature, "Content-Type": "application/json"}

    async def sent(process):
        says = process.process.stdout.readline()
        url = f"{says.split()[2].removesuffix('/api/v1')}/push/{row.path}"
        async with httpx.AsyncClient() as client:
            return (await client.post(url, content=body, headers=headers)).status_code

    killed = ups("--role", "web", program=("support.dying", "keep_pushes", when))
    await asyncio.to_thread(killed.ready)
    with pytest.raises(httpx.RemoteProtocolError):
        await sent(killed)
    assert await asyncio.to_thread(killed.process.wait, 20) == -signal.SIGKILL
    kept = await store.pushes(row.id)
    assert len(kept) == (when == "after")
    following = await asyncio.to_thread(ups("--role", "web").ready)
    assert await sent(following) == 200
    (push,) = await store.pushes(row.id)
    assert (push.body, push.doubled) == (body, int(when == "after"))
    assert (await store.scope_agenda(scope.id)).asked == 1
    code, _, err = await asyncio.to_thread(following.end)
    assert code == 0, err


def shows(office, numbers):
    """Whether these jobs stand in the calendars, each once, and all but the last are moved."""
    titles = office.titles("ana") + office.titles("ben")
    arrived = sorted(int(title.split()[0].removeprefix("J-")) for title in titles)
    return arrived == numbers and sum("Moved" in title for title in titles) == len(numbers) - 1
