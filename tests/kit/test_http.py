import asyncio
import gzip
import zlib
from datetime import timedelta

import pytest
from aiohttp import web

from truckroll.kit.errors import GiveUp, OutcomeUnknown, RetryLater, SignIn
from truckroll.kit.http import Limits, Pace, Response, Transport, expect, open_client
from truckroll.kit.pace import REAL_TIME


class Sequence:
    """Answers each request with the next of these; keeps what came."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.got = []

    async def __call__(self, request):
        self.got.append(
            (request.method, request.path_qs, dict(request.headers), await request.read())
        )
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer() if callable(answer) else answer


def text(status=200, body="ok", **headers):
    return lambda: web.Response(
        status=status, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def test_an_answer_is_returned_whole_with_lower_case_headers(serve, client):
    http = await client(await serve(Sequence(text(body="hello", ETag='"1"'))))
    answer = await http.request("GET", "a/b?c=d")
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, b"hello", '"1"')
    assert answer.content_type == "text/plain"
    assert http.calls == 1


async def test_repeated_headers_are_joined_and_cookies_left_out(serve, client):
    async def handler(_request):
        headers = [("DAV", "1"), ("DAV", "calendar-access"), ("Set-Cookie", "a=b")]
        return web.Response(headers=headers)

    http = await client(await serve(handler))
    answer = await http.request("OPTIONS", "/")
    assert answer.headers["dav"] == "1, calendar-access"
    assert "set-cookie" not in answer.headers


async def test_connections_are_kept(serve, client):
    peers = set()

    async def handler(request):
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response()

    http = await client(await serve(handler))
    for _ in range(5):
        await http.request("GET", "/")
    assert len(peers) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_send_method_and_body_again(serve, client, status):
    seen = Sequence(text(status, Location="/there"), text(201, "made"))
    http = await client(await serve(seen))
    answer = await http.request("PUT", "/here", body=b"event", headers={"If-None-Match": "*"})
    assert answer.status == 201
    assert answer.url.endswith("/there")
    assert [(m, p, b) for m, p, _, b in seen.got] == [
        ("PUT", "/here", b"event"),
        ("PUT", "/there", b"event"),
    ]
    assert seen.got[1][2]["If-None-Match"] == "*"
    assert http.calls == 2


async def test_endless_redirects_end(serve, client):
    http = await client(await serve(Sequence(text(302, Location="/again"))))
    with pytest.raises(GiveUp, match="without end"):
        await http.request("GET", "/")
    assert http.calls == 6


async def test_a_redirect_to_another_site_is_not_followed(serve, client):
    http = await client(await serve(Sequence(text(302, Location="http://other.example/"))))
    with pytest.raises(GiveUp, match=r"another site \(other\.example\)"):
        await http.request("GET", "/")


class Token:
    def __init__(self, *, renews):
        self.token, self.renews, self.told = "first", renews, 0

    async def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    async def refused(self):
        self.told += 1
        self.token = "second"
        return self.renews


async def test_a_401_renews_once_and_goes_on(serve, client):
    seen = Sequence(text(401), text(200))
    auth = Token(renews=True)
    http = await client(await serve(seen), auth=auth)
    assert (await http.request("POST", "/", body=b"x")).status == 200
    assert [h["Authorization"] for _, _, h, _ in seen.got] == ["Bearer first", "Bearer second"]
    assert auth.told == 1


@pytest.mark.fault("F43")
async def test_a_401_that_stays_asks_a_person_to_sign_in_after_one_renewal(serve, client):
    seen = Sequence(text(401))
    http = await client(await serve(seen), auth=Token(renews=True))
    with pytest.raises(SignIn, match="Sign in again"):
        await http.request("GET", "/")
    assert len(seen.got) == 2


async def test_a_403_stays_with_the_caller(serve, client):
    http = await client(await serve(Sequence(text(403))))
    assert (await http.request("GET", "/")).status == 403


@pytest.mark.fault("F31")
@pytest.mark.parametrize(("said", "waits"), [("2", 2.0), ("2.128", 2.128), ("0", 0.25)])
async def test_a_short_pause_is_waited_for(serve, client, clock, said, waits):
    seen = Sequence(text(429, Retry_After=said), text(200))
    http = await client(await serve(seen))
    assert (await http.request("POST", "/", body=b"x")).status == 200
    assert clock.slept == [pytest.approx(waits)]
    assert http.calls == 2


@pytest.mark.fault("F31")
async def test_a_long_pause_is_the_callers_and_holds_the_whole_account(serve, client):
    seen = Sequence(text(429, Retry_After="86400"))
    http = await client(await serve(seen))
    with pytest.raises(RetryLater) as caught:
        await http.request("GET", "/")
    assert caught.value.after == timedelta(days=1)
    with pytest.raises(RetryLater):
        await http.request("GET", "/other")
    assert len(seen.got) == 1


@pytest.mark.fault("F31")
async def test_short_pauses_without_end_become_the_callers(serve, client, clock):
    http = await client(await serve(Sequence(text(429, Retry_After="1"))))
    with pytest.raises(RetryLater):
        await http.request("GET", "/")
    assert http.calls < 30
    assert sum(clock.slept) <= 30


@pytest.mark.fault("F31")
async def test_a_429_without_a_word_backs_off_and_ends(serve, client, clock):
    http = await client(await serve(Sequence(text(429, Retry_After="soon"))))
    with pytest.raises(RetryLater):
        await http.request("POST", "/", body=b"x")
    assert http.calls == 3
    assert clock.slept == [0.25, 0.5]


async def test_a_503_with_a_time_is_a_pause_for_writes_too(serve, client):
    http = await client(await serve(Sequence(text(503, Retry_After="3"), text(201))))
    assert (await http.request("PUT", "/", body=b"x")).status == 201


@pytest.mark.fault("F32")
async def test_a_failing_read_is_tried_three_times(serve, client):
    seen = Sequence(text(500))
    http = await client(await serve(seen))
    with pytest.raises(RetryLater, match=r"\[500\]\.$"):
        await http.request("REPORT", "/", body=b"<x/>")
    assert len(seen.got) == 3


@pytest.mark.fault("AT-25")
async def test_a_failing_write_is_sent_once_and_its_outcome_unknown(serve, client):
    seen = Sequence(text(502))
    http = await client(await serve(seen))
    with pytest.raises(OutcomeUnknown, match="looked up before"):
        await http.request("PUT", "/", body=b"x")
    assert len(seen.got) == 1


async def test_a_full_store_is_an_answer(serve, client):
    http = await client(await serve(Sequence(text(507))))
    assert (await http.request("PUT", "/", body=b"x")).status == 507


def hangs_up(seen):
    async def handler(request):
        seen.append(request.method)
        await request.read()
        request.transport.close()
        return web.Response()

    return handler


async def test_a_lost_answer_to_a_read_is_asked_for_again(serve, client):
    seen = []
    http = await client(await serve(hangs_up(seen)))
    with pytest.raises(RetryLater, match="broke off"):
        await http.request("PROPFIND", "/")
    assert len(seen) == 3
    assert http.calls == 3


@pytest.mark.fault("F24")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_write_whose_answer_is_lost_is_never_repeated(serve, client, method):
    seen = []
    http = await client(await serve(hangs_up(seen)))
    with pytest.raises(OutcomeUnknown):
        await http.request(method, "/", body=b"x")
    assert seen == [method]
    assert http.calls == 1


async def test_a_write_on_a_connection_that_died_is_not_repeated_in_silence(serve, client):
    seen = []

    async def handler(request):
        seen.append(request.method)
        if request.method == "PUT":
            await request.read()
            request.transport.close()
        return web.Response()

    http = await client(await serve(handler))
    await http.request("GET", "/")
    with pytest.raises(OutcomeUnknown):
        await http.request("PUT", "/", body=b"x")
    assert seen == ["GET", "PUT"]


async def test_a_refused_connection_is_safe_to_try_again_for_writes(client, unused_tcp_port):
    http = await client(f"http://127.0.0.1:{unused_tcp_port}/")
    with pytest.raises(RetryLater, match="cannot be reached at"):
        await http.request("POST", "/", body=b"x")
    assert http.calls == 3


@pytest.mark.fault("F62")
async def test_a_name_that_is_never_looked_up_is_left_and_nothing_was_sent(clock):
    async def lookup(_host, _port, _family):
        await asyncio.sleep(30)

    transport = Transport("http://slow.example/", limits=Limits(connect_seconds=0.05))
    opened = open_client(transport, system="R", timing=clock.timing, lookup=lookup)
    async with opened as http:
        with pytest.raises(RetryLater):
            await http.request("POST", "/", body=b"x")


@pytest.mark.fault("F62")
@pytest.mark.parametrize(("method", "error"), [("GET", RetryLater), ("POST", OutcomeUnknown)])
async def test_a_server_that_never_answers_is_left(serve, client, method, error):
    async def handler(_request):
        await asyncio.sleep(30)

    limits = Limits(total_seconds=0.05)
    http = await client(await serve(handler), limits=limits)
    with pytest.raises(error, match="did not answer in time"):
        await http.request(method, "/", body=b"x")
    assert http.calls == (3 if method == "GET" else 1)


async def test_the_callers_time_bounds_the_whole_exchange(serve, client):
    async def handler(_request):
        await asyncio.sleep(30)

    http = await client(await serve(handler), timing=REAL_TIME)
    with pytest.raises(OutcomeUnknown, match="did not answer in time"):
        await http.request("PUT", "/", body=b"x", timeout=timedelta(seconds=0.05))


@pytest.mark.fault("F23")
async def test_a_page_of_200_mb_is_left_early(serve, client):
    sent = 0

    async def handler(request):
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(3200):
            await answer.write(b"x" * 65536)
            sent += 65536
        return answer

    http = await client(await serve(handler), limits=Limits(body_bytes=1024 * 1024))
    with pytest.raises(RetryLater, match="more than 1 MB"):
        await http.request("GET", "/")
    assert http.calls == 1
    assert sent < 100 * 1024 * 1024


@pytest.mark.fault("F23")
async def test_an_announced_size_over_the_limit_is_not_read(serve, client):
    async def handler(request):
        answer = web.StreamResponse(headers={"Content-Length": str(2**31)})
        await answer.prepare(request)
        await asyncio.sleep(30)

    http = await client(await serve(handler))
    with pytest.raises(RetryLater, match="more than 64 MB"):
        await http.request("GET", "/")


@pytest.mark.fault("F23")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_gzip_bomb_is_left(serve, client, method):
    bomb = gzip.compress(b"\0" * (50 * 1024 * 1024))

    async def handler(_request):
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    http = await client(await serve(handler))
    error = RetryLater if method == "GET" else OutcomeUnknown
    with pytest.raises(error, match="unpacks to over 200 times"):
        await http.request(method, "/")
    assert http.calls == 1


RAW = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello", mtime=0)),
        ("gzip", gzip.compress(b"hel", mtime=0) + gzip.compress(b"lo", mtime=0)),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", RAW.compress(b"hello") + RAW.flush()),
        ("identity", b"hello"),
    ],
)
async def test_packed_answers_are_unpacked(serve, client, encoding, packed):
    async def handler(_request):
        return web.Response(body=packed, headers={"Content-Encoding": encoding})

    http = await client(await serve(handler))
    assert (await http.request("GET", "/")).body == b"hello"


@pytest.mark.fault("F23")
@pytest.mark.parametrize(
    "packed", [gzip.compress(b"hello" * 100, mtime=0)[:-12], b"not gzip at all", b"\x1f\x8b"]
)
async def test_a_packed_answer_that_is_cut_off_is_none(serve, client, packed):
    async def handler(_request):
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    http = await client(await serve(handler))
    with pytest.raises(RetryLater, match="cannot be unpacked"):
        await http.request("GET", "/")
    assert http.calls == 3


@pytest.mark.fault("F23")
async def test_an_answer_shorter_than_announced_is_none(client):
    async def half(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    async with server:
        http = await client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        with pytest.raises(RetryLater):
            await http.request("GET", "/")
    assert http.calls == 3


async def test_something_that_is_no_http_is_no_answer(client):
    async def noise(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    server = await asyncio.start_server(noise, "127.0.0.1", 0)
    async with server:
        http = await client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        with pytest.raises(RetryLater):
            await http.request("GET", "/")


def page(body, kind="text/html"):
    return Response(200, {"content-type": f"{kind}; charset=utf-8"}, body, "http://x/")


@pytest.mark.fault("F23")
@pytest.mark.parametrize(
    "answer", [page(b"<p>Sign in"), page(b"\n<!DOCTYPE html><html>", "application/octet-stream")]
)
@pytest.mark.parametrize("error", [RetryLater, GiveUp])
def test_a_web_page_is_not_a_calendar(answer, error):
    with pytest.raises(error, match="web page where a calendar was expected"):
        expect(answer, {"text/xml"}, "Radicale", wanted="a calendar", otherwise=error)


def test_the_expected_form_is_accepted():
    expect(page(b"<x/>", "application/xml"), {"application/xml", "text/xml"}, "Radicale")
    with pytest.raises(RetryLater, match=r"\(image/png\)"):
        expect(page(b"\x89PNG", "image/png"), {"text/xml"}, "Radicale")


async def test_the_pace_holds_for_every_attempt(serve, client, clock):
    http = await client(await serve(Sequence(text(200))), pace=Pace(per_second=2, concurrency=1))
    for _ in range(6):
        await http.request("GET", "/")
    assert sum(clock.slept) == pytest.approx(2.5)
