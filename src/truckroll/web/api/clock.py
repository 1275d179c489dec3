"""When what is read: the timetable, now, and how fresh everything is."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from truckroll.app import accounts, freshness, timetable, top
from truckroll.app.freshness import ScopeFresh
from truckroll.app.hub import Hub
from truckroll.app.members import Caller
from truckroll.app.rights import Right
from truckroll.app.timetable import Asked, NowView, RowView
from truckroll.app.top import TopView
from truckroll.web.api.words import InPath, Number, RecipeName, Text
from truckroll.web.paging import USUAL, Cursor, Limit, Page, piece
from truckroll.web.problems import in_path
from truckroll.web.routes import changes, does, removes, shows
from truckroll.web.sign_in import HubOf

_LONGEST_SPEC = 200
_DAY = 86_400
_GOES_ON = {
    202: ResponseSpec(NowView, generate_examples=False, description="it goes on; ask again")
}

Instant = Annotated[datetime, QueryParameter(description="`asked.at` of the first answer")]
Earlier = Annotated[int, QueryParameter(ge=0, le=2**53, description="`asked.run` of the same")]


class NewRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the timetable to add, in the company's zone where none is named.

    `spec` is a cron expression, a list of minutes (`0,15,30`), or a shift (`mon-fri 07:30`) of
    `person`. With `complete` everything is read, not what changed alone.
    """

    kind: Literal["cron", "minutes", "shift"]
    spec: Annotated[str, Meta(min_length=1, max_length=_LONGEST_SPEC)]
    recipe: Text = ""
    zone: Annotated[str, Meta(max_length=_LONGEST_SPEC)] = ""
    person: Annotated[str, Meta(max_length=_LONGEST_SPEC)] = ""
    complete: bool = False


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which recipe is to be read now; with `complete` all of it, not what changed alone."""

    recipe: Text = ""
    complete: bool = False


class Often(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often an account is read at least, and how old its reads may grow; null: as is usual."""

    poll_seconds: Annotated[int, Meta(ge=1, le=30 * _DAY)] | UnsetType | None = UNSET
    promise_seconds: Annotated[int, Meta(ge=60, le=365 * _DAY)] | UnsetType | None = UNSET


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """How old the last complete read of an account's parts is, against what is promised."""

    account: str
    title: str
    promise_seconds: int
    late: int
    scopes: list[ScopeFresh]


@shows("/timetable", Right.SEE_SETTINGS, summary="When what is read")
async def list_rows(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[RowView]:
    """Return the rows of the timetable, the next one first."""
    return piece(await timetable.listed(hub), cursor, limit)


@does("/timetable", Right.CHANGE_TIMETABLE, summary="Add to the timetable", status_code=201)
async def add_row(hub: HubOf, data: JSONBody[NewRow]) -> RowView:
    """Add a row to the timetable."""
    return await timetable.put(
        hub,
        data.recipe,
        data.kind,
        data.spec,
        act="reconcile" if data.complete else "read",
        zone=data.zone,
        person=data.person,
    )


@removes("/timetable/{row:int}", Right.CHANGE_TIMETABLE, summary="Take out of the timetable")
async def remove_row(hub: HubOf, row: Number) -> None:
    """Take a row out of the timetable."""
    with in_path():
        await timetable.remove(hub, row)


@changes("/accounts/{name:str}", Right.CHANGE_TIMETABLE, summary="How often an account is read")
async def set_often(hub: HubOf, name: InPath, data: JSONBody[Often]) -> Freshness:
    """Say how often an account is read, and how old its reads may grow; what is not said stays."""
    with in_path():
        await accounts.one(hub, name)
    if data.poll_seconds is not UNSET:
        await timetable.set_poll(hub, name, data.poll_seconds)
    if data.promise_seconds is not UNSET:
        seconds = data.promise_seconds
        length = None if seconds is None else timedelta(seconds=seconds)
        await freshness.promise(hub, name, length)
    return next(one for one in await _fresh(hub) if one.account == name)


@does("/now", Right.APPLY, summary="Read everything now", responses=_GOES_ON)
async def read_now(
    request: Request[Caller, int, Any], hub: HubOf, data: JSONBody[Wanted]
) -> Response[NowView]:
    """Let what is up read a recipe's systems now, and write what follows.

    What takes long goes on by itself: 202, and its Location tells what came of it.
    """
    patience = request.app.state.work.patience
    asked = await timetable.ask(hub, data.recipe, whole=data.complete)
    view = await timetable.come_of(hub, data.recipe, asked, patience=patience)
    if view.done:
        return Response(view)
    query = urlencode({"recipe": view.recipe, "at": asked.at.isoformat(), "run": asked.run})
    return Response(view, status_code=202, headers={"Location": f"/api/v1/now?{query}"})


@shows("/now", Right.SEE_RECORDS, summary="What came of reading now")
async def come_of(hub: HubOf, at: Instant, run: Earlier = 0, recipe: RecipeName = "") -> NowView:
    """Return what came of what was asked for; `done` says whether all of it is done."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return await timetable.come_of(hub, recipe, Asked(at=at, run=run))


@shows("/top", Right.SEE_RECORDS, summary="The hub at a glance")
async def show_top(hub: HubOf) -> TopView:
    """Return accounts with promise and age, how much waits, and what asks for somebody."""
    return await top.top(hub)


@shows("/freshness", Right.SEE_RECORDS, summary="How old what is known is")
async def show_freshness(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[Freshness]:
    """Return for each account how old the last complete read of its parts is."""
    await freshness.expect(hub)
    return piece(await _fresh(hub), cursor, limit)


async def _fresh(hub: Hub) -> list[Freshness]:
    return [
        Freshness(
            account=one.name,
            title=one.title,
            promise_seconds=one.promise_seconds,
            late=len(one.late),
            scopes=one.scopes,
        )
        for one in await freshness.fresh(hub)
    ]


ROUTES = (
    list_rows,
    add_row,
    remove_row,
    set_often,
    read_now,
    come_of,
    show_top,
    show_freshness,
)
