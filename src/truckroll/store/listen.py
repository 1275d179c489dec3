"""Hear what other processes tell through the database."""

import asyncio
from collections.abc import Callable, Mapping

from psycopg import AsyncConnection, OperationalError, sql

from truckroll.store.migrate import APP_ROLE

_PAUSE_SECONDS = 1.0


async def listen(url: str, channels: Mapping[str, Callable[[], None]]) -> None:
    """Call what belongs to a channel whenever something is told there, until cancelled.

    After the connection was lost, everything is called once: something may have been missed.
    """
    while True:
        try:
            connection = await AsyncConnection.connect(
                url, autocommit=True, options=f"-c role={APP_ROLE}"
            )
            async with connection:
                for channel in channels:
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                for heard in channels.values():
                    heard()
                async for told in connection.notifies():
                    channels[told.channel]()
        except OperationalError:
            await asyncio.sleep(_PAUSE_SECONDS)
