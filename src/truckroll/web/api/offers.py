"""What a cancelled, shorter or delayed visit asks for, and doing it in one step."""

from typing import Any

from litestar import Request, Response
from litestar.params import JSONBody

from truckroll.app import follow
from truckroll.app.follow import Followed
from truckroll.app.members import Caller
from truckroll.app.rights import Right
from truckroll.app.views import PassView
from truckroll.web.api.passes import GOES_ON, Planned, ran
from truckroll.web.api.words import InPath, RecipeName
from truckroll.web.paging import USUAL, Cursor, Limit, Page, piece
from truckroll.web.problems import in_path
from truckroll.web.routes import does, shows
from truckroll.web.sign_in import HubOf


@shows("/offers", Right.SEE_RECORDS, summary="What a changed day asks for")
async def list_offers(
    hub: HubOf, recipe: RecipeName = "", cursor: Cursor = "", limit: Limit = USUAL
) -> Page[Followed]:
    """Return what lately happened to technicians' days, with what is offered; reads the source."""
    return piece(await follow.offers(hub, recipe), cursor, limit)


@does("/offers/{code:str}/plan", Right.PLAN, summary="Say what an offer would write")
async def plan_offer(hub: HubOf, code: InPath, data: JSONBody[Planned]) -> PassView:
    """Return what an offer would write; writes to no system."""
    with in_path():
        return await follow.take_offer(hub, code, data.recipe, by=hub.actor.name, plan=True)


@does("/offers/{code:str}", Right.APPLY, summary="Do what is offered", responses=GOES_ON)
async def take_offer(
    request: Request[Caller, int, Any], hub: HubOf, code: InPath, data: JSONBody[Planned]
) -> Response[PassView]:
    """Do what an offer says, in one run; long work as for a run."""
    with in_path():
        done = await request.app.state.work.do(
            lambda started: follow.take_offer(
                hub, code, data.recipe, by=hub.actor.name, started=started
            )
        )
    return await ran(hub, done)


ROUTES = (list_offers, plan_offer, take_offer)
