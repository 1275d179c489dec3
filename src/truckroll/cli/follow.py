"""follow: what a cancellation, an early end or a delay asks for, and doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.app import follow as following
from truckroll.app.certain import uncertain
from truckroll.cli import told
from truckroll.cli.ask import hub_of, person
from truckroll.cli.passes import code, show_apply, show_plan

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.app.follow import Followed
    from truckroll.cli.screen import Screen


async def follow(args: Namespace, screen: Screen) -> int:
    """List what is offered."""
    async with hub_of(args) as hub:
        found = await following.offers(hub, args.recipe)
        doubtful = await uncertain(hub, args.recipe)
    screen.data({"happened": found, "uncertain": doubtful})
    told.uncertain(screen, doubtful)
    if not any(one.offers for one in found):
        screen.line("  nothing is offered: no visit was lately cancelled, cut short or delayed,")
        screen.line("  or nothing can follow. What is new since the last pass:  truckroll apply")
        return 0
    for one in found:
        _tell(screen, one)
    screen.line("  See it first:  truckroll follow take CODE --plan")
    screen.line("  Then do it:    truckroll follow take CODE")
    return 0


def _tell(screen: Screen, one: Followed) -> None:
    if not one.offers:
        return
    screen.text(one.what, indent="  ", hang="    ")
    for offer in one.offers:
        screen.text(
            f"{offer.letter}  {offer.code}  {offer.says}", indent="    ", hang="              "
        )
        for text in offer.stays:
            screen.text(
                text, indent=f"              {screen.sign(well=False)} ", hang="                "
            )
    screen.line()


async def take(args: Namespace, screen: Screen) -> int:
    """Do what an offer says, or show what would be written."""
    async with hub_of(args) as hub:
        view = await following.take_offer(hub, args.offer, args.recipe, by=person(), plan=args.plan)
    screen.data(view)
    if args.plan:
        show_plan(screen, view, everything=True)
        return 0
    show_apply(screen, view, everything=True)
    return code(view)
