"""`truckroll up` as a process."""

import asyncio
import time

import httpx
import pytest

from support.company import row
from support.servers import free_port
from truckroll.app import timetable
from truckroll.app.hub import utc_now
from truckroll.app.trouble import TroubleError
from truckroll.app.up import Address, up
from truckroll.store.due import DueDesk


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
    told, stop, given = asyncio.Future(), asyncio.Event(), []

    def web(serving):
        given.append(serving)

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                return
            tenants = await DueDesk(serving.stores.pool, serving.stores.keyring).tenants()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": f"tenants {tenants}".encode()})

        return app

    address = Address(port=free_port())
    serving = asyncio.create_task(
        up(tmp_path / "home", stop, web=web, address=address, told=told.set_result)
    )
    view = await told
    assert (view.recipes, view.scopes, view.web) == (1, 3, f"http://127.0.0.1:{address.port}")
    async with httpx.AsyncClient() as client:
        assert (await client.get(view.web)).text == "tenants [1]"
    await until(lambda: office.titles("ana") == ["J-1 Visit 1 · Smith"])
    stop.set()
    async with asyncio.timeout(10):
        await serving
    assert len(given) == 1


async def test_a_directory_that_is_no_home_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(TroubleError, match="truckroll init"):
        await up(tmp_path, asyncio.Event())
