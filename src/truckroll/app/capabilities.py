"""What can be done at each system: derived from the connectors, never written by hand."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from truckroll.app.systems import connector, package, systems

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truckroll.kit.contract import Connector, Resource

    Rules = Mapping[str, Mapping[str, Any]]

LETTERS = {
    "R": "read what changed",
    "C": "create",
    "U": "update",
    "X": "cancel or remove",
    "P": "pushed by the system",
    "D": "deletions noticed",
    "Q": "quiet writes: nobody is told",
}
# The rules of a quality sheet that say why a letter is absent; the first that is there counts.
_WHY = {
    "C": ("create", "writes"),
    "U": ("update", "writes"),
    "X": ("cancel", "writes"),
    "P": ("push",),
    "D": ("listing-typed",),
    "Q": ("silent-writes", "writes"),
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What can be done with records of a kind at a system.

    `letters` are those of LETTERS that hold, in their order. `lacks` gives for each other letter
    the reason as a sentence. `guard` says how a write meets a change that was made meanwhile.
    """

    system: str
    kind: str
    letters: str
    lacks: Mapping[str, str]
    guard: str


def rows(found: Iterable[tuple[Connector, Rules]]) -> tuple[Row, ...]:
    """Return the rows of connectors and the rules of their quality sheets, in the order given.

    Raises KeyError where a letter is absent and the sheet does not say why.
    """
    return tuple(
        _row(speaks, resource, rules)
        for speaks, rules in found
        for resource in speaks.resources.values()
    )


def _row(speaks: Connector, resource: Resource, rules: Rules) -> Row:
    holds = _holds(speaks, resource, rules)
    return Row(
        system=speaks.system,
        kind=resource.kind,
        letters="".join(letter for letter in LETTERS if holds[letter]),
        lacks={
            letter: _reason(speaks.system, letter, rules) for letter in LETTERS if not holds[letter]
        },
        guard=_guard(resource),
    )


def _holds(speaks: Connector, resource: Resource, rules: Rules) -> dict[str, bool]:
    """Tell which letters hold: from the code where it shows it, else by what is proven."""
    answers = {one.name: one.default for one in speaks.settings}
    return {
        "R": True,
        "C": resource.create is not None,
        "U": resource.update is not None,
        "X": resource.cancel is not None or resource.remove is not None,
        "P": _done(rules, "push"),
        "D": _done(rules, "listing-typed"),
        "Q": bool(resource.writes) and not any(resource.notified(answers).values()),
    }


def _done(rules: Rules, name: str) -> bool:
    return bool(rules[name]["status"] == "done")


def _reason(system: str, letter: str, rules: Rules) -> str:
    for name in _WHY.get(letter, ()):
        reason = rules.get(name, {}).get("reason")
        if reason:
            return str(reason)
    raise KeyError(f"the quality sheet of {system} does not say why {LETTERS[letter]!r} is absent")


def _guard(resource: Resource) -> str:
    if not resource.writes:
        return "nothing is written"
    return "checked by the system" if resource.conditional else "read just before and after"


def installed() -> tuple[Row, ...]:
    """Return the rows of every system that this hub speaks to."""
    return rows((connector(name), sheet(name)) for name in systems())


def sheet(system: str) -> Rules:
    """Return the rules of a system's quality sheet, which lies beside its connector."""
    place = files(import_module(package(system))) / "quality.toml"
    found: Rules = tomllib.loads(place.read_text(encoding="utf-8"))["rules"]
    return found


def table(found: Iterable[Row]) -> str:
    """Return rows as a Markdown table, with the reason for each letter that is absent."""
    lines = [
        "| system | records | depth | a change made meanwhile is | without |",
        "|---|---|---|---|---|",
    ]
    for row in found:
        reasons: dict[str, list[str]] = {}
        for letter, reason in row.lacks.items():
            reasons.setdefault(reason, []).append(letter)
        lacks = " ".join(f"{', '.join(which)}: {reason}" for reason, which in reasons.items())
        cells = (row.system, row.kind, row.letters, row.guard, lacks.replace("|", "/"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
