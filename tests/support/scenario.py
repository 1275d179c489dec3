"""A history out of a seed: random rules, random people, random faults; the same one each time."""

from __future__ import annotations

import random
from datetime import timedelta

from support.chaos import PEOPLE, Chaos, nasty_stores

FAULTS = ("before", "after", "after", "refuse", "list", "list-half")
RULES = {
    "drift": ("restore", "keep", "hold"),
    "deletes": ("propagate", "propagate", "unlink", "ask"),
    "missing": ("recreate", "accept", "ask"),
    "cancelled": ("remove", "mark"),
    "first": ("source", "target", "ask"),
}
WINNERS = ("source", "target", "newest", "ask")


def systems(chance: random.Random) -> dict[str, dict]:
    """Draw what the systems are like; the authority is honest about its own records."""
    made: dict[str, dict] = {"a": {"etags": chance.random() < 0.7}}
    for name in PEOPLE:
        knobs: dict = {"etags": chance.random() < 0.7, "conditional": chance.random() < 0.6}
        if chance.random() < 0.2:
            knobs["stores"] = nasty_stores(6)
        if chance.random() < 0.1:
            knobs["drops"] = frozenset({"status"})
        if chance.random() < 0.15:
            knobs["forces"] = {"notes": "-"}
        if chance.random() < 0.1:
            knobs["read_only"] = True
        if chance.random() < 0.2:
            knobs["lag"] = timedelta(minutes=1)
        made[name] = knobs
    return made


def rules(chance: random.Random) -> dict:
    """Draw the mirror's rules."""
    drawn = {name: chance.choice(values) for name, values in RULES.items()}
    spoken = [field for field in ("title", "notes", "when") if chance.random() < 0.5]
    drawn["speaks"] = frozenset(spoken)
    drawn["conflict"] = {field: chance.choice(WINNERS) for field in ("title", "notes", "when")}
    drawn["originates"] = frozenset({"source", "target"} if chance.random() < 0.15 else {"source"})
    if chance.random() < 0.3:
        drawn["per"] = ""
    return drawn


def people(chance: random.Random) -> tuple[str, ...]:
    """Draw a crew."""
    return tuple(name for name in PEOPLE if chance.random() < 0.5)


def step(chaos: Chaos, chance: random.Random) -> None:
    """Do one random thing."""
    name, index = chance.choice(tuple(chaos.ends)), chance.randrange(4)
    target = chance.choice([one for one in chaos.ends if one != "a"])
    field = chance.choice(("title", "notes", "when"))
    acts = (
        (14, chaos.run),
        (3, lambda: len(chaos.a.records) < 4 and chaos.make("a", people(chance))),
        (4, lambda: chaos.edit("a", index, field)),
        (5, lambda: chaos.edit(target, index, field)),
        (3, lambda: chaos.assign(index, people(chance))),
        (2, lambda: chaos.status(index, chance.choice(("cancelled", "scheduled", "confirmed")))),
        (1, lambda: chaos.delete("a", index)),
        (2, lambda: chaos.delete(target, index)),
        (1, lambda: chaos.restore(name)),
        (1, lambda: chaos.make(target, twin=index if chance.random() < 0.5 else None)),
        (3, lambda: chaos.fail(name, chance.choice(FAULTS))),
        (1, lambda: chaos.deafen(name, chance.randint(1, 3))),
        (1, lambda: chaos.sign(name, out=True)),
        (2, lambda: chaos.sign(name, out=False)),
        (1, lambda: chaos.expire(name)),
        (2, lambda: chaos.race(name, field)),
        (1, lambda: chaos.remember(target)),
        (1, lambda: chaos.lie(target)),
        (1, lambda: chaos.crash(chance.choice(("after journal", "before finish")))),
        (1, lambda: chaos.wait(chance.choice((1, 6, 90)))),
        (1, lambda: chaos.undo() if chance.random() < 0.3 else None),
        (1, lambda: chaos.answer(field, chance.choice(("accept", "restore", "keep")))),
    )
    weights = [weight for weight, _ in acts]
    chance.choices([act for _, act in acts], weights)[0]()


def history(seed: int, steps: int = 40, store=None) -> Chaos:
    """Live through the history of a seed, and hold it to what must hold."""
    chance = random.Random(seed)
    drawn = rules(chance)
    ends = systems(chance)
    if drawn.get("per") == "":
        ends = {name: knobs for name, knobs in ends.items() if name in ("a", "b")}
    chaos = Chaos(ends, store=store, **drawn)
    chaos.make("a", people(chance) or ("b",))
    chaos.run()
    for _ in range(steps):
        step(chaos, chance)
    chaos.quiesce()
    return chaos
