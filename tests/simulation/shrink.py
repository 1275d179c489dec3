"""A failing life told in as few acts as still fail in the same way."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from simulation.world import simulate

if TYPE_CHECKING:
    from simulation.plan import Plan

TRIES = 300


def failure(plan: Plan) -> str:
    """Return how a life fails, "" where it does not."""
    try:
        simulate(plan)
    except Exception as error:  # noqa: BLE001 -- whatever breaks is the failure
        return f"{type(error).__name__}: {error}"
    return ""


def kind(text: str) -> str:
    """Return what two failures of one cause have in common."""
    return re.sub(r"\d+|'[^']*'", "#", text)[:40]


def shrunk(plan: Plan, how: str, tries: int = TRIES) -> Plan:
    """Drop acts, many at first and then one by one, while it still fails in the same way."""
    size = max(1, len(plan.acts) // 2)
    while size:
        at = 0
        while at < len(plan.acts) and tries:
            less = replace(plan, acts=plan.acts[:at] + plan.acts[at + size :])
            tries -= 1
            if kind(failure(less)) == kind(how):
                plan = less
            else:
                at += size
        size = size // 2 if tries else 0
    return plan


def told(plan: Plan, how: str) -> str:
    """Return a failing life for people."""
    lines = [f"seed {plan.seed}: {how}", *(f"  {one}" for one in plan.tenants)]
    lines += [f"  after {one.after:g} s: {one.name} {one.args}" for one in plan.acts]
    return "\n".join(lines)
