"""What happens in the life of a simulated hub, drawn from a seed before it begins."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from simulation.systems import FATES
from support.chaos import PEOPLE
from support.scenario import people, rules, systems

USERS = 8


@dataclass(frozen=True)
class Act:
    """Something that happens `after` so many seconds."""

    after: float
    name: str
    args: tuple = ()


@dataclass(frozen=True)
class Plan:
    """A life: the tenants with their systems and rules, and what happens to them, in order."""

    seed: int
    tenants: tuple[dict, ...]
    processes: int
    acts: tuple[Act, ...] = field(repr=False, default=())


FAULTS = (
    (6, "fate"),
    (2, "outage"),
    (2, "refuse"),
    (1, "list fails"),
    (2, "expire"),
    (2, "sign out"),
    (1, "stale"),
    (5, "kill"),
    (1, "kill all"),
    (2, "end"),
    (4, "pause"),
    (4, "store"),
    (3, "engine"),
    (1, "leap"),
    (1, "drift"),
    (1, "backup"),
    (1, "deaf"),
)
ACTS = (
    (6, "make"),
    (8, "edit source"),
    (9, "edit target"),
    (4, "assign"),
    (3, "status"),
    (2, "delete source"),
    (3, "delete target"),
    (1, "put back"),
    (1, "twin"),
    (2, "answer"),
    (3, "now"),
    (1, "whole"),
    (1, "confirm"),
)
GAPS = (0.0, 0.02, 0.1, 0.5, 0.5, 1.0, 1.0, 2.0, 6.0, 20.0)


def draw(seed: int) -> Plan:
    """Draw a life of 50 to 300 acts, 5 to 30 of them faults."""
    chance = random.Random(f"life {seed}")
    tenants = tuple(_tenant(chance) for _ in range(1 + (chance.random() < 0.35)))
    steps = chance.choice((50, 50, 50, 60, 70, 90))
    if chance.random() < 0.02:
        steps = 300
    faults = set(chance.sample(range(5, steps), chance.randint(5, min(30, steps // 3))))
    acts = [Act(0.0, "make", (tenant, True)) for tenant in range(1, 1 + len(tenants))]
    for number in range(steps):
        gap = chance.choice(GAPS)
        acts.append(_drawn(chance, gap, len(tenants), FAULTS if number in faults else ACTS))
    if chance.random() < 0.25:
        acts.insert(len(acts) // 3, Act(1.0, "save"))
    if chance.random() < 0.1:
        tenant = chance.randint(1, len(tenants))
        acts += [Act(0.0, "make", (tenant, True))] * 7
        acts += [Act(30.0, "wipe", (tenant,)), Act(25.0, "now", (tenant,))]
    return Plan(seed, tenants, chance.choice((2, 2, 3)), tuple(acts))


def _tenant(chance: random.Random) -> dict:
    rule = rules(chance)
    ends = systems(chance)
    most = 2 if rule.get("per") == "" else chance.choice((2, 3, 3, 4))
    kept = ("a", *PEOPLE[: most - 1])
    return {
        "rules": rule,
        "systems": {name: knobs for name, knobs in ends.items() if name in kept},
        "pages_move": chance.random() < 0.5,
        "pushing": frozenset(name for name in kept if chance.random() < 0.7),
    }


def _drawn(chance: random.Random, gap: float, tenants: int, choices) -> Act:
    names = [name for _, name in choices]
    (name,) = chance.choices(names, [weight for weight, _ in choices])
    which = (chance.randint(1, tenants), chance.randrange(4), chance.randrange(USERS))
    more: tuple = ()
    if name in ("make", "twin", "assign"):
        more = (people(chance),)
    elif name in ("edit source", "edit target", "answer"):
        more = (chance.choice(("title", "notes", "when")),)
        more += (chance.choice(("accept", "restore", "keep")),)
    elif name == "status":
        more = (chance.choice(("cancelled", "scheduled", "confirmed")),)
    elif name == "fate":
        more = (chance.choice(FATES), chance.choice((1, 1, 2, 5)))
    elif name == "outage":
        more = (chance.choice((20.0, 70.0)),)
    elif name == "kill":
        more = (chance.randint(1, 60), chance.choice((0.0, 1.0, 8.0, 25.0)))
    elif name == "pause":
        more = (chance.choice((3.0, 18.0, 30.0, 60.0)),)
    elif name in ("store", "engine"):
        more = (chance.choice(("before", "after", "slow")), chance.choice((1, 1, 2, 4)))
    elif name in ("leap", "drift"):
        more = (chance.choice((-3600.0, 3600.0, -40.0, 40.0)),)
    return Act(gap, name, (*which, *more))
