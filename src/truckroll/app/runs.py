"""Runs as people and programs look at them again: which there were, and what each of them did."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from truckroll.app.systems import scope_label
from truckroll.app.trouble import TroubleError
from truckroll.app.views import StepView, step_view

if TYPE_CHECKING:
    from truckroll.app.hub import Hub
    from truckroll.store.runs import Run


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `ended_at` is None while it works, or if its process died; `summary` is its counts.

    As long as it has not ended `done` is how many writes are done, of `planned` in its summary.
    """

    id: int
    recipe: str
    kind: str
    started_at: datetime
    ended_at: datetime | None
    summary: dict[str, Any]
    done: int = 0


class RunStep(msgspec.Struct, frozen=True, kw_only=True):
    """A write of a run. `outcome` is "" while there is none; `says` is what a refusal said."""

    step: StepView
    outcome: str
    says: str


async def listed(hub: Hub, *, before: int | None = None, limit: int = 20) -> list[RunView]:
    """Return runs of all recipes, the newest first, of ids below `before`."""
    names = await _names(hub)
    return [_view(one, names) for one in await hub.store.runs(before=before, limit=limit)]


async def shown(hub: Hub, run: int) -> RunView:
    """Return a run; raises TroubleError where there is none, or none any more."""
    found = await hub.store.runs(before=run + 1, limit=1)
    if not found or found[0].id != run:
        days = await hub.store.journal_days()
        says = f"there is no run {run}; runs are kept for {days} days (truckroll journal)"
        raise TroubleError(says, usage=True)
    return _view(found[0], await _names(hub))


async def steps(hub: Hub, run: int, *, after: int = 0, limit: int = 50) -> list[RunStep]:
    """Return the writes of a run in the order they were done, without the first `after`."""
    await shown(hub, run)
    accounts = {one.id: (one.name, one.system) for one in await hub.store.accounts()}
    places = {
        one.id: scope_label(accounts[one.account][1], one.scope.title)
        for one in await hub.store.scopes()
    }
    found: list[RunStep] = []
    at = 0
    async for _, step, outcome in hub.store.steps_of(run):
        at += 1
        if at <= after:
            continue
        known = {**accounts}
        known.setdefault(step.account, ("an account that was removed", ""))
        view = step_view(step, known, lambda id_: places.get(id_, "a calendar not in use now"))
        says = outcome.says if outcome is not None else ""
        found.append(RunStep(step=view, outcome=outcome.kind if outcome else "", says=says))
        if len(found) == limit:
            break
    return found


async def _names(hub: Hub) -> dict[int, str]:
    rows = [*await hub.store.removed_recipes(), *await hub.store.recipes()]
    return {row.id: row.name for row in rows}


def _view(run: Run, names: dict[int, str]) -> RunView:
    return RunView(
        id=run.id,
        recipe=names.get(run.recipe, ""),
        kind=run.kind,
        started_at=run.started_at,
        ended_at=run.ended_at,
        summary=run.summary,
        done=run.done,
    )
