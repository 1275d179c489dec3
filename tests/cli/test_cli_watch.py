"""top, alerts and webhooks, as people type them."""

import asyncio
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rich.console import Console
from standardwebhooks import Webhook

from cli.conftest import Desk, job
from truckroll.app import alerts, passes
from truckroll.app.bootstrap import open_hub
from truckroll.app.observe import Meter
from truckroll.app.top import top
from truckroll.cli.top import _table
from truckroll.kit import watch
from truckroll.store.open import Stores


@pytest.fixture
def plain_desk(tmp_path, capsys, monkeypatch, database_url):
    """Return a desk without calendars."""
    monkeypatch.setenv("TRUCKROLL_DATABASE", database_url)
    made = Desk(tmp_path / "home", tmp_path, capsys)
    made.well("init")
    return made


@pytest.fixture
def receiver():
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.got = got
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.fault("AT-16")
def test_top_shows_freshness_against_its_promise_and_doctor_says_what_is_late(desk, database_url):
    desk.work(job("J-1"))
    before = desk("top", "--once")
    assert "never read of 15 min" in before.out
    desk.well("apply")
    after = desk.well("top", "--once")
    assert "just now of 15 min" in after.out
    assert "followed its changes to the end: none" in after.out
    assert "0 records due · 0 held · 0 alerts" in after.out
    (line,) = [one for one in desk.well("top", "--json").json["accounts"] if one["name"] == "jobs"]
    assert (line["records"], line["late"], line["promise_seconds"]) == (1, 0, 900)
    desk.well("promise", "field", "3h")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update truckroll.scope_watch set error = 'It does not answer.',"
            " proven_at = proven_at - interval '47 minutes'"
        )
    checks = {one["what"]: one for one in desk("doctor", "--json").json["checks"]}
    late, kept = checks["jobs (Table in a file)"], checks["field (CalDAV)"]
    assert not late["well"]
    assert late["says"].endswith(
        "the last complete read was 47 min ago, promise 15 min: It does not answer."
    )
    assert kept["well"]
    assert kept["says"].endswith("last complete read 47 min ago (promise 3 h)")
    assert desk("top", "--once").code == 1


def test_a_run_is_one_trace_from_its_cause_to_its_writes_and_is_counted(desk):
    desk.work(job("J-1"), job("J-2", hour=11))
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    meter = Meter(provider)

    async def run():
        async with open_hub(desk.home) as hub:
            with watch.watched(meter), watch.bound(tenant=1), watch.span("push"):
                handed = watch.traceparent()
            with watch.watched(meter), watch.bound(tenant=1), watch.span("settle", parent=handed):
                await passes.apply(hub)
            await meter.flush(Stores(hub.store._pool, hub.store._keyring))

    asyncio.run(run())
    spans = exporter.get_finished_spans()
    names = [one.name for one in spans]
    assert len({one.context.trace_id for one in spans}) == 1
    assert (names.count("write"), names.count("plan") > 0) == (2, True)
    assert names.count("read") == 2, "one per part"
    assert all(one.attributes["truckroll.tenant"] == 1 for one in spans)
    value = meter.registry.get_sample_value
    assert value("truckroll_writes_total", {"op": "create", "result": "done"}) == 2
    assert value("truckroll_processing_latency_seconds_count") == 2
    assert value("truckroll_read_seconds_count") == 2
    (line,) = [one for one in desk("top", "--json").json["accounts"] if one["name"] == "field"]
    assert line["answered"] > 2
    assert line["failed"] == 0


def test_the_live_screen_shows_the_same(plain_desk):
    plain_desk.well("webhooks", "add", "http://127.0.0.1:9/", "--private", "yes")
    plain_desk.table(job("J-1"))
    assert plain_desk.add_table().code == 0

    async def glance():
        async with open_hub(plain_desk.home) as hub:
            await hub.store.pause_endpoint(1, "it is gone.", at=hub.now())
            await alerts.look(hub)
            return await top(hub)

    out = io.StringIO()
    Console(file=out, width=110).print(_table(asyncio.run(glance())))
    assert "jobs (Table in a file)" in out.getvalue()
    assert "not in use" in out.getvalue()
    assert "! Webhook 1 to 127.0.0.1 is paused: it is gone." in out.getvalue()


def test_what_asks_for_somebody_is_listed_and_silenced(plain_desk):
    desk = plain_desk
    assert "nothing asks for you" in desk.well("alerts", "list").out
    url = desk("webhooks", "add", "http://127.0.0.1:9/", "--private", "yes")
    assert url.code == 0

    async def pause_and_look():
        async with open_hub(desk.home) as hub:
            await hub.store.pause_endpoint(1, "it is gone.", at=hub.now())
            await alerts.look(hub)

    asyncio.run(pause_and_look())
    ran = desk("alerts", "list")
    assert ran.code == 1
    assert "Webhook 1 to 127.0.0.1 is paused: it is gone. Its events wait." in ran.out
    assert "→ truckroll webhooks resume 1" in ran.out
    assert "nobody is told of it until" in desk.well("alerts", "silence", "1", "--for", "8h").out
    (one,) = desk("alerts", "list", "--json").json["alerts"]
    assert one["silenced_until"]
    assert desk("webhooks", "list").code == 1
    desk.well("webhooks", "resume", "1")
    desk.well("webhooks", "list")


def test_a_channel_is_added_tested_and_removed(plain_desk, receiver):
    desk = plain_desk
    assert "nobody is told of alerts yet" in desk.well("alerts", "channels").out
    ran = desk.well(
        *("alerts", "add", "pager", "webhook", "--set", f"url={receiver.url}"),
        *("--set", "private=yes", "--json"),
    )
    secret = ran.json["secret"]
    desk.well("alerts", "test", "pager")
    ((headers, body),) = receiver.got
    assert Webhook(secret).verify(body, headers)["data"]["code"] == "test"
    listed = desk.well("alerts", "channels")
    assert "pager  webhook" in listed.out
    assert secret not in listed.out
    desk.well("alerts", "remove", "pager")
    ran = desk("alerts", "test", "pager")
    assert ran.code == 2
    assert 'there is no channel "pager"' in ran.err


def test_a_webhook_is_added_tested_and_its_log_read(plain_desk, receiver):
    desk = plain_desk
    added = desk.well(
        "webhooks", "add", receiver.url, "--private", "yes", "--event", "run.finished"
    )
    assert "whsec_" in added.out
    assert "whsec_" not in desk.well("webhooks", "list").out
    ran = desk.well("webhooks", "test", "1")
    assert "webhook.test  to webhook 1: taken after" in ran.out
    assert len(receiver.got) == 1
    (line,) = desk.well("webhooks", "log", "--json").json["deliveries"]
    assert (line["status"], line["attempts"]) == (204, 1)
    desk.well("webhooks", "redeliver", str(line["id"]))
    assert [json.loads(body)["type"] for _, body in receiver.got] == ["webhook.test"] * 2
    desk.well("webhooks", "remove", "1")
    ran = desk("webhooks", "test", "1")
    assert (ran.code, ran.err.strip()) == (2, "there is no webhook 1; see  truckroll webhooks list")


def test_a_webhook_into_the_house_is_refused(plain_desk):
    ran = plain_desk("webhooks", "add", "http://127.0.0.1:9/")
    assert ran.code == 2
    assert "private network" in ran.err
