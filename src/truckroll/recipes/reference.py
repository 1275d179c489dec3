"""The language's reference, made from the code that decides: keys, words, gates, transforms."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from truckroll.model.records import KINDS
from truckroll.recipes import schema, templates
from truckroll.recipes.functions import TYPE_WORDS, describe
from truckroll.recipes.gates import GATES
from truckroll.recipes.transforms import TRANSFORMS


def sections() -> dict[str, str]:
    """Return each generated section of docs/recipes.md as Markdown, by its name."""
    return {
        "recipe keys": _keys(schema.TOP_KEYS),
        "option keys": _keys(schema.OPTION_KEYS),
        "map keys": _keys(schema.MAP_KEYS),
        "mirror keys": _keys(schema.MIRROR_KEYS),
        "rules": _rules(),
        "line keys": _keys(schema.FIELD_KEYS),
        "fields": "\n\n".join(_fields(name) for name in KINDS),
        "gates": _functions(GATES),
        "transforms": _functions(TRANSFORMS),
    }


def _keys(keys: Mapping[str, str]) -> str:
    rows = [f"| `{key}` | {meaning} |" for key, meaning in keys.items()]
    return "\n".join(["| key | what it says |", "|---|---|", *rows])


def _rules() -> str:
    rows = [
        f"| `{key}` | {meaning} | {' · '.join(f'`{word}`' for word in words)} |"
        for key, (meaning, words) in schema.RULES.items()
    ]
    rows.append(
        f"| `both` (of a line) | the field is edited on both sides | "
        f"{' · '.join(f'`{word}`' for word in schema.BOTH)} |"
    )
    rows.append(
        f"| `fold` (of a line) | several records make one copy: which one speaks | "
        f"{' · '.join(f'`{word}`' for word in schema.FOLDS)} |"
    )
    return "\n".join(["| rule | when | words |", "|---|---|---|", *rows])


def _fields(name: str) -> str:
    kind = KINDS[name]
    rows = [f"| `{field}` | {meaning} |" for field, meaning in kind.fields.items()]
    parts = ", ".join(f"`{{{one}}}`" for one in templates.known_names(kind) if "." in one)
    head = [f"| field of an {name} | what it is |", "|---|---|"]
    return "\n".join([*head, *rows, "", f"In texts also: {parts}."])


def _functions(functions: Mapping[str, Callable[..., Any]]) -> str:
    return "\n\n".join(_function(name, functions[name]) for name in sorted(functions))


def _function(name: str, call: Callable[..., Any]) -> str:
    settings = describe(name, call).settings
    lines = [f"### `{name}`", "", inspect.getdoc(call) or ""]
    if settings:
        said = (
            f"`{key}` ({TYPE_WORDS[kind]}{', required' if needed else ''})"
            for key, (kind, needed) in settings.items()
        )
        lines += ["", f"Settings: {', '.join(said)}."]
    return "\n".join(lines)
