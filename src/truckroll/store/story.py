"""The lines of a link's story, as they are written."""

from collections.abc import Sequence
from datetime import datetime

from truckroll.store.base import Statements, to_json
from truckroll.store.links import SQL
from truckroll.sync.types import Note


async def write_story(
    cursor: Statements, lines: Sequence[tuple[int, Note]], run: int, at: datetime
) -> None:
    """Add lines to the stories of links."""
    if lines:
        rows = [
            {
                "link": link,
                "code": note.code,
                "text": note.text,
                "end": note.end,
                "data": to_json(note.data) if note.data else None,
            }
            for link, note in lines
        ]
        await cursor.put(SQL["insert_story"], rows, run=run, at=at)
