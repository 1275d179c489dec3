"""Stands before a CalDAV server and notes when a PUT that carries a mark was answered.

It hands on bytes as they come. On a connection one request is on its way at a time, so the first
bytes that come back after a marked request are its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MARK = re.compile(rb"\(edit (\d+)\)")
_PIECE = 65536


@dataclass
class Relay:
    """What went through; `port` is where it listens."""

    target: int
    port: int = 0
    marks: dict[int, float] = field(default_factory=dict)
    writes: int = 0
    _going: set[asyncio.Task[None]] = field(default_factory=set)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on a connection until either side ends it."""
        there = await asyncio.open_connection("127.0.0.1", self.target)
        asked = bytearray()
        both = {
            asyncio.create_task(self._forth(reader, there[1], asked)),
            asyncio.create_task(self._back(there[0], writer, asked)),
        }
        self._going |= both
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        self._going -= both
        for one in (writer, there[1]):
            one.close()
            with contextlib.suppress(OSError):
                await one.wait_closed()

    async def _forth(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray
    ) -> None:
        while piece := await reader.read(_PIECE):
            asked += piece
            writer.write(piece)
            await writer.drain()

    async def _back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray
    ) -> None:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            if asked.startswith(b"PUT ") and piece.startswith(b"HTTP/1.1 2"):
                self.writes += 1
                for mark in _MARK.findall(asked):
                    self.marks.setdefault(int(mark), time.monotonic())
            asked.clear()
            await writer.drain()


@asynccontextmanager
async def relayed(target: int) -> AsyncIterator[Relay]:
    """Stand before a port of this machine."""
    relay = Relay(target)
    server = await asyncio.start_server(relay.take, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await server.wait_closed()
