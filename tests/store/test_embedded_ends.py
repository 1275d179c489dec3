"""Commands that are ended early leave no database running."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from store.clusters import embedded, until
from support.children import child

SLOW = """
import sys, time
from truckroll.cli import main, start
start._import_side_by_side = lambda: time.sleep(0.5)
sys.exit(main.main(sys.argv[1:]))
"""


def command(home, *words, programme=("-m", "truckroll.cli")):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    env.pop("TRUCKROLL_DATABASE", None)
    line = [sys.executable, *programme, "--home", str(home), *words]
    return child(line, env=env, stderr=subprocess.PIPE)


@pytest.mark.parametrize("later", [0, 0.05, 0.1, 0.2])
async def test_a_command_that_is_ended_while_it_is_imported_stops_its_database(new_home, later):
    async with embedded(new_home) as server:  # the cluster is there; the command finds it stopped
        (new_home / "truckroll.home").touch()
        note = server.data / "postmaster.pid"
    with command(new_home, "runs") as process:
        await until(note.exists, seconds=30)
        await asyncio.sleep(later)
        process.send_signal(signal.SIGTERM)
        _, said = await asyncio.to_thread(process.communicate, timeout=60)
    assert (process.returncode, said) in ((143, b""), (0, b""))  # zero: it was done before
    assert not note.exists()


@pytest.mark.parametrize("times", [1, 2])
async def test_a_command_that_is_ended_while_it_ends_stops_its_database(new_home, times):
    async with embedded(new_home) as server:
        (new_home / "truckroll.home").touch()
        note = server.data / "postmaster.pid"
    start = (new_home / "start.lock").open("w")
    with command(new_home, "runs", programme=("-c", SLOW)) as process, start:
        await until(note.exists, seconds=30)
        await until(lambda: held(start), seconds=30)
        process.send_signal(signal.SIGTERM)  # it goes, and waits for the lock under which it stops
        await asyncio.sleep(1)
        for _ in range(times):
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
        start.close()
        _, said = await asyncio.to_thread(process.communicate, timeout=60)
    assert (process.returncode, said) == (143, b"")
    assert not note.exists()


def held(lock):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
