"""Embedded servers of tests: without fsync, and gone with their test."""

import asyncio
import time

from truckroll.store import binaries
from truckroll.store.binaries import server_account
from truckroll.store.embedded import Embedded


def forget(home):
    for data in binaries.state_directory(home, server_account()).glob("postgres-*"):
        data.rename(data.with_name("postgres-1"))  # whatever a test made of it
    embedded(home).erase()


def embedded(home):
    return Embedded(home, durable=False)


async def until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
