"""A clock on which waiting takes no time."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from truckroll.kit.pace import Timing


def at_once():
    """Return a timing whose waits are over at once: its clock has then moved on by as much."""
    passed = 0.0

    async def sleep(seconds):
        nonlocal passed
        passed += seconds
        await asyncio.sleep(0)

    return Timing(
        monotonic=lambda: time.monotonic() + passed,
        now=lambda: datetime.now(UTC) + timedelta(seconds=passed),
        sleep=sleep,
    )
