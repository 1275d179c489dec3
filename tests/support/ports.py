"""Loopback ports that nobody else gets while they are held.

A port that was free a moment ago may be another's a moment later: of a test beside this one, or of
any client's connection. So ports are taken below the range from which the system gives them away,
and each has a lock for as long as it is in use, also while its server is down.
"""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

_FIRST, _LAST = 20_000, 30_000  # Linux gives ports away from 32768, others from 49152
_TRIES = 1_000


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """Give a free loopback port that no other test gets until this ends."""
    place = Path(tempfile.gettempdir()) / f"truckroll-ports-{os.geteuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    for _ in range(_TRIES):
        port = random.randrange(_FIRST, _LAST)
        with (place / str(port)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not _free(port):
                continue
            yield port
            return
    raise RuntimeError(f"no free port of 127.0.0.1 between {_FIRST} and {_LAST}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
