"""Stories: what happened to a record, why it waits, and what people said about it."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from truckroll.model.records import decode_fields
from truckroll.store.base import RECORD, Base, named_sql, record_row, to_json
from truckroll.store.links import (
    LINK,
    decode_field_holds,
    decode_holds,
    whole_links,
)
from truckroll.store.links import SQL as LINKS
from truckroll.store.planning import read_links
from truckroll.store.story import write_story
from truckroll.store.touching import touching
from truckroll.sync.types import Hold, Link, Note, RecordRow

SQL = named_sql("stories")
_MOST = 50


class StoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a record's story: what happened, when, at which end, in which run (0: none)."""

    at: datetime
    code: str
    text: str
    end: int = 0
    run: int = 0
    data: dict[str, Any] = {}


class StoriesStore(Base):
    """Stories, holds and answers of a tenant."""

    async def story(self, link: int) -> list[StoryLine]:
        """Return a link's story, the oldest line first."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["story"], {"link": link})
            return [
                StoryLine(
                    at=row[0],
                    code=row[1],
                    text=row[2],
                    end=row[3],
                    run=row[4],
                    data=decode_fields(row[5]) if row[5] is not None else {},
                )
                async for row in cursor
            ]

    async def note(self, link: int, notes: Sequence[Note], *, at: datetime | None = None) -> None:
        """Add lines to a link's story that belong to no run."""
        async with self._transaction() as cursor:
            await write_story(cursor, [(link, one) for one in notes], 0, at or datetime.now(UTC))

    async def find_links(
        self, ref: str, mirror: int | None = None, *, limit: int = _MOST
    ) -> list[Link]:
        """Return links by number, external id or key; where none has it, by a part of the title.

        Numbers and titles are compared without regard to case.
        """
        async with self._transaction() as cursor:
            await cursor.execute(SQL["mirrors"], {"mirror": mirror})
            mirrors = [row[0] async for row in cursor]
            place = {"ref": ref, "mirrors": mirrors, "limit": limit}
            for name in ("find_exactly", "find_by_title"):
                await cursor.execute(SQL[name], place)
                if ids := [row[0] async for row in cursor]:
                    return await read_links(cursor, ids)
        return []

    async def find_records(self, ref: str, *, limit: int = _MOST) -> list[RecordRow]:
        """Return records without any link, by number, external id, mark or part of the title."""
        async with self._transaction() as cursor:
            query = SQL["find_records"].replace(b"{record}", RECORD)
            await cursor.execute(query, {"ref": ref, "limit": limit})
            return [record_row(row) async for row in cursor]

    async def records_numbered(self, number: str, scopes: Sequence[int]) -> list[RecordRow]:
        """Return the live records of these scopes with a number, without regard to case."""
        row = {"number": number, "scopes": list(scopes), "limit": 100}
        async with self._transaction() as cursor:
            query = SQL["records_numbered"].replace(b"{record}", RECORD)
            await cursor.execute(query, row)
            return [record_row(row) async for row in cursor]

    async def numbers_like(self, ref: str, *, limit: int = _MOST) -> list[str]:
        """Return numbers of records that begin as `ref` does, without regard to case."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["numbers_like"], {"ref": ref, "limit": limit})
            return [row[0] async for row in cursor]

    async def holds(self, recipe: int) -> list[tuple[Link, Hold, datetime]]:
        """Return everything of a recipe that waits, with since when, by link."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["held"].replace(b"{link}", LINK), {"recipe": recipe})
            links = await whole_links(cursor)
            await cursor.execute(SQL["holds_of"], {"ids": [link.id for link in links]})
            held = {row[0]: decode_holds(row[1]) async for row in cursor}
        return [(link, one.hold, one.since) for link in links for one in held[link.id]]

    async def accepted(self, links: Sequence[int]) -> set[int]:
        """Return those of these links that a person let go though something held them whole."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["accepted"], {"links": list(links)})
            return {row[0] async for row in cursor}

    async def answer(
        self,
        link: int,
        end: int,
        field: str,
        answer: str,
        by: str,
        *,
        at: datetime | None = None,
    ) -> None:
        """Give a person's answer to a held field of an end, and make the link due.

        With `end` 0 the answer is to what holds the whole link: it is released, and looked at
        again. Raises KeyError where no such hold is.
        """
        when = at or datetime.now(UTC)
        async with self._transaction() as cursor:
            await cursor.execute(LINKS["lock_links"], {"ids": [link]})
            if await cursor.fetchone() is None:
                raise KeyError(link)
            if end:
                await cursor.execute(SQL["lock_end"], {"link": link, "end": end})
                row = await cursor.fetchone()
                holds = decode_field_holds(row[0]) if row is not None else {}
                holds[field] = msgspec.structs.replace(holds[field], answer=answer)
                await cursor.execute(SQL["answer_field"], {"end": end, "holds": to_json(holds)})
            else:
                await cursor.execute(SQL["answer_link"], {"link": link})
            place = {"link": link, "end": end, "field": field, "answer": answer, "by": by}
            await cursor.execute(SQL["insert_answer"], {**place, "at": when})
            await cursor.execute(SQL["answered"], {"link": link, "at": when})
            said = f"{by} said {answer}" + (f" about {field}" if field else "")
            await write_story(cursor, [(link, Note("answered", said, end))], 0, when)

    async def appointments_between(
        self,
        scopes: Sequence[int],
        stretches: Sequence[tuple[datetime, datetime]],
        *,
        people: Collection[str] | None = None,
    ) -> list[RecordRow]:
        """Return live records of these scopes that may touch stretches of time (ends exclusive).

        Every series that began before the last end is among them, and whole days as seen from
        every zone: the caller decides by `when`. With `people` only visits that name one of them.
        """
        query, place = touching(SQL["appointments_between"], scopes, stretches)
        names = None if people is None else sorted(people)
        rows = await self._rows(query, {**place, "people": names})
        return [record_row(row) for row in {row[0]: row for row in rows}.values()]
