"""The embedded server's files and its process: made, started, found and stopped."""

import contextlib
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from truckroll.store.binaries import Account, Binaries, state_directory
from truckroll.store.trouble import DatabaseTrouble

USER = "truckroll"
PATIENCE_SECONDS = 30.0
_ORPHANS_SECONDS = 5.0
_POLL_SECONDS = 0.001
_SOCKET_PATH_LIMIT = 103  # sun_path holds 104 bytes with its end on macOS, 108 on Linux

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",  # several processes of `up` on one home, each with its pools
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "min_wal_size": "32MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}
_SINCE_18 = {"io_method": "sync"}
# The password is 256 random bits: no repetition of the hash makes it safer, and each connection
# would compute them. PostgreSQL 16 brought both `initdb --set` and this setting, and the tests of
# upgrades make older clusters.
_ONE_HASH, _ONE_HASH_SINCE = ("--set", "scram_iterations=1"), 16
_UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Server:
    """The server of a home. Calls that change anything are made under the home's start lock."""

    def __init__(
        self, home: Path, account: Account, binaries: Binaries, *, durable: bool, data: str = ""
    ) -> None:
        self.home = home
        self.account = account
        self.binaries = binaries
        self.durable = durable
        self.state = state_directory(home, account).resolve()
        self.data = self.state / (data or f"postgres-{binaries.major}")
        self.sockets = _socket_directory(self.state)

    def pid(self) -> int | None:
        """Return the postmaster's process id if it is alive and this home's."""
        pid, _ = self._pid_file()
        return pid if pid and _works_in(pid, self.data) else None

    def ensure_running(self) -> None:
        """Make sure that the server answers; make the cluster first if there is none."""
        if not (self.data / "PG_VERSION").exists():
            self._refuse_other_major()
            self.make_cluster()
        pid = self.pid()
        if pid is not None:
            self._wait_until_ready(pid)
            return
        self._drop_foreign_pid_file()
        deadline = time.monotonic() + _ORPHANS_SECONDS
        while True:
            try:
                self._start()
            except DatabaseTrouble:
                # Backends of a killed server hold its memory until they notice that it is dead.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """Stop the server by its fast shutdown and wait until its process is gone."""
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while _works_in(pid, self.data):
                if time.monotonic() > deadline:
                    raise DatabaseTrouble(
                        f"The database in {self.data} does not stop; process {pid} still runs."
                    )
                time.sleep(_POLL_SECONDS)
        shutil.rmtree(self.sockets, ignore_errors=True)

    def erase_data(self) -> None:
        """Remove the data of the stopped server."""
        if self.data.exists():
            shutil.rmtree(self.data)

    def erase(self) -> None:
        """Remove the data of the stopped server, and the directory made for them."""
        for data in self.state.glob("postgres-[0-9]*"):
            shutil.rmtree(data)
        if self.state != self.home.resolve():
            self.state.rmdir()
            (self.home / "postgres.place").unlink()

    def _pid_file(self) -> tuple[int, list[str]]:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines
        except (OSError, ValueError, IndexError):
            return 0, []

    def _drop_foreign_pid_file(self) -> None:
        """Remove a pid file whose number now belongs to somebody else's process.

        PostgreSQL would take that process for a server. The file is kept while the memory that
        it names is in use: backends of the dead server may still write.
        """
        pid, lines = self._pid_file()
        if not pid or not _runs(pid):
            return
        memory = lines[6].split() if len(lines) > 6 else []  # noqa: PLR2004 -- line 7: key, id
        if memory and _attached(int(memory[-1])):
            return
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _refuse_other_major(self) -> None:
        if others := self.other_majors():
            raise DatabaseTrouble(
                f"The data of {self.home} belong to PostgreSQL {others[-1]}, and"
                f" {self.binaries.major} is installed. Move them with  truckroll upgrade"
            )

    def url(self) -> str:
        """Return the address of the server's database for its owner, with the password."""
        password = (self.home / "postgres.password").read_text()
        sockets = quote(str(self.sockets), safe="")
        return f"postgresql://{USER}:{password}@/postgres?host={sockets}&port=5432"

    def other_majors(self) -> list[int]:
        """Return the other major versions of whose data there are some, ascending."""
        names = (one.parent.name.removeprefix("postgres-") for one in self._clusters())
        return sorted(int(name) for name in names if name.isdigit())

    def _clusters(self) -> Iterator[Path]:
        return (one for one in self.state.glob("postgres-*/PG_VERSION") if one.parent != self.data)

    def make_cluster(self) -> None:
        """Run initdb in a directory of its own and put it in place when it is whole."""
        fresh = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._own_directory(fresh)
        with self._password_file() as secret:
            made = subprocess.run(  # noqa: S603 -- our own binary, arguments are ours
                [
                    str(self.binaries.programs / "initdb"),
                    *("--pgdata", str(fresh), "--username", USER, "--pwfile", secret),
                    *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
                    *("--wal-segsize", "4"),
                    *(_ONE_HASH if self.binaries.major >= _ONE_HASH_SINCE else ()),
                    *(() if self.durable else ("--no-sync",)),
                ],
                capture_output=True,
                text=True,
                check=False,
                **self._as_account(),
            )
        if made.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise DatabaseTrouble(
                f"The database could not be made in {self.data}: {made.stderr.strip()}"
            )
        fresh.rename(self.data)

    @contextlib.contextmanager
    def _password_file(self) -> Iterator[str]:
        """Give a file with the password that the server's account may read and reach."""
        self._own_directory(self.sockets)
        with tempfile.NamedTemporaryFile("w", prefix="password-", dir=self.sockets) as secret:
            secret.write((self.home / "postgres.password").read_text())
            secret.flush()
            os.chown(secret.name, self.account.uid, self.account.gid)
            yield secret.name

    def _start(self) -> None:
        self._own_directory(self.sockets)
        settings = {**_SETTINGS, "unix_socket_directories": str(self.sockets)}
        if self.binaries.major >= 18:  # noqa: PLR2004 -- the major that brought the setting
            settings |= _SINCE_18
        if not self.durable:
            settings |= _UNSAFE
        options = [f"--{name}={value}" for name, value in settings.items()]
        # A session of its own: Ctrl-C is for the holder, which then stops the server in order.
        with open(self.home / "postgres.log", "a", opener=_private) as log:
            child = subprocess.Popen(  # noqa: S603 -- our own binary, arguments are ours
                [str(self.binaries.programs / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
                **self._as_account(),
            )
        # It outlives this holder, or not; whenever it ends while we live, it leaves no zombie.
        threading.Thread(target=child.wait, name="postgres ends", daemon=True).start()
        self._wait_until_ready(child.pid)

    def _wait_until_ready(self, pid: int) -> None:
        """Wait for `ready` in line 8 of postmaster.pid, as pg_ctl does (PostgreSQL: pidfile.h)."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            written, lines = self._pid_file()
            if written == pid and len(lines) > 7 and lines[7].strip() == "ready":  # noqa: PLR2004
                return
            if not _runs(pid):
                break
            time.sleep(_POLL_SECONDS)
        raise DatabaseTrouble(f"The database did not start; {self.home / 'postgres.log'} says why.")

    def _own_directory(self, path: Path) -> None:
        """Make a directory for the server's account alone; refuse one that others may enter."""
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            os.chown(path, self.account.uid, self.account.gid)
        info = path.lstat()
        private = stat.S_ISDIR(info.st_mode) and not info.st_mode & 0o077
        if not private or info.st_uid != self.account.uid:
            raise DatabaseTrouble(
                f"The database needs {path} for itself alone, but others may enter it."
                " Remove that directory and try again."
            )

    def _as_account(self) -> dict[str, Any]:
        """Return what makes a child of us run as the server's account, with nothing of ours."""
        plain: dict[str, Any] = {"cwd": "/", "env": {"LC_ALL": "C", "PATH": os.defpath}}
        if self.account.switched:
            plain |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return plain


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _socket_directory(state: Path) -> Path:
    """Return a private directory for the socket, short enough for the system's limit."""
    place = state / "sockets"
    if len(os.fsencode(place / ".s.PGSQL.5432")) <= _SOCKET_PATH_LIMIT:
        return place
    name = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"truckroll-{os.geteuid()}-{name}"


def _working_directory(pid: int) -> str | None:
    """Return where a process works; None for a dead one, a zombie, and one hidden from us."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return None


def _works_in(pid: int, data: Path) -> bool:
    """Tell whether a live process is the postmaster of `data`: it works in that directory."""
    if Path("/proc/self/cwd").exists():
        return _working_directory(pid) == str(data)
    return _runs(pid)


def _runs(pid: int) -> bool:
    """Tell whether a process is alive; a zombie is not."""
    if Path("/proc/self/stat").exists():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return False
        return state not in "ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _attached(memory: int) -> bool:
    """Tell whether a System V shared memory segment is in use (proc(5): sysvipc/shm)."""
    try:
        rows = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    except OSError:
        return False
    return any(int(row.split()[1]) == memory and int(row.split()[6]) > 0 for row in rows)
