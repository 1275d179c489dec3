"""`truckroll up` as a process."""

import asyncio
import socket
import time
from functools import partial

import httpx
import pytest

from support.company import row
from truckroll.app import timetable
from truckroll.app.hub import utc_now
from truckroll.app.trouble import TroubleError
from truckroll.app.up import up
from truckroll.web.server import listen_on, serve_web


async def until(true, seconds=20.0):
    """Wait until something is true, looked at from a thread: it asks other processes."""
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.05)


async def test_it_keeps_in_step_until_it_is_told_to_end(office, ups, store):
    began = time.monotonic()
    process = await asyncio.to_thread(ups("--role", "worker").ready)
    assert time.monotonic() - began < 5.0 + 5.0  # the machine may be busy; alone it takes one
    await until(lambda: office.titles("ana") == ["J-1 Visit 1 · Smith"])
    office.rows.append(row(2, "Ben"))
    office.save()
    (jobs,) = [one for one in await store.scopes() if one.scope.id == "table"]
    await store.make_due([jobs.id], at=utc_now())
    await until(lambda: office.titles("ben") == ["J-2 Visit 2 · Smith"])
    office.rows.append(row(3, "Ben", day=7))
    office.save()
    view = await timetable.now(office.hub)
    assert (view.writes, view.failed, view.problems, len(view.runs)) == (1, 0, [], 1)
    assert office.titles("ben") == ["J-2 Visit 2 · Smith", "J-3 Visit 3 · Smith"]
    began = time.monotonic()
    code, out, err = await asyncio.to_thread(process.end)
    assert (code, err) == (0, "")
    assert "ended" in out
    assert time.monotonic() - began < 5


async def test_the_web_is_served_in_the_same_process_and_ends_with_it(
    office, database_url, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRUCKROLL_DATABASE", database_url)
    told, stop = asyncio.Future(), asyncio.Event()
    web = partial(serve_web, listen_on("127.0.0.1", 0))
    serving = asyncio.create_task(up(tmp_path / "home", stop, web=web, told=told.set_result))
    view = await told
    assert (view.recipes, view.scopes) == (1, 3)
    await until(lambda: office.titles("ana") == ["J-1 Visit 1 · Smith"])
    async with httpx.AsyncClient(base_url=view.web) as client:
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        assert (await client.get("/api/openapi.json")).json()["openapi"].startswith("3.1")
        assert (await client.get("/api/v1/runs")).status_code == 401
        assert (await client.post(f"/push/{'a' * 43}", content=b"x")).status_code == 404
        assert (
            'truckroll_writes_total{op="create",result="done"} 1.0'
            in (await client.get("/metrics")).text
        )
    stop.set()
    async with asyncio.timeout(10):
        await serving


def test_a_port_that_is_taken_is_told_before_anything_starts(office, ups):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = ups("--listen", str(port)).communicate()
    assert (code, out) == (1, "")
    assert f"127.0.0.1:{port} cannot be listened on: address already in use" in err
    assert "truckroll up --listen" in err


async def test_what_breaks_in_the_web_ends_all_of_it(office, database_url, tmp_path, monkeypatch):
    monkeypatch.setenv("TRUCKROLL_DATABASE", database_url)

    async def broken(serving, stop, started):
        await asyncio.sleep(0.5)
        raise TroubleError("the web broke")

    with pytest.raises(TroubleError, match="the web broke"):
        async with asyncio.timeout(20):
            await up(tmp_path / "home", asyncio.Event(), web=broken)


async def test_a_directory_that_is_no_home_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(TroubleError, match="truckroll init"):
        await up(tmp_path, asyncio.Event())
