"""From a checked recipe and a person's choices to a `Mirror`, which is what the planner reads."""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from truckroll.model.records import KINDS
from truckroll.recipes.check import refuses
from truckroll.recipes.functions import describe
from truckroll.recipes.gates import not_private, overlap_free
from truckroll.recipes.lines import SHOWN_OF_PRIVATE, hearing_private, source_lines, target_lines
from truckroll.recipes.mirror import Fold, Gate, Mirror, Place
from truckroll.recipes.schema import (
    RULES,
    Chosen,
    MirrorRule,
    Recipe,
    Setting,
    Slip,
    Use,
    ValueMap,
)
from truckroll.recipes.values import MEANINGS, did_you_mean, with_rows

_ROW = re.compile(r'^maps\.([^.]+)\.(?:"(.*)"|(.+))$', re.DOTALL)

# Whose word counts when both sides changed a two-way field, in the mirror's terms.
_CONFLICT = {"source-wins": "source", "target-wins": "target", "newest": "newest", "ask": "ask"}


class BadChoicesError(ValueError):
    """Choices that a recipe does not offer; `slips` say which and what there is instead."""

    def __init__(self, slips: list[Slip]) -> None:
        super().__init__("; ".join(str(slip) for slip in slips))
        self.slips = slips


def builtin() -> dict[str, str]:
    """Return the shipped recipes: TOML text by name."""
    files = sorted((Path(__file__).parent / "builtin").glob("*.toml"))
    return {one.stem: one.read_text(encoding="utf-8") for one in files}


def check_choices(recipe: Recipe, choices: Mapping[str, str]) -> list[Slip]:
    """Return what is wrong with a person's choices; [] where nothing is.

    A key is the name of an option, or a row of a map: `maps.status."On way"`.
    """
    slips = []
    for key, value in choices.items():
        row = _ROW.match(key)
        if row:
            slips += _check_row(recipe, row[1], value)
        elif key not in recipe.options:
            meant = did_you_mean(key, recipe.options)
            known = ", ".join((*recipe.options, *(f'maps.{one}."word"' for one in recipe.maps)))
            text = f'"{recipe.name}" has no choice "{key}"{meant or f"; there are: {known}"}'
            slips.append(Slip(0, text, tuple(recipe.options)))
        elif wrong := refuses(recipe.options[key], value):
            slips.append(Slip(0, wrong, tuple(recipe.options[key].words)))
    return slips


def compile_mirror(
    recipe: Recipe, choices: Mapping[str, str], *, mirror: str = "", place: Place | None = None
) -> Mirror:
    """Return a mirror of a recipe with a person's choices filled in.

    `mirror` may be left out where the recipe has only one. `place` is the single target of a
    mirror that does not fan out. Raises BadChoicesError with all that is wrong, and KeyError for
    a mirror that the recipe does not have.
    """
    if slips := check_choices(recipe, choices):
        raise BadChoicesError(slips)
    rule = recipe.mirrors[mirror or next(iter(recipe.mirrors))]
    chosen = {name: choices.get(name, option.default) for name, option in recipe.options.items()}
    maps = _with_own_rows(recipe, choices)
    rules = {key: _resolve(setting, chosen) for key, setting in rule.rules.items()}
    originates, private = rules.pop("originates", "source"), rules.pop("private", "busy_only")
    travel = int(rules.pop("travel_minutes", 0))
    sides = {"source", "target"} if originates == "both" else {"source"}
    both = {one.target: str(_resolve(one.both, chosen)) for one in rule.fields}
    # What travels back could carry a private text out, so a two-way mirror leaves these alone.
    back = {slot for slot, word in both.items() if word != "never"} - SHOWN_OF_PRIVATE
    two_way = bool(back) or "target" in sides
    held = private == "skip" or (private == "busy_only" and two_way)
    budget = rules.pop("write_budget", None)
    kind = KINDS[rule.kind]
    fields = tuple((one, both[one.target], _calls(one.uses, chosen)) for one in rule.fields)
    lines = target_lines(fields, kind, maps, recipe.name, busy_only=private == "busy_only")
    return Mirror(
        name=rule.name,
        kind=rule.kind,
        lines={
            "source": source_lines(rule, kind, maps, recipe.name),
            "target": hearing_private(lines) if held and two_way else lines,
        },
        per=rule.per,
        fold=Fold(rule.fold, _speaking(rule)) if rule.fold else None,
        place=place,
        conflict={
            one.source: _CONFLICT[both[one.target]]
            for one in rule.fields
            if both[one.target] != "never"
        },
        originates=frozenset(sides),  # type: ignore[arg-type]  # both names are sides
        match=rule.match,
        gates=_gates(rule, chosen, held=held, overlap=rules.get("overlap") == "refuse"),
        travel=timedelta(minutes=travel),
        write_budget=None if budget is None else int(budget),
        **{key: value for key, value in rules.items() if key in RULES},
    )


def _speaking(rule: MirrorRule) -> dict[str, str]:
    return {one.source: one.fold for one in rule.fields if one.fold}


def _resolve(setting: Setting, chosen: Mapping[str, str | int]) -> Any:
    """Return a setting's value under the choices made."""
    if not isinstance(setting, Chosen):
        return setting
    value = chosen[setting.option]
    return _resolve(setting.by[str(value)], chosen) if setting.by else value


def _calls(uses: tuple[Use, ...], chosen: Mapping[str, str | int]) -> tuple[Any, ...]:
    return tuple(_call(use, chosen) for use in uses)


def _call(use: Use, chosen: Mapping[str, str | int]) -> Any:
    """Return the function with its settings; a chosen text becomes the type that it takes."""
    types = describe(use.name, use.call).settings
    settings = {}
    for key, setting in use.settings.items():
        value = _resolve(setting, chosen)
        if types[key][0] is int:
            value = int(value)
        elif types[key][0] is tuple and isinstance(value, str):
            value = tuple(one.strip() for one in value.split(",") if one.strip())
        settings[key] = value
    return partial(use.call, **settings) if settings else use.call


def _gates(
    rule: MirrorRule, chosen: Mapping[str, str | int], *, held: bool, overlap: bool
) -> tuple[tuple[str, Gate], ...]:
    gates: list[tuple[str, Gate]] = [(use.name, _call(use, chosen)) for use in rule.gates]
    if held:
        gates.append(("not_private", not_private))
    if overlap:
        gates.append(("overlap_free", overlap_free))
    return tuple(gates)


def _check_row(recipe: Recipe, name: str, value: str) -> list[Slip]:
    if name not in recipe.maps:
        text = f'"{recipe.name}" has no map "{name}"{did_you_mean(name, recipe.maps)}'
        return [Slip(0, text, tuple(recipe.maps))]
    fields = [
        field
        for rule in recipe.mirrors.values()
        for field, used in rule.source_maps.items()
        if used == name
    ]
    slips = []
    for field in fields:
        known = MEANINGS.get(field)
        if known and value not in known:
            meant = did_you_mean(value, known) or f"; there are: {', '.join(known)}"
            slips.append(Slip(0, f'"{value}" is no {field}{meant}', known))
    return slips


def _with_own_rows(recipe: Recipe, choices: Mapping[str, str]) -> dict[str, ValueMap]:
    rows: dict[str, dict[str, str]] = {name: {} for name in recipe.maps}
    for key, value in choices.items():
        if row := _ROW.match(key):
            rows[row[1]][row[2] if row[2] is not None else row[3]] = value
    return {name: with_rows(table, rows[name]) for name, table in recipe.maps.items()}
