"""The gates and transforms that a recipe may name, and what settings each one takes."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from truckroll.recipes.gates import GATES
from truckroll.recipes.transforms import TRANSFORMS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILTIN: dict[str, Mapping[str, Callable[..., Any]]] = {"gate": GATES, "transform": TRANSFORMS}

# What a setting may be, in words; None among a setting's types means that it may be left out.
TYPE_WORDS: dict[Any, str] = {
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    tuple: "a list of texts",
}


@dataclass(frozen=True, slots=True)
class Function:
    """A named gate or transform: `takes` and `gives` are types, `settings` type and need."""

    name: str
    call: Callable[..., Any]
    takes: tuple[Any, ...]
    gives: tuple[Any, ...]
    settings: Mapping[str, tuple[type, bool]]


def names(sort: str) -> tuple[str, ...]:
    """Return all names of a sort ("gate" or "transform"), own ones included."""
    return tuple(sorted({*BUILTIN[sort], *(point.name for point in _points(sort))}))


def _points(sort: str) -> "tuple[EntryPoint, ...]":
    from importlib.metadata import entry_points  # noqa: PLC0415 -- 30 ms, and rarely needed

    return tuple(entry_points(group=f"truckroll.{sort}s"))


@cache
def find(sort: str, name: str) -> Function | str:
    """Return a gate or transform by name, or a sentence that says why it cannot be used.

    A built-in one is not replaced by an entry point of the same name.
    """
    call = BUILTIN[sort].get(name)
    if call is None:
        points = [point for point in _points(sort) if point.name == name]
        if not points:
            return f'there is no {sort} "{name}"'
        try:
            call = points[0].load()
        except Exception as error:  # noqa: BLE001 -- a stranger's module may fail in any way
            return f'the {sort} "{name}" could not be loaded from {points[0].value}: {error}'
    try:
        return describe(name, call)
    except (TypeError, NameError, ValueError) as error:
        return f'the {sort} "{name}" does not say its types: {error}'


def describe(name: str, call: Callable[..., Any]) -> Function:
    """Return what a function's signature says; raises TypeError where it is not understood."""
    hints = get_type_hints(call)
    settings = {}
    first = None
    for one in inspect.signature(call).parameters.values():
        if one.kind is not one.KEYWORD_ONLY:
            first = first or one
            continue
        settings[one.name] = (_setting_type(one.name, hints), one.default is one.empty)
    takes = hints.get(first.name, object) if first else object
    gives = hints.get("return", object)
    return Function(name, call, get_args(takes) or (takes,), get_args(gives) or (gives,), settings)


def _setting_type(name: str, hints: Mapping[str, Any]) -> type:
    hint = hints.get(name)
    for one in TYPE_WORDS:
        if hint is one or hint == one | None or (one is tuple and hint == tuple[str, ...]):
            return one  # type: ignore[no-any-return]  # the keys of TYPE_WORDS are types
    raise TypeError(f'the setting "{name}" is not a number, text, list of texts, true or false')
