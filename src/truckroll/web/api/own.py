"""What is the caller's own: visits of a technician, work orders of a customer or partner."""

from truckroll.app import own
from truckroll.app.own import OrderView, VisitView
from truckroll.app.rights import Right
from truckroll.web.api.words import InPath
from truckroll.web.paging import USUAL, Cursor, Limit, Page, piece
from truckroll.web.problems import in_path
from truckroll.web.routes import shows
from truckroll.web.sign_in import HubOf


@shows("/my/visits", Right.SEE_OWN, summary="My visits, today and in the next fourteen days")
async def my_visits(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[VisitView]:
    """Return the visits of the person that the caller stands for, by start."""
    return piece(await own.visits(hub), cursor, limit)


@shows("/my/orders/{number:str}", Right.SEE_OWN, summary="A work order of mine")
async def my_order(hub: HubOf, number: InPath) -> OrderView:
    """Return a work order whose contact has the caller's mail address."""
    with in_path():
        return await own.order(hub, number)


ROUTES = (my_visits, my_order)
