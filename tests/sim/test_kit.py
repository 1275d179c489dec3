from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from sim.toy import Toy
from truckroll_sim.kit.paging import keyed, numbered, seal, unseal
from truckroll_sim.kit.server import running

START = datetime(2026, 11, 2, 8, tzinfo=UTC)


class Client:
    def __init__(self, box, session):
        self.box, self.session = box, session

    async def __call__(self, method, path, body=None, **options):
        async with self.session.request(
            method, self.box.address + path, json=body, **options
        ) as answer:
            raw = await answer.read()
            return answer, (await answer.json() if raw else None)


@pytest.fixture
async def ask():
    async with running([Toy], at=START) as box, aiohttp.ClientSession() as session:
        yield Client(box, session)


async def test_the_same_system_answers_under_each_of_its_names(ask):
    await ask("POST", "/toy/things", {"a": 1})
    assert (await ask("GET", "/toy-too/things"))[1] == [{"id": "1", "a": 1}]


async def test_the_more_specific_path_wins_and_parts_are_decoded(ask):
    ask.box.systems["toy"].things.put("a/b@c", {"id": "a/b@c"})
    assert (await ask("GET", "/toy/things/special"))[1] == "special"
    session_path = aiohttp.client.URL(ask.box.address + "/toy/things/a%2Fb%40c", encoded=True)
    async with ask.session.get(session_path) as answer:
        assert await answer.json() == {"id": "a/b@c"}
    answer, body = await ask("GET", "/toy/nowhere")
    assert (answer.status, body) == (404, {"message": "nothing here"})


async def test_the_log_says_who_called_what_and_forgets_when_told(ask):
    token = (await ask("GET", "/_sim/toy/credentials"))[1]["token"]
    await ask("GET", "/toy/things?x=1", headers={"Authorization": f"Bearer {token}"})
    [line] = (await ask("GET", "/_sim/toy/calls"))[1]["calls"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/things", 200)
    assert (line["account"], line["query"]) == ("ann", [["x", "1"]])
    await ask("DELETE", "/_sim/toy/calls")
    assert (await ask("GET", "/_sim/toy/calls"))[1] == {"calls": []}


async def test_the_outbox_says_who_was_told(ask):
    await ask("POST", "/toy/things", {})
    [message] = (await ask("GET", "/_sim/toy/outbox"))[1]["outbox"]
    assert (message["to"], message["why"]) == ("bob", "it was made")


async def test_records_are_edited_as_a_user_would(ask):
    _, made = await ask("POST", "/_sim/toy/records/things", {"a": 1})
    await ask("PATCH", f"/_sim/toy/records/things/{made['id']}", {"a": 2})
    assert (await ask("GET", f"/toy/things/{made['id']}"))[1]["a"] == 2
    await ask("DELETE", f"/_sim/toy/records/things/{made['id']}")
    answer, told = await ask("GET", f"/_sim/toy/records/things/{made['id']}")
    assert answer.status == 404
    assert told["error"] == "not found: there is no thing 1"
    answer, told = await ask("GET", "/_sim/toy/records/other")
    assert (answer.status, told["error"][:35]) == (404, "not found: there are no records cal")


async def test_a_seed_is_the_same_each_time_and_a_bad_one_is_refused(ask):
    assert (await ask("POST", "/_sim/toy/seed", {"things": 3}))[1] == {"things": 3}
    answer, told = await ask("POST", "/_sim/toy/seed", {"thinks": 3})
    assert answer.status == 400
    assert "thinks" in told["error"]
    await ask("POST", "/_sim/toy/reset")
    assert (await ask("GET", "/toy/things"))[1] == []


async def test_acts_take_and_give_json(ask):
    assert (await ask("POST", "/_sim/toy/acts/greet", {"who": "you"}))[1] == {"hello": "you"}
    assert (await ask("GET", "/_sim/toy/acts"))[1] == {"acts": ["greet"]}


async def test_the_clock_is_set_advanced_and_let_go(ask):
    _, told = await ask("POST", "/_sim/clock", {"advance_seconds": 90})
    assert told == {"now": "2026-11-02T08:01:30.000Z", "frozen": True}
    _, told = await ask("POST", "/_sim/clock", {"set": "2026-12-01T00:00:00Z", "frozen": False})
    assert (told["now"][:16], told["frozen"]) == ("2026-12-01T00:00", False)
    answer, _ = await ask("POST", "/_sim/clock", {"set": "2026-12-01T00:00:00"})
    assert answer.status == 400


async def test_a_token_ends_with_its_time(ask):
    toy = ask.box.systems["toy"]
    token = toy.kit.tokens.issue("ann", lasts_seconds=60)
    assert toy.kit.tokens.grant(token).account == "ann"
    ask.box.clock.advance(61)
    assert toy.kit.tokens.grant(token) is None


async def test_a_status_fault_meets_the_next_calls_of_its_kind_and_then_ends(ask):
    fault = {"kind": "status", "status": 429, "retry_after": "2.128", "reason": "busy"}
    await ask("POST", "/_sim/toy/faults", {**fault, "times": 1, "method": "POST"})
    assert (await ask("GET", "/toy/things"))[0].status == 200
    answer, body = await ask("POST", "/toy/things", {})
    assert (answer.status, answer.headers["Retry-After"], body) == (
        429,
        "2.128",
        {"message": "busy"},
    )
    assert (await ask("POST", "/toy/things", {}))[0].status == 201
    assert (await ask("GET", "/_sim/toy/faults"))[1] == {"faults": []}


async def test_a_share_of_calls_fails_and_always_the_same_ones(ask):
    async def failures():
        await ask("POST", "/_sim/toy/reset")
        await ask("POST", "/_sim/toy/faults", {"kind": "status", "share": 0.3})
        return [(await ask("GET", "/toy/things"))[0].status for _ in range(40)]

    first = await failures()
    assert 4 < first.count(503) < 20
    assert await failures() == first


async def test_a_lost_answer_may_hide_a_done_deed(ask):
    await ask("POST", "/_sim/toy/faults", {"kind": "drop", "times": 1, "after": True})
    with pytest.raises(aiohttp.ClientError):
        await ask("POST", "/toy/things", {})
    assert len((await ask("GET", "/toy/things"))[1]) == 1
    await ask("POST", "/_sim/toy/faults", {"kind": "drop", "times": 1})
    with pytest.raises(aiohttp.ClientError):
        await ask("POST", "/toy/things", {})
    assert len((await ask("GET", "/toy/things"))[1]) == 1


async def test_half_an_answer_is_known_by_its_length(ask):
    await ask("POST", "/_sim/toy/seed", {"things": 9})
    await ask("POST", "/_sim/toy/faults", {"kind": "truncated", "times": 1})
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask("GET", "/toy/things")


async def test_a_hanging_call_is_never_answered(ask):
    await ask("POST", "/_sim/toy/faults", {"kind": "hang", "times": 1})
    with pytest.raises(TimeoutError):
        await ask("GET", "/toy/things", timeout=aiohttp.ClientTimeout(total=0.2))


async def test_a_stale_list_trails_the_writes(ask):
    await ask("POST", "/_sim/toy/faults", {"kind": "stale", "seconds": 60})
    await ask("POST", "/toy/things", {})
    assert (await ask("GET", "/toy/things"))[1] == []
    await ask("POST", "/_sim/clock", {"advance_seconds": 61})
    assert len((await ask("GET", "/toy/things"))[1]) == 1


async def test_a_late_reader_knows_how_far_it_has_seen(ask):
    toy = ask.box.systems["toy"]
    seen = toy.things.put("a", {"n": 1}).revision
    ask.box.clock.advance(100)
    toy.things.put("b", {})
    toy.things.put("a", {"n": 2})
    assert toy.things.horizon(60) == seen
    assert list(toy.things.rows(60)) == [{"n": 1}]
    assert [one.place for one in toy.things.versions()] == [1, 2]
    assert toy.things.version_at("a", seen).row == {"n": 1}


async def test_a_vendors_clock_can_be_off(ask):
    await ask("POST", "/_sim/toy/faults", {"kind": "skew", "seconds": 420})
    assert (ask.box.systems["toy"].kit.clock.now() - START).total_seconds() == 420


@asynccontextmanager
async def listening(*statuses):
    got, left = [], list(statuses)

    async def take(request):
        got.append(await request.text())
        return web.Response(status=left.pop(0) if left else 200)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", got
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("fault", "statuses", "arrived"),
    [
        (None, [], 1),
        (None, [503], 2),
        (None, [400], 1),
        ({"mode": "duplicated"}, [], 2),
        ({"mode": "lost"}, [], 0),
        ({"mode": "late", "seconds": 30}, [], 1),
    ],
)
async def test_web_hooks_arrive_as_the_faults_have_it(ask, fault, statuses, arrived):
    await ask("POST", "/_sim/clock", {"frozen": False})
    if fault:
        await ask("POST", "/_sim/toy/faults", {"kind": "push", **fault})
    async with listening(*statuses) as (address, got):
        await ask("POST", "/toy/hook", {"to": address})
        if fault and fault["mode"] == "late":
            assert got == []
            await ask("POST", "/_sim/clock", {"advance_seconds": 31})
        await ask.box.systems["toy"].kit.push.idle()
        assert got == ["x"] * arrived
    assert len((await ask("GET", "/_sim/toy/pushes"))[1]["pushes"]) == max(arrived, 1)


def test_pages_by_number_and_by_key():
    items = [5, 1, 4, 2, 3]
    assert numbered(items, 2, 2).items == [4, 2]
    assert not numbered(items, 3, 2).more
    page = keyed(items, 2, 2, lambda item: item)
    assert (page.items, page.more) == ([3, 4], True)


def test_a_cursor_is_only_read_if_it_was_made_here():
    assert unseal(seal({"after": [1, "é"]})) == {"after": [1, "é"]}
    for word in ("", "abc", "%%%", "ü"):
        with pytest.raises(ValueError, match="not sealed"):
            unseal(word)
