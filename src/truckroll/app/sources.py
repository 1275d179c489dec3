"""Looking at what a recipe's sources show now, without planning anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.app.installed import open_job
from truckroll.app.trouble import TroubleError, mended_by_sign_in
from truckroll.kit.errors import SignIn
from truckroll.sync.read import read_scope

if TYPE_CHECKING:
    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed


async def read_sources(hub: Hub, installed: Installed) -> list[str]:
    """Read the sources of an installed recipe as far as they changed.

    Returns a sentence for each that could not be read and of which older observations stand.
    Raises TroubleError where a source was never read.
    """
    problems = []
    async with open_job(hub, installed) as job:
        for scope in job.sources:
            hand = job.hands[scope.account]
            report = await read_scope(hub.store, hand.resource, hand.session, scope, now=hub.now)
            if not report.error:
                continue
            says = report.error
            if report.code == SignIn.code:
                says = mended_by_sign_in(says, hand.session.account)
            if scope.complete_at is None:
                raise TroubleError(says)
            problems.append(says)
    return problems
