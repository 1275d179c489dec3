"""Bad input: one clear line each, and the rest is still synced."""

import http.server
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import trustme

from cli.conftest import COLUMNS, job


@contextmanager
def answering(body, kind, tls=None):
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PROPFIND = do_OPTIONS = do_REPORT = answer  # noqa: N815 -- the library's names

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def one_sentence(ran):
    assert ran.code == 1, ran
    assert "Traceback" not in ran.err
    assert len(ran.err.strip().splitlines()) == 1, ran.err
    return ran.err


def test_a_wrong_password(desk):
    says = one_sentence(desk.add_calendars(password="wrong-one"))
    assert "password" in says.lower()
    assert "wrong-one" not in says
    assert desk("account", "list", "--json").json["accounts"] == []


def test_a_password_that_was_changed_asks_for_a_new_one_and_keeps_only_a_right_one(desk):
    desk.work(job("J-1"))
    wrong = desk("account", "sign-in", "field", "--password", "wrong-one")
    assert "nothing was kept" in one_sentence(wrong)
    desk.well("account", "sign-in", "field", "--password", "secret")
    desk.well("apply")
    assert desk("account", "sign-in", "jobs").code == 2


def test_an_unknown_host(desk):
    says = one_sentence(desk.add_calendars(url="https://calendars.invalid/"))
    assert "calendars.invalid" in says


def test_an_address_that_answers_with_a_web_page(desk):
    with answering(b"<!doctype html><html><body>Sign in</body></html>", "text/html") as url:
        says = one_sentence(desk.add_calendars(url=url))
    assert "CalDAV" in says


def test_an_expired_certificate(desk, tmp_path):
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    authority.issue_cert("127.0.0.1", not_after=yesterday).configure_cert(tls)
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    with answering(b"", "text/xml", tls) as url:
        says = one_sentence(desk.add_calendars(url=url, more=("--set", f"ca_file={trusted}")))
    assert "127.0.0.1" in says
    assert "has expired" in says
    assert desk("account", "list", "--json").json["accounts"] == []


def test_a_table_with_a_bad_row_4000_loses_that_row_alone(desk):
    rows = [job(f"J-{n}", "Nobody", day=n % 300, hour=8 + n % 9) for n in range(1, 4100)]
    rows[3998] = job("J-3999", "Ana Ruiz", Start="tomorrow-ish")
    rows[10] = job("J-11", "Ana Ruiz")
    desk.work(*rows)
    ran = desk("apply", "--json").json
    assert (ran["writes"], ran["failed"]) == (1, 0)
    (bad,) = [one for one in ran["holds"] if one["reason"] == "unreadable"]
    assert "jobs.csv, row 4000, column Start: 'tomorrow-ish' is not a date" in bad["detail"]
    assert len(desk.events()) == 1


def test_an_account_that_fails_does_not_stop_another_one(desk, monkeypatch):
    desk.table(job("J-1"), job("J-2", "Ben Cole", hour=13))
    desk.add_table()
    desk.add_calendars()
    desk.add_calendars("second")
    desk.well(
        "recipe", "install", "appointments-to-calendars", "--from", "jobs", "--to", "field,second"
    )
    desk.well("people", "map", "Ana Ruiz", "field/ana")
    desk.well("people", "map", "Ben Cole", "second/ben")
    desk.calendars.delete("ben", "")
    try:
        ran = desk("apply")
    finally:
        desk.calendars.make_calendar("ben", "Ben Cole")
    assert ran.code == 1
    assert "Ben Cole" in ran.out
    assert len(desk.events("ana")) == 1


def test_a_table_that_is_not_there(desk):
    missing = desk("account", "add", "jobs", "--system", "file", "--path", "/nowhere/jobs.csv")
    assert "/nowhere/jobs.csv" in one_sentence(missing) or "jobs.csv" in missing.err


def test_a_table_without_a_start_says_which_columns_it_has(desk):
    desk.path.write_text("Job Number,Colour\nJ-1,red\n")
    ran = desk.add_table()
    assert ran.code == 1
    assert "Job Number, Colour" in ran.err


def test_wrong_words_in_settings(desk):
    desk.table(job("J-1"))
    wrong = desk("account", "add", "a", "--system", "file", "--set", "pathh=x")
    assert wrong.code == 2
    assert "path" in wrong.err
    assert desk("account", "add", "a", "--system", "fax").code == 2
    assert desk("account", "add", "a", "--system", "file", "--set", "nonsense").code == 2
    zone = desk("account", "add", "a", "--system", "file", "--zone", "Mars/Base")
    assert (zone.code, "America/New_York" in zone.err) == (2, True)
    assert COLUMNS[0] in desk.path.read_text()
