"""Plans and runs: what would be written, what was, and taking it back."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from msgspec import Meta

from truckroll.app import passes, runs
from truckroll.app.hub import Hub
from truckroll.app.members import Caller
from truckroll.app.rights import Right
from truckroll.app.runs import RunStep, RunView
from truckroll.app.views import PassView
from truckroll.web.api.words import Number, Text
from truckroll.web.paging import USUAL, Cursor, Limit, Page, page, place
from truckroll.web.problems import in_path
from truckroll.web.routes import does, shows
from truckroll.web.sign_in import HubOf

GOES_ON = {
    202: ResponseSpec(RunView, generate_examples=False, description="it goes on; ask for the run")
}


class Planned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which recipe, where several are installed."""

    recipe: Text = ""


class Applied(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which recipe is to run. `confirmed` answers a brake: so many removals are right."""

    recipe: Text = ""
    confirmed: Annotated[int, Meta(ge=0, le=10_000_000)] = 0


@does("/plans", Right.PLAN, summary="Say what would be written")
async def make_plan(hub: HubOf, data: JSONBody[Planned]) -> PassView:
    """Read the systems and plan; writes to no system. Takes as long as the systems take."""
    return await passes.plan(hub, data.recipe)


@does("/runs", Right.APPLY, summary="Write what is planned", responses=GOES_ON)
async def start_run(
    request: Request[Caller, int, Any], hub: HubOf, data: JSONBody[Applied]
) -> Response[PassView]:
    """Run a recipe. What takes long goes on by itself, and answers 202 with its run."""
    done = await request.app.state.work.do(
        lambda started: passes.apply(hub, data.recipe, confirmed=data.confirmed, started=started)
    )
    return await ran(hub, done)


@shows("/runs", Right.SEE_RECORDS, summary="Runs")
async def list_runs(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[RunView]:
    """Return runs of all recipes, the newest first."""
    found = await runs.listed(hub, before=place(cursor), limit=limit + 1)
    return page(found, limit, found[:limit][-1].id if found else 0)


@shows("/runs/{run:int}", Right.SEE_RECORDS, summary="A run")
async def show_run(hub: HubOf, run: Number) -> RunView:
    """Return a run; it has ended once `ended_at` is there."""
    with in_path():
        return await runs.shown(hub, run)


@shows("/runs/{run:int}/steps", Right.SEE_RECORDS, summary="What a run wrote")
async def list_steps(
    hub: HubOf, run: Number, cursor: Cursor = "", limit: Limit = USUAL
) -> Page[RunStep]:
    """Return the writes of a run in the order they were done."""
    after = place(cursor) or 0
    with in_path():
        found = await runs.steps(hub, run, after=after, limit=limit + 1)
    return page(found, limit, after + limit)


@does("/runs/{run:int}/undo", Right.UNDO, summary="Take back what a run did", responses=GOES_ON)
async def undo_run(
    request: Request[Caller, int, Any], hub: HubOf, run: Number
) -> Response[PassView]:
    """Take back what a run did, as far as nobody changed it since; long work as for a run."""
    with in_path():
        await runs.shown(hub, run)
    done = await request.app.state.work.do(
        lambda started: passes.undo_run(hub, run, started=started)
    )
    return await ran(hub, done)


async def ran(hub: Hub, done: PassView | int) -> Response[Any]:
    """Answer with all that was done, or with 202 and the run that goes on."""
    if isinstance(done, PassView):
        return Response(done)
    place = f"/api/v1/runs/{done}"
    return Response(await runs.shown(hub, done), status_code=202, headers={"Location": place})


ROUTES = (make_plan, start_run, list_runs, show_run, list_steps, undo_run)
