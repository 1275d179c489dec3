"""Records: their stories, what waits, and who is booked twice."""

from typing import Annotated

import msgspec
from litestar.params import JSONBody, QueryParameter

from truckroll.app import conflicts, holds, why
from truckroll.app.conflicts import ConflictView
from truckroll.app.holds import Answer, Answered, Cause, Waiting
from truckroll.app.rights import Right
from truckroll.app.why import Found
from truckroll.web.api.words import InPath, Name, RecipeName, Text
from truckroll.web.paging import USUAL, Cursor, Limit, Page, piece
from truckroll.web.problems import in_path
from truckroll.web.routes import does, shows
from truckroll.web.sign_in import HubOf

_MONTH = 30
_YEAR = 366

Days = Annotated[int, QueryParameter(ge=1, le=_YEAR, description="how far to look ahead")]


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer to what waits, for one field alone or for all of the record."""

    ref: Name
    answer: Answer
    field: Text = ""
    recipe: Text = ""


class AnsweredAll(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered; it is done with the next run."""

    answered: list[Answered]


@shows("/why/{ref:str}", Right.SEE_RECORDS, summary="The story of a record")
async def tell_why(hub: HubOf, ref: InPath) -> Found:
    """Tell where a record is, where it is not and why, by its number or a part of its title."""
    with in_path():
        return await why.why(hub, ref)


@shows("/holds", Right.SEE_RECORDS, summary="What waits for somebody")
async def list_holds(
    hub: HubOf, recipe: RecipeName = "", cursor: Cursor = "", limit: Limit = USUAL
) -> Page[Waiting]:
    """Return what waits, why, and what would release it."""
    return piece(await holds.waiting(hub, recipe), cursor, limit)


@shows("/holds/causes", Right.SEE_RECORDS, summary="What waits, by cause")
async def list_causes(
    hub: HubOf, recipe: RecipeName = "", cursor: Cursor = "", limit: Limit = USUAL
) -> Page[Cause]:
    """Return why records wait and how many of them, the cause of the most first."""
    return piece(await holds.causes(hub, recipe), cursor, limit)


@does("/holds/answers", Right.ANSWER_HOLDS, summary="Answer what waits")
async def answer_hold(hub: HubOf, data: JSONBody[Said]) -> AnsweredAll:
    """Say what is to become of what waits; it is done with the next run."""
    done = await holds.answer(
        hub, data.ref, data.answer, field=data.field, recipe=data.recipe, by=hub.actor.name
    )
    return AnsweredAll(answered=done)


@shows("/conflicts", Right.SEE_RECORDS, summary="Who is booked twice")
async def list_conflicts(
    hub: HubOf,
    recipe: RecipeName = "",
    days: Days = _MONTH,
    cursor: Cursor = "",
    limit: Limit = USUAL,
) -> Page[ConflictView]:
    """Return visits of one technician that get in each other's way; reads the source."""
    return piece(await conflicts.conflicts(hub, recipe, days=days), cursor, limit)


ROUTES = (tell_why, list_holds, list_causes, answer_hold, list_conflicts)
