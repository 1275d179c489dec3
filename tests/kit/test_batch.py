"""Writes that are under way at once go out as one call, and each ends as if it were alone."""

import asyncio
import re

import msgspec
import pytest
from aiohttp import web
from yarl import URL

from truckroll.kit.answers import Response
from truckroll.kit.auth import Bearer
from truckroll.kit.batch import Batch, Outgoing
from truckroll.kit.errors import GiveUp, OutcomeUnknown, RetryLater, SignIn
from truckroll.kit.gate import Gate
from truckroll.kit.http import Pace, Transport, open_client
from truckroll.kit.multipart import MULTIPART

PARTS = re.compile(rb"Content-ID: <(\d+)>\r\n\r\n(.*?)\r\n--batch", re.DOTALL)
BOUNDARY = "answers"


def joined(parts, boundary=BOUNDARY, end="\r\n"):
    """Return a batch answer: (id, status, headers, body) each."""
    lines = []
    for id_, status, headers, body in parts:
        lines += [
            f"--{boundary}",
            "Content-Type: application/http",
            f"Content-ID: <response-{id_}>",
        ]
        lines += ["", f"HTTP/1.1 {status} X", *(f"{k}: {v}" for k, v in headers.items()), "", body]
    return end.join([*lines, f"--{boundary}--", ""]).encode()


class Vendor:
    """A system with a batch address: `answer(method, path, body)` decides each part's fate."""

    def __init__(self):
        self.batches = []
        self.singles = []
        self.answer = lambda *_: (200, {}, "{}")
        self.whole = None

    async def __call__(self, request):
        body = await request.read()
        if request.path != "/batch":
            self.singles.append((request.method, request.path_qs))
            status, headers, text = self.answer(request.method, request.path_qs, body)
            return web.Response(status=status, headers=headers, text=text)
        calls = []
        for id_, text in PARTS.findall(body):
            head, _, payload = text.partition(b"\r\n\r\n")
            method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
            calls.append((id_.decode(), method, path, payload))
        self.batches.append([(method, path) for _, method, path, _ in calls])
        if self.whole is not None:
            found = self.whole(request, len(self.batches))
            if found is not None:
                return found
        parts = [(id_, *self.answer(m, p, b)) for id_, m, p, b in calls]
        return web.Response(
            body=joined(parts),
            headers={"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"},
        )


@pytest.fixture
async def vendor(serve, client):
    """Returns a vendor and a client that batches up to `most` writes to it."""

    async def start(most=50, auth=None, apart=lambda _: False, **more):
        there = Vendor()
        url = await serve(there)
        batch = Batch(f"{url}batch", most, MULTIPART, apart)
        return there, await client(url, auth=auth, batch=batch, **more)

    return start


async def test_writes_under_way_at_once_are_one_call(vendor):
    there, http = await vendor()
    there.answer = lambda *call: (201, {"X-Path": call[1]}, call[2].decode())
    writes = [http.request("POST", f"a/{n}?x=1", body=b'{"n":%d}' % n) for n in range(7)]
    answers = await asyncio.gather(*writes)
    assert http.calls == 1
    assert sorted(there.batches[0]) == [("POST", f"/a/{n}?x=1") for n in range(7)]
    for n, answer in enumerate(answers):
        assert answer.status == 201
        assert answer.headers["x-path"] == f"/a/{n}?x=1"
        assert msgspec.json.decode(answer.body) == {"n": n}


async def test_a_single_write_goes_out_as_it_is(vendor):
    there, http = await vendor()
    await http.request("PATCH", "a/1", body=b"{}")
    assert (there.batches, there.singles) == ([], [("PATCH", "/a/1")])


async def test_reading_is_never_batched(vendor):
    there, http = await vendor()
    await asyncio.gather(*(http.request("GET", f"a/{n}") for n in range(3)))
    assert (there.batches, len(there.singles)) == ([], 3)


async def test_a_full_batch_goes_out_and_the_rest_follows(vendor):
    there, http = await vendor(most=10)
    await asyncio.gather(*(http.request("POST", f"a/{n}") for n in range(25)))
    assert [len(batch) for batch in there.batches] == [10, 10, 5]
    assert {path for batch in there.batches for _, path in batch} == {f"/a/{n}" for n in range(25)}


async def test_a_stream_of_writers_keeps_batches_full(vendor):
    _, http = await vendor()
    room = asyncio.Semaphore(50)

    async def write(n):
        async with room:
            await http.request("POST", f"a/{n}")

    await asyncio.gather(*(write(n) for n in range(500)))
    assert http.calls == 10


async def test_each_part_keeps_its_own_answer(vendor):
    there, http = await vendor()

    def answer(method, path, body):
        return (412 if path == "/a/1" else 200, {}, "{}")

    there.answer = answer
    answers = await asyncio.gather(*(http.request("PATCH", f"a/{n}") for n in range(3)))
    assert [one.status for one in answers] == [200, 412, 200]


@pytest.mark.fault("F24")
@pytest.mark.parametrize("lost", ["cut", "page", "failure", "half"])
async def test_a_lost_batch_answer_leaves_each_write_in_doubt(vendor, lost):
    there, http = await vendor()

    def whole(request, _):
        if lost == "cut":
            request.transport.abort()
        if lost == "page":
            return web.Response(text="<html>Sign in</html>", content_type="text/html")
        if lost == "half":
            kind = {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"}
            return web.Response(body=joined([(0, 200, {}, "{}")])[:60], headers=kind)
        return web.Response(status=502)

    there.whole = whole
    writes = [http.request("POST", f"a/{n}") for n in range(3)]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in answers] == [OutcomeUnknown] * 3
    assert len({id(one) for one in answers}) == 3, "each is raised on its own"
    assert there.singles == [], "nothing is sent again before it was looked up"


async def test_a_part_that_is_missing_in_the_answer_is_in_doubt_alone(vendor):
    there, http = await vendor()
    kind = {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"}
    parts = [(0, 200, {}, "{}"), (2, 200, {}, "{}")]
    there.whole = lambda *_: web.Response(body=joined(parts), headers=kind)
    writes = [http.request("POST", f"a/{n}") for n in range(3)]
    first, second, third = await asyncio.gather(*writes, return_exceptions=True)
    assert (first.status, third.status) == (200, 200)
    assert isinstance(second, OutcomeUnknown)


async def test_a_failure_of_one_part_is_that_parts_doubt(vendor):
    there, http = await vendor()
    there.answer = lambda *call: (500 if call[1] == "/a/0" else 200, {}, "")
    writes = [http.request("POST", f"a/{n}") for n in range(2)]
    first, second = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(first, OutcomeUnknown)
    assert second.status == 200


@pytest.mark.fault("F31")
async def test_a_long_pause_asked_of_a_part_is_the_callers_and_holds_the_account(vendor, clock):
    there, http = await vendor()

    def answer(method, path, body):
        return (429, {"Retry-After": "120"}, "{}") if path == "/a/1" else (200, {}, "{}")

    there.answer = answer
    writes = [http.request("POST", f"a/{n}") for n in range(2)]
    first, second = await asyncio.gather(*writes, return_exceptions=True)
    assert first.status == 200
    assert isinstance(second, RetryLater)
    assert second.after.total_seconds() >= 120
    with pytest.raises(RetryLater):
        await http.request("GET", "a/1")


@pytest.mark.fault("F31")
@pytest.mark.fault("F33")
async def test_a_short_pause_is_waited_for_and_only_those_parts_are_sent_again(vendor, clock):
    there, http = await vendor()
    refused = set()

    def answer(method, path, body):
        if path in {"/a/1", "/a/2"} and path not in refused:
            refused.add(path)
            return 429, {"Retry-After": "5"}, "{}"
        return 200, {}, "{}"

    there.answer = answer
    answers = await asyncio.gather(*(http.request("POST", f"a/{n}") for n in range(4)))
    assert [one.status for one in answers] == [200] * 4
    assert sorted(there.batches[1]) == [("POST", "/a/1"), ("POST", "/a/2")]
    assert max(clock.slept) >= 5


async def test_a_vendors_own_way_to_ask_for_a_pause_counts(vendor, clock):
    there, http = await vendor(busy=lambda answer: answer.status == 403)
    there.answer = lambda *_: (403, {}, "{}")
    writes = [http.request("POST", f"a/{n}") for n in range(2)]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in answers] == [RetryLater] * 2
    assert len(there.batches) == 3, "tried as often as a single call"


class Renewable:
    def __init__(self):
        self.token = 0

    async def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    async def refused(self):
        self.token += 1
        return True


async def test_a_batch_whose_sign_in_is_too_old_is_sent_once_more_with_a_new_one(vendor):
    there, http = await vendor(auth=Renewable())

    def whole(request, _):
        old = request.headers["Authorization"] == "Bearer 0"
        return web.Response(status=401) if old else None

    there.whole = whole
    answers = await asyncio.gather(*(http.request("POST", f"a/{n}") for n in range(3)))
    assert [one.status for one in answers] == [200] * 3
    assert len(there.batches) == 2


async def test_a_sign_in_that_is_refused_for_good_is_told_to_each(vendor):
    there, http = await vendor(auth=Bearer("x"))
    there.whole = lambda *_: web.Response(status=401)
    writes = [http.request("POST", f"a/{n}") for n in range(2)]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in answers] == [SignIn] * 2


async def test_parts_whose_sign_in_is_too_old_are_sent_again_together(vendor):
    auth = Renewable()
    there, http = await vendor(auth=auth)
    there.answer = lambda *_: (200 if len(there.batches) > 1 else 401, {}, "{}")
    answers = await asyncio.gather(*(http.request("POST", f"a/{n}") for n in range(4)))
    assert [one.status for one in answers] == [200] * 4
    assert http.calls == 2


async def test_parts_whose_sign_in_is_refused_again_say_so(vendor):
    there, http = await vendor(auth=Renewable())
    there.answer = lambda *_: (401, {}, "{}")
    writes = [http.request("POST", f"a/{n}") for n in range(2)]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in answers] == [SignIn] * 2


async def test_a_part_whose_sign_in_ran_out_under_way_is_sent_again(vendor):
    there, http = await vendor(auth=Renewable())
    seen = set()

    def answer(method, path, body):
        if path == "/a/1" and path not in seen:
            seen.add(path)
            return 401, {}, "{}"
        return 200, {}, "{}"

    there.answer = answer
    answers = await asyncio.gather(*(http.request("POST", f"a/{n}") for n in range(2)))
    assert [one.status for one in answers] == [200, 200]
    assert there.singles == [("POST", "/a/1")]


async def test_a_part_that_failed_for_its_company_is_sent_alone(vendor):
    there, http = await vendor(apart=lambda answer: answer.status == 409)
    there.answer = lambda *_: (200 if there.singles else 409, {}, "{}")
    answers = await asyncio.gather(*(http.request("PATCH", "a/1") for _ in range(2)))
    assert [one.status for one in answers] == [200, 200]
    assert len(there.singles) == 2


@pytest.mark.parametrize("status", [400, 404, 413, 501])
async def test_where_batches_are_refused_writes_go_alone(vendor, status):
    there, http = await vendor()
    there.whole = lambda *_: web.Response(status=status)
    answers = await asyncio.gather(*(http.request("POST", f"a/{n}") for n in range(3)))
    assert [one.status for one in answers] == [200] * 3
    assert len(there.singles) == 3


async def test_a_batch_that_is_forbidden_is_forbidden_to_each(vendor):
    there, http = await vendor()
    there.whole = lambda *_: web.Response(status=403, text="no")
    answers = await asyncio.gather(*(http.request("POST", f"a/{n}") for n in range(2)))
    assert [(one.status, one.body) for one in answers] == [(403, b"no")] * 2


class Delegated:
    """Acts for anybody; each has a token of their own."""

    def __init__(self, name=""):
        self.name = name

    async def headers(self):
        return {"Authorization": f"Bearer {self.name}"}

    async def refused(self):
        return False

    def acting(self, whom):
        return Delegated(whom)


async def test_nobodys_writes_go_out_in_another_persons_name(vendor):
    there, http = await vendor(auth=Delegated())
    tokens = []
    there.whole = lambda request, _: tokens.append(request.headers["Authorization"])
    who = ("ana", "ben")
    writes = [http.request("POST", f"{name}/{n}", whom=name) for n in range(3) for name in who]
    await asyncio.gather(*writes)
    assert sorted(tokens) == ["Bearer ana", "Bearer ben"]
    for token, batch in zip(tokens, there.batches, strict=True):
        assert {path.split("/")[1] for _, path in batch} == {token.removeprefix("Bearer ")}


async def test_every_write_in_a_batch_counts_against_the_pace(vendor, clock):
    _, http = await vendor(pace=Pace(per_second=10))
    await asyncio.gather(*(http.request("POST", f"a/{n}") for n in range(50)))
    await http.request("GET", "a/1")
    assert http.calls == 2
    assert sum(clock.slept) >= 4, "fifty requests at ten a second"


async def test_a_pace_counts_by_weight(clock):
    gate = Gate(Pace(10, 1), clock.timing)
    async with gate.turn(30):
        assert clock.slept == [pytest.approx(2.9)]


async def test_a_writer_that_leaves_does_not_disturb_the_others(vendor):
    _, http = await vendor()
    tasks = [asyncio.create_task(http.request("POST", f"a/{n}")) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert [answers[0].status, answers[2].status] == [200, 200]


class Broken:
    def pack(self, calls):
        raise ZeroDivisionError(len(calls))

    unpack = pack


async def test_a_slip_of_our_own_is_raised_to_each_who_waits(serve, client):
    url = await serve(Vendor())
    http = await client(url, batch=Batch(f"{url}batch", 50, Broken()))
    writes = [http.request("POST", f"a/{n}") for n in range(2)]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in answers] == [ZeroDivisionError] * 2


async def test_a_client_that_is_closed_leaves_nothing_behind(serve):
    came = asyncio.Event()

    async def hang(_):
        came.set()
        await asyncio.sleep(3600)

    url = await serve(hang)
    transport = Transport(url, private=True, batch=Batch(f"{url}batch", 50, MULTIPART))
    before = asyncio.all_tasks()
    async with open_client(transport, system="Radicale") as http:
        tasks = [asyncio.create_task(http.request("POST", f"a/{n}")) for n in range(3)]
        await came.wait()
        for task in tasks:
            task.cancel()
        left = await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert all(isinstance(one, asyncio.CancelledError) for one in left)
    assert {one for one in asyncio.all_tasks() - before if "_drain" in str(one)} == set()


async def test_a_refused_address_is_told_to_each(vendor, client, serve):
    there = Vendor()
    url = await serve(there)
    http = await client(url, batch=Batch("ftp://nowhere/", 50, MULTIPART))
    writes = [http.request("POST", f"a/{n}") for n in range(2)]
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in answers] == [GiveUp] * 2


CALLS = [
    Outgoing("POST", URL(f"https://api.example/a/{n}?q=%20"), {"X": "1"}, b"{}") for n in (0, 1)
]


def answer(body, kind=f'multipart/mixed; boundary="{BOUNDARY}"'):
    return Response(200, {"content-type": kind}, body, "https://api.example/batch")


def test_the_packed_form_is_what_the_vendor_reads():
    headers, body = MULTIPART.pack(CALLS)
    boundary = headers["Content-Type"].split('"')[1]
    assert (
        body
        == (
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <0>\r\n\r\n"
            "POST /a/0?q=%20 HTTP/1.1\r\nX: 1\r\nContent-Length: 2\r\n\r\n{}\r\n"
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <1>\r\n\r\n"
            "POST /a/1?q=%20 HTTP/1.1\r\nX: 1\r\nContent-Length: 2\r\n\r\n{}\r\n"
            f"--{boundary}--\r\n"
        ).encode()
    )


def test_a_header_never_begins_a_line_of_its_own():
    call = CALLS[0]._replace(headers={"If-Match": '"1"\r\nAuthorization: Bearer theirs'})
    _, body = MULTIPART.pack([call])
    assert b"\r\nAuthorization" not in body


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_answers_are_told_by_their_ids_in_any_order(end):
    parts = [(1, 204, {}, ""), (0, 200, {"ETag": '"7"'}, '{"a":"--answers"}')]
    first, second = MULTIPART.unpack(answer(joined(parts, end=end)), CALLS)
    assert (first.status, first.headers["etag"]) == (200, '"7"')
    assert msgspec.json.decode(first.body) == {"a": "--answers"}
    assert (second.status, second.body) == (204, b"")


@pytest.mark.parametrize("parts", [[(9, 200, {}, "")], [("x", 200, {}, "")], [(0, "OK", {}, "")]])
def test_an_answer_that_belongs_to_nothing_is_no_answer(parts):
    assert MULTIPART.unpack(answer(joined(parts)), CALLS) == [None, None]


def test_a_part_that_was_cut_off_is_no_answer():
    whole = joined([(0, 200, {}, "{}"), (1, 200, {}, '{"long": "text"}')])
    first, second = MULTIPART.unpack(answer(whole[: whole.index(b"text")]), CALLS)
    assert first.status == 200
    assert second is None


@pytest.mark.parametrize("kind", ["application/json", "multipart/mixed", "text/html; boundary=x"])
def test_another_form_is_refused(kind):
    with pytest.raises(ValueError, match="no multipart"):
        MULTIPART.unpack(answer(b"{}", kind), CALLS)
