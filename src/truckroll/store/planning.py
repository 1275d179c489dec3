"""Planning: links in bounded batches, and the journal of what was decided about them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncCursor

from truckroll.store.adopting import adopt_in_scope
from truckroll.store.base import RECORD, Base, Row, Statements, record_row, retried, to_json
from truckroll.store.folding import regroup_due
from truckroll.store.links import LINK, SQL, encode_holds, end_row, link_row, whole_links
from truckroll.store.story import write_story
from truckroll.sync.ports import NOWHERE, Adopted, FoldKey, Names, OpenStep
from truckroll.sync.types import Decision, Link, RecordRow, Step


class _Stored(NamedTuple):
    """A link's row as it was locked."""

    id: int
    mirror: int
    row: int
    touched: int
    look_at: datetime | None
    due: bool
    holds: bytes | None
    recipe: int


class PlanningStore(Base):
    """Implements `sync.ports.Planning`."""

    @retried
    async def adopt(
        self,
        mirror: int,
        side: str,
        scopes: Sequence[int],
        *,
        at: datetime,
        limit: int,
        fold: FoldKey | None = None,
        match: tuple[str, ...] = (),
        chosen: Mapping[int, Names] = NOWHERE,
    ) -> Adopted:
        """Make links for at most `limit` live records of the scopes that no link has yet.

        A record that appeared, came back, or became ours is looked at once, one with the mark
        of a link of the mirror again each time: it is the hub's, or that link's record, moved.
        The cost is that of the records since the last call. With `fold`, records of one key
        share a link. With `match`, what a link may be about to make is left to it until it was
        planned. In the `chosen` scopes a record with the mark of one that is there, and an id that
        the hub did not choose, is a copy.
        """
        asked = {"mirror": mirror, "scopes": sorted(set(scopes))}
        waiting = [int(row[0]) for row in await self._rows(SQL["to_adopt"], asked)]
        if not waiting:
            return Adopted(0, 0)
        made = left = 0
        async with self._transaction(durable=False, fenced=True) as cursor:
            for scope in waiting:
                while made < limit:
                    new, passed, more = await adopt_in_scope(
                        *(cursor, mirror, side, scope, at, limit - made),
                        fold=fold,
                        match=match,
                        names=chosen.get(scope),
                    )
                    made, left = made + new, left + passed
                    if not more:
                        break
        return Adopted(made, left)

    @retried
    async def regroup(
        self, mirror: int, fold: FoldKey, *, at: datetime, after: int, limit: int
    ) -> int:
        """Bring source records whose fold key changed to the link of their key.

        Looks at the next `limit` due links with id > `after`; returns the last one's id, 0 after
        the last.
        """
        async with self._transaction(durable=False, fenced=True) as cursor:
            return await regroup_due(cursor, mirror, fold, at, after, limit)

    async def due(
        self, mirror: int, *, at: datetime, after: int, limit: int, everything: bool = False
    ) -> list[Link]:
        """Return links of a mirror with `look_at <= at` and id > `after`, by id, ends included.

        The first batch (`after` 0) takes in those whose instant has come. `everything` returns
        all that are not ended, whatever their `look_at`.
        """
        place = {"mirror": mirror, "at": at, "after": after, "limit": limit}
        async with self._transaction(durable=False) as cursor:
            if not everything and after <= 0:
                await cursor.execute(SQL["come_due"], place)
            query = SQL["everything" if everything else "due"].replace(b"{link}", LINK)
            await cursor.execute(query, place)
            return await whole_links(cursor)

    async def links(self, ids: Sequence[int]) -> list[Link]:
        """Return these links, by id, ends included."""
        async with self._transaction() as cursor:
            return await read_links(cursor, ids)

    async def candidates(
        self, mirror: int, scopes: Sequence[int], coarse: Sequence[str], marks: Sequence[str]
    ) -> list[RecordRow]:
        """Return live records of these scopes that no living link has, by coarse key or mark.

        Those with a released end, or an end of an ended link, of the mirror are `ended`.
        """
        place = {"mirror": mirror, "scopes": list(scopes)}
        asked = {**place, "coarse": list(coarse), "marks": list(marks)}
        rows = await self._rows(SQL["candidates"].replace(b"{record}", RECORD), asked)
        return [msgspec.structs.replace(record_row(row), ended=row[-1]) for row in rows]

    async def unlinked(
        self, mirror: int, scopes: Sequence[int], *, after: int = 0, limit: int
    ) -> list[RecordRow]:
        """Return live, owned records of these scopes that no link of the mirror has, by id."""
        place = {"mirror": mirror, "scopes": list(scopes), "after": after, "limit": limit}
        return await self._records("unlinked", place)

    async def doubtful(self, recipe: int, *, since: datetime) -> frozenset[int]:
        """Return the scopes in which another recipe's create, begun since, is in doubt."""
        rows = await self._rows(SQL["doubtful"], {"recipe": recipe, "since": since})
        return frozenset(row[0] for row in rows)

    async def came_before(
        self, mirror: int, places: Sequence[tuple[int, str]], *, since: datetime
    ) -> list[tuple[tuple[int, str], RecordRow]]:
        """Return for records (scope and external id) others of their scope with their coarse key.

        These are live, kept in step by the mirror, and their other end was there before the
        record was; or they are gone since an instant.
        """
        asked = {
            "mirror": mirror,
            "since": since,
            "scopes": [scope for scope, _ in places],
            "external_ids": [external_id for _, external_id in places],
        }
        rows = await self._rows(SQL["came_before"].replace(b"{record}", RECORD), asked)
        return [((row[0], row[1]), record_row(row[2:])) for row in rows]

    async def unreadable(self, scopes: Sequence[int], *, limit: int = 1000) -> list[RecordRow]:
        """Return records of these scopes that are there but cannot be read, by id."""
        return await self._records("unreadable", {"scopes": list(scopes), "limit": limit})

    async def _records(self, query: str, place: Mapping[str, Any]) -> list[RecordRow]:
        rows = await self._rows(SQL[query].replace(b"{record}", RECORD), place)
        return [record_row(row) for row in rows]

    @retried
    async def journal(
        self, run: int, decisions: Sequence[Decision], *, at: datetime
    ) -> list[OpenStep]:
        """Store what was decided and open the intents of its steps, in one transaction.

        A link whose stored row is newer than `link.row` is left alone, as are its steps. Steps
        of an end that has an open intent are dropped. A link that was made due since it was read
        (`link.touched`) stays due. Returns the opened steps with ids, in order.
        """
        async with self._transaction(fenced=True) as cursor:
            ids = {"ids": [one.link.id for one in decisions]}
            locked = await cursor.ask(SQL["lock_links"], ids)
            new_ends = await _ask_ends(cursor, decisions)
            stored = {row[0]: _Stored(*row) async for row in locked}
            fresh = [
                one
                for one in decisions
                if (link := stored.get(one.link.id)) is not None and link.row <= one.link.row
            ]
            new = [int(row[0]) async for row in new_ends] if new_ends is not None else []
            named = _named(fresh, new)
            await _write_ends(cursor, named, frozenset(new), stored)
            await _write_links(cursor, named, stored, at)
            await write_story(
                cursor, [(one.link.id, note) for one in named for note in one.notes], run, at
            )
            steps = [step for one in named for step in one.steps]
            return await _open(cursor, run, steps, stored, at)

    async def attach(self, link: int, end: int, record: int) -> Link:
        """Let an end without a record stand for an observed one of its scope (matching).

        An end that has a record keeps it. Returns the link as it is then.
        """
        async with self._transaction(fenced=True) as cursor:
            await cursor.execute(SQL["lock_links"], {"ids": [link]})
            await cursor.execute(SQL["attach"], {"link": link, "end": end, "record": record})
            if await cursor.fetchone() is not None:
                await cursor.execute(SQL["attached"], {"link": link})
            (whole,) = await read_links(cursor, [link])
            return whole


async def read_links(cursor: AsyncCursor[Row], ids: Sequence[int]) -> list[Link]:
    """Return links by id, ends included."""
    await cursor.execute(SQL["links"].replace(b"{link}", LINK), {"ids": list(ids)})
    return await whole_links(cursor)


async def _ask_ends(cursor: Statements, decisions: Sequence[Decision]) -> AsyncCursor[Row] | None:
    """Ask for the ids of the new ends that decisions name."""
    count = sum(end.id < 0 for one in decisions for end in one.link.ends)
    return await cursor.ask(SQL["end_ids"], {"count": count}) if count else None


def _named(decisions: list[Decision], new: Sequence[int]) -> list[Decision]:
    """Give the new ends their ids, wherever the decisions name them."""
    ids = iter(new)
    return [
        _renamed(one, {end.id: next(ids) for end in one.link.ends if end.id < 0})
        for one in decisions
    ]


def _renamed(decision: Decision, ids: Mapping[int, int]) -> Decision:
    if not ids:
        return decision
    replace = msgspec.structs.replace

    def renamed(items: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(replace(one, end=ids.get(one.end, one.end)) for one in items)

    link = replace(
        decision.link,
        by={field: ids.get(end, end) for field, end in decision.link.by.items()},
        ends=tuple(replace(end, id=ids.get(end.id, end.id)) for end in decision.link.ends),
    )
    return replace(
        decision,
        link=link,
        changed=True,
        steps=renamed(decision.steps),
        holds=renamed(decision.holds),
        notes=renamed(decision.notes),
    )


async def _write_ends(
    cursor: Statements,
    decisions: list[Decision],
    new: frozenset[int],
    stored: Mapping[int, _Stored],
) -> None:
    inserted: list[dict[str, Any]] = []
    updated: list[dict[str, Any]] = []
    for one in decisions:
        if not one.changed:
            continue
        place = {"link": one.link.id, "mirror": stored[one.link.id].mirror}
        for end in one.link.ends:
            rows = inserted if end.id in new else updated
            rows.append({**end_row(end), **place, "id": end.id})
    if inserted:
        await cursor.put(SQL["insert_end"], inserted)
    if updated:
        await cursor.executemany(SQL["update_end"], updated)


async def _write_links(
    cursor: AsyncCursor[Row],
    decisions: list[Decision],
    stored: Mapping[int, _Stored],
    at: datetime,
) -> None:
    decided: list[dict[str, Any]] = []
    looked_at: list[dict[str, Any]] = []
    for one in decisions:
        before = stored[one.link.id]
        row = {**link_row(one.link), "holds": encode_holds(one.holds, before.holds, at)}
        if one.link.touched not in (0, before.touched):
            row |= {"look_at": before.look_at, "due": before.due}
        else:
            row |= {"look_at": one.look_again_at, "due": False}
        (decided if one.changed or one.steps else looked_at).append(row)
    if decided:
        await cursor.executemany(SQL["decide_link"], decided)
    if looked_at:
        await cursor.executemany(SQL["look_again"], looked_at)


async def _open(
    cursor: Statements,
    run: int,
    steps: Sequence[Step],
    stored: Mapping[int, _Stored],
    at: datetime,
) -> list[OpenStep]:
    """Open the intents of steps whose end has none open; the links are locked."""
    if not steps:
        return []
    merged = await cursor.ask(SQL["merged"], {"ends": [step.end for step in steps]})
    new = await cursor.ask(SQL["step_ids"], {"count": len(steps)})
    ends = {row[0]: (row[1], row[2] or b"") async for row in merged}
    first: dict[int, Step] = {}
    for step in steps:
        if step.end in ends and not ends[step.end][0]:
            first.setdefault(step.end, step)
    ids = [int(row[0]) for row in await new.fetchall()]
    opened = [
        OpenStep(id_, step, ends[step.end][1])
        for id_, step in zip(ids, first.values(), strict=False)
    ]
    rows = [
        {
            "id": one.id,
            "recipe": stored[one.step.link].recipe,
            "link": one.step.link,
            "end": one.step.end,
            "step": to_json(one.step),
            "raw": one.raw,
        }
        for one in opened
    ]
    await cursor.put(SQL["insert_step"], rows, run=run, at=at)
    await cursor.execute(SQL["open_ends"], {"ends": list(first)})
    return opened
