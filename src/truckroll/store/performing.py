"""Performing: outcomes of intents, and the counts that the brakes look at."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncCursor

from truckroll.kit.contract import Item, Seen
from truckroll.model.records import Fields, decode_fields
from truckroll.store.base import Base, Row, Statements, as_json, named_sql, retried, to_json, unique
from truckroll.store.links import decode_field_holds, decode_holds, encode_holds
from truckroll.store.observe import is_anew
from truckroll.store.reading import SQL as READING
from truckroll.store.reading import ask_known, doubt, mark_gone, observe_items, touch
from truckroll.store.story import write_story
from truckroll.sync.ports import Counts, OpenStep
from truckroll.sync.types import Hold, Note, Outcome, Step

SQL = named_sql("performing")
_REMOVALS = frozenset({"delete", "cancel", "unlink"})
_WAITING = {"refused": "refused", "unknown": "outcome_unknown"}
_steps = msgspec.json.Decoder(Step)


def decode_step(text: bytes) -> Step:
    """Return the step that stands in a `step` column."""
    return _steps.decode(text)


class _Finished(NamedTuple):
    """An open step with the outcome that closes it, and the end that it was written at."""

    outcome: Outcome
    step: Step
    run: int
    recipe: int
    record: int | None
    base: bytes
    given: bytes
    holds: bytes | None

    @property
    def done(self) -> bool:
        return self.outcome.kind == "done"

    @property
    def removed(self) -> bool:
        """Whether the record is not there any more by our own hand."""
        if self.step.op == "cancel":
            return self.done and self.outcome.shown is None
        return self.done and self.step.op == "delete"

    @property
    def external_id(self) -> str:
        return self.outcome.external_id or self.step.external_id


class _LinkRow(NamedTuple):
    id: int
    key: str
    holds: bytes | None


class PerformingStore(Base):
    """Implements `sync.ports.Performing`."""

    @retried
    async def finish(self, run: int, outcomes: Sequence[Outcome], *, at: datetime) -> None:
        """Store outcomes in one transaction; those of steps that are closed are refused.

        done: the reply becomes the record's observation, base and given of the end move. It
        makes other links due that have the record, not the step's own, save at a `retry_at`. A
        removal leaves the record gone with `removed_by_hub`; a cancel whose reply still shows the
        record leaves the end released, likewise; both make the link due. refused: held with the
        vendor's words, looked at again when it was to be. conflict, gone: the link becomes due at
        once, with what the system showed. later: due at `retry_at`. unknown: the intent stays
        open, and so the end. With `run` 0 the story is told in the step's own run.

        The disk is not waited for: of a step whose outcome a power cut takes back the intent
        stands, and is looked up as after a crash.
        """
        async with self._transaction(durable=False, fenced=True) as cursor:
            ids = [one.step for one in outcomes]
            await cursor.execute(SQL["places"], {"ids": ids})
            places = await cursor.fetchall()
            scopes = {"scopes": unique(row[1] for row in places)}
            await cursor.execute(READING["lock_scopes"], scopes)
            numbered = await cursor.ask(SQL["listing"], {})
            locked = {"ids": unique(row[0] for row in places)}
            locked_links = await cursor.ask(SQL["links"], locked)
            finished = await _finished(cursor, outcomes)
            listing = await numbered.fetchone()
            assert listing is not None
            links = {row[0]: _LinkRow(*row) async for row in locked_links}
            await _doubt(cursor, finished, at)
            await _observe(cursor, finished, links, listing[0], at)
            for_links = _link_rows(finished, links, at)
            rows = [
                {**_end_row(one), **_step_row(one, at), **for_link, "at": at}
                for one, for_link in zip(finished, for_links, strict=True)
            ]
            await cursor.executemany(SQL["finish"], rows)
            await _count(cursor, finished, at)
            for its_run in unique(run or one.run for one in finished):
                lines = [
                    (one.step.link, _line(one)) for one in finished if its_run in (run, one.run)
                ]
                await write_story(cursor, lines, its_run, at)

    async def open_intents(self, recipe: int) -> list[OpenStep]:
        """Return intents without an outcome (of runs that died, or unknown ones), by id.

        Those of links that were set aside after three tries are left out.
        """
        rows = await self._rows(SQL["open_intents"], {"recipe": recipe})
        return [OpenStep(row[0], decode_step(row[1]), row[2], row[3]) for row in rows]

    async def recent_writes(
        self, links: Sequence[int], *, since: datetime
    ) -> dict[int, list[Fields]]:
        """Return what was written to the ends of these links since an instant, oldest first."""
        found: dict[int, list[Fields]] = defaultdict(list)
        for row in await self._rows(SQL["recent_writes"], {"links": list(links), "since": since}):
            step = decode_step(row[1])
            if step.op == "update":
                found[row[0]].append(step.fields)
        return found

    async def counts(self, width: str, id_: int, *, since: datetime) -> Counts:
        """Return the writes of a width (`scope`, `account`, `recipe`) since an instant.

        Exact to the second. `live` counts the records that are there; for a recipe those of the
        scopes it takes its records from.
        """
        async with self._transaction() as cursor:
            await cursor.execute(SQL[f"counts_{width}"], {"id": id_, "since": since})
            rows = await cursor.fetchall()
            await cursor.execute(SQL[f"live_{width}"], {"id": id_})
            live = await cursor.fetchone()
        statuses: Counter[str] = Counter()
        for _, status, writes in rows:
            if status:
                statuses[status] += writes
        return Counts(
            removals=sum(row[2] for row in rows if row[0]),
            writes=sum(row[2] for row in rows),
            statuses=dict(statuses),
            live=int(live[0]) if live else 0,
        )


async def _finished(cursor: AsyncCursor[Row], outcomes: Sequence[Outcome]) -> list[_Finished]:
    """Join outcomes with their open steps and the ends; the links are locked."""
    await cursor.execute(SQL["open_steps"], {"ids": [one.step for one in outcomes]})
    steps = {row[0]: row async for row in cursor}
    ends = [row[4] for row in steps.values()]
    await cursor.execute(SQL["written_ends"], {"ends": ends})
    at_ends = {row[0]: row[1:] async for row in cursor}
    found = []
    for outcome in outcomes:
        row = steps.pop(outcome.step, None)
        if row is not None:
            step = msgspec.structs.replace(decode_step(row[5]), link=row[3], end=row[4])
            found.append(_Finished(outcome, step, row[1], row[2], *at_ends[row[4]]))
    return found


async def _doubt(cursor: AsyncCursor[Row], finished: Sequence[_Finished], at: datetime) -> None:
    """Let scopes be read whole whose records were observed anew while the calls were out."""
    told = {
        one.outcome.step: one
        for one in finished
        if one.outcome.kind in ("done", "conflict", "gone")
    }
    if not told:
        return
    ids = [one.external_id for one in told.values()]
    await cursor.execute(SQL["written"], {"ids": list(told), "external_ids": ids})
    scopes = [row[1] async for row in cursor if _is_overtaken(told[row[0]], *row[2:])]
    if scopes:
        await doubt(cursor, unique(scopes), at=at)


def _is_overtaken(
    one: _Finished, is_gone: bool, version: str | None, fields: bytes, seen_since: bool
) -> bool:
    """Tell whether a record was observed anew while a call was out."""
    if is_gone:
        return one.outcome.shown is not None
    if version is None and one.outcome.version is None:
        return seen_since or is_anew(decode_fields(fields), one.step.before, one.outcome.shown)
    merged = one.outcome.version if one.step.op == "create" else one.step.version
    return version not in (merged, one.outcome.version)


async def _observe(
    cursor: Statements,
    finished: Sequence[_Finished],
    links: Mapping[int, _LinkRow],
    listing: int,
    at: datetime,
) -> None:
    """Let the replies enter as observations; other links than the step's become due by them."""
    shown: dict[tuple[int, int, str], list[tuple[_Finished, Item]]] = defaultdict(list)
    for one in finished:
        if (item := _shown(one, links[one.step.link].key)) is not None:
            shown[one.step.scope, one.step.account, one.step.kind].append((one, item))
    stirred: list[int] = []
    own: set[tuple[int, int]] = set()
    for (scope, account, kind), seen in shown.items():
        place = {"account": account, "scope": scope, "listing": listing, "at": at}
        known = await ask_known(cursor, scope, [item for _, item in seen])
        news = await observe_items(cursor, place, kind, known, reply=True)
        for (one, _), new in zip(seen, news, strict=True):
            if new.stir:
                stirred.append(new.held)
                own.add((new.held, one.step.link))
    removed = [one for one in finished if one.removed or one.outcome.kind == "gone"]
    records = [one.record for one in removed if one.record is not None]
    if records:
        await mark_gone(cursor, records, at=at)
        await cursor.execute(SQL["seen_gone"], {"ids": records, "listing": listing})
        stirred += records
        own |= {(one.record, one.step.link) for one in removed if one.record is not None}
    await touch(cursor, stirred, at=at, own=own)


def _shown(one: _Finished, link_key: str) -> Seen | None:
    """Return what the system showed with the outcome, as an item of a page."""
    outcome, step = one.outcome, one.step
    if one.removed or not one.external_id:
        return None
    if outcome.shown is not None:
        fields, version = outcome.shown, outcome.version
    elif one.done and step.op == "create":
        fields, version = {}, None  # not shown: the next listing will
    else:
        return None
    return Seen(
        id=one.external_id,
        fields=fields,
        version=version,
        raw=outcome.raw,
        mark=link_key if step.op == "create" else None,
        series=outcome.series,
    )


def _end_row(one: _Finished) -> dict[str, Any]:
    outcome, step = one.outcome, one.step
    row: dict[str, Any] = {
        "end": step.end,
        "base": _moved(one.base, outcome.base),
        "given": _moved(one.given, outcome.given),
        "end_holds": to_json(holds) if (holds := _field_holds(one)) else None,
        "state": None,
        "decided": None,
        "removed_by_hub": None,
        "external_id": outcome.external_id if one.done else "",
    }
    if one.done and step.op in _REMOVALS:
        row["state"] = "gone" if one.removed else "released"
        row["decided"] = None if one.removed else step.op
        row["removed_by_hub"] = step.op != "unlink"
    elif one.done:
        row |= {"state": "live", "removed_by_hub": False}
    return row


def _moved(before: bytes, moved: Fields) -> str:
    return as_json({**decode_fields(before), **moved}) if moved else before.decode()


def _field_holds(one: _Finished) -> dict[str, Any]:
    return {**decode_field_holds(one.holds), **one.outcome.holds}


def _link_rows(
    finished: Sequence[_Finished], links: Mapping[int, _LinkRow], at: datetime
) -> list[dict[str, Any]]:
    held = {link.id: link.holds for link in links.values()}
    rows = []
    for one in finished:
        outcome, link = one.outcome, one.step.link
        if new := _new_holds(one):
            places = {(hold.end, hold.field) for hold in new}
            before = [
                old.hold
                for old in decode_holds(held[link])
                if (old.hold.end, old.hold.field) not in places
            ]
            text = encode_holds([*before, *new], held[link], at)
            held[link] = text.encode() if text else None
        # After a removal the planner looks once more: the link may have come to its end.
        at_once = outcome.kind in ("conflict", "gone") or (one.done and one.step.op in _REMOVALS)
        retry_at = outcome.retry_at if one.done else None
        if outcome.kind == "later":
            retry_at = outcome.retry_at or at
        rows.append(
            {
                "link": link,
                "holds": holds.decode() if (holds := held[link]) else None,
                "due": at_once,
                "retry_at": retry_at,
            }
        )
    return rows


def _new_holds(one: _Finished) -> list[Hold]:
    end = one.step.end
    holds = [
        Hold(reason=hold.reason, detail=hold.detail, end=end, field=field)
        for field, hold in one.outcome.holds.items()
    ]
    if one.outcome.kind in _WAITING and not holds:
        reason = _WAITING[one.outcome.kind]
        holds.append(Hold(reason=reason, detail=one.outcome.says, end=end))
    return holds


def _step_row(one: _Finished, at: datetime) -> dict[str, Any]:
    open_ = one.outcome.kind == "unknown"
    told = msgspec.structs.replace(one.outcome, raw=b"")  # the record has it
    return {
        "step": one.outcome.step,
        "open": open_,
        "kind": one.outcome.kind,
        "outcome": to_json(told),
        "done_at": None if open_ else at,
    }


def _line(one: _Finished) -> Note:
    if one.done:
        return Note(code=one.step.op, text=one.step.reason, end=one.step.end)
    return Note(code=one.outcome.kind, text=one.outcome.says, end=one.step.end)


async def _count(cursor: Statements, finished: Sequence[_Finished], at: datetime) -> None:
    writes: Counter[tuple[int, int, int, bool, str]] = Counter()
    for one in finished:
        if one.done:
            step = one.step
            status = step.fields.get("status") if step.op == "update" else None
            key = status if isinstance(status, str) else ""
            writes[one.recipe, step.account, step.scope, step.op in _REMOVALS, key] += 1
    names = ("recipe", "account", "scope", "removal", "status")
    rows = [
        {**dict(zip(names, key, strict=True)), "writes": count}
        for key, count in sorted(writes.items())
    ]
    if rows:
        await cursor.put(SQL["tally"], rows, at=at)
