"""The lines of a link's story, as they are written."""

from collections.abc import Sequence
from datetime import datetime

from psycopg import AsyncCursor

from truckroll.store.base import Row, to_json
from truckroll.store.links import SQL
from truckroll.sync.types import Note


async def write_story(
    cursor: AsyncCursor[Row], lines: Sequence[tuple[int, Note]], run: int, at: datetime
) -> None:
    """Add lines to the stories of links."""
    if lines:
        await cursor.executemany(
            SQL["insert_story"],
            [
                {
                    "link": link,
                    "at": at,
                    "code": note.code,
                    "text": note.text,
                    "end": note.end,
                    "run": run,
                    "data": to_json(note.data) if note.data else None,
                }
                for link, note in lines
            ],
        )
