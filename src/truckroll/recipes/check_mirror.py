"""Checking one mirror of a recipe: its rules, gates and lines."""

from collections.abc import Mapping
from typing import Any

from truckroll.model.records import Address, Contact, Kind, Money, Occurrences
from truckroll.model.time import AllDay, Timed
from truckroll.recipes import templates
from truckroll.recipes.check_fold import check_fold, check_line, check_rules
from truckroll.recipes.functions import Function
from truckroll.recipes.schema import (
    BOTH,
    FIELD_KEYS,
    MIRROR_KEYS,
    NUMBERS,
    RULES,
    FieldRule,
    MirrorRule,
    Use,
    ValueMap,
)
from truckroll.recipes.slips import Sheet, of_type, one_of
from truckroll.recipes.values import MEANINGS, closest, did_you_mean, reversible
from truckroll.recipes.where import Path

_TYPE_NAMES: dict[Any, str] = {
    str: "a text",
    tuple: "a list",
    bool: "yes or no",
    int: "a number",
    float: "a number",
    Timed: "a time",
    AllDay: "a time",
    Address: "an address",
    Contact: "a contact",
    Money: "an amount",
    Occurrences: "the exceptions of a series",
}


def check_mirror(
    sheet: Sheet, name: str, value: Any, maps: Mapping[str, ValueMap], kinds: Mapping[str, Kind]
) -> MirrorRule | None:
    """Return a mirror's rule; None where not even its kind is known. Slips go to the sheet."""
    path: Path = ("mirror", name)
    table = sheet.table(value, path, MIRROR_KEYS)
    kind_name = sheet.text(table, path, "kind")
    kind = kinds.get(kind_name)
    if kind is None:
        if kind_name:
            meant = did_you_mean(kind_name, kinds)
            text = f'"{kind_name}" is no kind of record here{meant or "; there are"}'
            sheet.slip((*path, "kind"), text, () if meant else kinds)
        return None
    if "deletes" not in table:
        text = f'"deletes" is missing: say what happens when {RULES["deletes"][0]}; it can be'
        sheet.missing(path, text, RULES["deletes"][1])
    rules = {
        key: sheet.setting(table[key], (*path, key), one_of(key, words))
        for key, (_, words) in RULES.items()
        if key in table
    }
    for key in NUMBERS.keys() & table.keys():
        rules[key] = sheet.setting(table[key], (*path, key), of_type(key, int))
    return MirrorRule(
        name=name,
        kind=kind_name,
        fields=_fields(sheet, table, path, kind, maps),
        per=_per(sheet, table, path, kind),
        rules=rules,
        gates=tuple(use for use, _ in sheet.uses("gate", table.get("gates", []), (*path, "gates"))),
        source_maps=_source_maps(sheet, table, path, kind, maps),
        match=_match(sheet, table, path, kind),
        fold=check_fold(sheet, table, path, kind),
    )


def _article(kind: Kind) -> str:
    return f"an {kind.name}" if kind.name[0] in "aeiou" else f"a {kind.name}"


def _known_field(sheet: Sheet, field: Any, path: Path, kind: Kind) -> bool:
    if field in kind.fields:
        return True
    text = f'unknown field "{kind.name}.{field}"; {_article(kind)} has'
    sheet.slip(path, text, kind.fields)
    return False


def _per(sheet: Sheet, table: Mapping[str, Any], path: Path, kind: Kind) -> str:
    per = sheet.text(table, path, "per", need=False)
    if not per or not _known_field(sheet, per, (*path, "per"), kind):
        return ""
    if tuple not in kind.types.get(per, ()):
        lists = [field for field, types in kind.types.items() if tuple in types]
        text = f'"{per}" is one value; a mirror can fan out by'
        sheet.slip((*path, "per"), text, lists)
    return per


def _match(sheet: Sheet, table: Mapping[str, Any], path: Path, kind: Kind) -> tuple[str, ...]:
    value = table.get("match", ["when", "title"])
    if not isinstance(value, list) or not value:
        sheet.slip((*path, "match"), '"match" must be a list of fields in brackets')
        return ()
    for index, field in enumerate(value):
        _known_field(sheet, field, (*path, "match", index), kind)
    return tuple(str(field) for field in value)


def _source_maps(
    sheet: Sheet,
    table: Mapping[str, Any],
    path: Path,
    kind: Kind,
    maps: Mapping[str, ValueMap],
) -> dict[str, str]:
    value = table.get("source_maps", {})
    if not isinstance(value, dict):
        sheet.slip((*path, "source_maps"), '"source_maps" must name a map by field')
        return {}
    found = {}
    for field, name in value.items():
        at = (*path, "source_maps", field)
        if not _known_field(sheet, field, at, kind):
            continue
        if table_of := _map(sheet, name, at, maps):
            found[field] = name
            _check_meanings(sheet, table_of, field)
    return found


def _map(sheet: Sheet, name: Any, path: Path, maps: Mapping[str, ValueMap]) -> ValueMap | None:
    found = maps.get(name) if isinstance(name, str) else None
    if found is None:
        meant = did_you_mean(str(name), maps)
        text = f'there is no map "{name}"' + (meant or ("; there are" if maps else ""))
        sheet.slip(path, text, () if meant else maps)
    return found


def _check_meanings(sheet: Sheet, table: ValueMap, field: str) -> None:
    """Every meaning of a map for a field with a closed list must be on that list."""
    known = MEANINGS.get(field)
    if known is None:
        return
    rows: list[tuple[Path, str]] = [
        (("maps", table.name, "words", word), meaning) for word, meaning in table.words.items()
    ]
    if table.unmapped not in {"hold", "skip"}:
        rows.append((("maps", table.name, "unmapped"), table.unmapped))
    for at, meaning in rows:
        if meaning not in known:
            meant = f'; did you mean "{best}"?' if (best := closest(meaning, known)) else ""
            text = f'"{meaning}" is no {field}{meant or "; there are"}'
            sheet.slip(at, text, () if meant else known)


def _fields(
    sheet: Sheet, table: Mapping[str, Any], path: Path, kind: Kind, maps: Mapping[str, ValueMap]
) -> tuple[FieldRule, ...]:
    value = table.get("field", [])
    at: Path = (*path, "field")
    if not isinstance(value, list) or not value:
        sheet.missing(path, f"the mirror has no lines: add [[mirror.{path[-1]}.field]]")
        return ()
    found: list[FieldRule] = []
    lines: dict[str, int] = {}
    for index, item in enumerate(value):
        rule = _field(sheet, item, (*at, index), kind, maps, table)
        if rule is None:
            continue
        first = lines.setdefault(rule.target, sheet.places.line((*at, index)))
        if first != sheet.places.line((*at, index)):
            text = f'"{rule.target}" is filled by two lines, here and in line {first}; keep one'
            sheet.slip((*at, index, "target"), text)
        found.append(rule)
    check_rules(sheet, tuple(found), path)
    return tuple(found)


def _field(
    sheet: Sheet,
    item: Any,
    path: Path,
    kind: Kind,
    maps: Mapping[str, ValueMap],
    mirror: Mapping[str, Any],
) -> FieldRule | None:
    table = sheet.table(item, path, FIELD_KEYS)
    target = sheet.text(table, path, "target")
    if not target or not _known_field(sheet, target, (*path, "target"), kind):
        return None
    ways = [key for key in ("from", "text", "value") if key in table]
    if len(ways) != 1:
        said = " and ".join(f'"{way}"' for way in ways) or "none of them"
        text = f'a line has one of "from", "text" and "value"; here it has {said}'
        sheet.slip(path, text)
    source = sheet.text(table, path, "from", need=False)
    types: tuple[Any, ...] = (str,) if ways == ["text"] else (object,)
    if source and _known_field(sheet, source, (*path, "from"), kind):
        types = kind.types.get(source, (str,))
    text = sheet.text(table, path, "text", need=False)
    if text:
        _check_braces(sheet, text, (*path, "text"), kind)
    name = ""
    if "map" in table and (mapped := _map(sheet, table["map"], (*path, "map"), maps)):
        name = mapped.name
        if not {str, object} & set(types):
            sheet.slip((*path, "map"), f'a map works on words, and "{source}" is {_named(types)}')
    value = table.get("value")
    if value is not None and not isinstance(value, str | int | bool):
        sheet.slip((*path, "value"), '"value" must be a text, a number, true or false')
        value = None
    elif value is not None:
        types = (type(value),)
    uses = sheet.uses("transform", table.get("use", []), (*path, "use"))
    types = _check_chain(sheet, uses, types, (*path, "use"))
    _check_result(sheet, target, types, path, kind)
    both = sheet.setting(table.get("both", "never"), (*path, "both"), one_of("both", BOTH))
    if both != "never":
        _check_both(sheet, table, path, maps.get(name))
    fold = check_line(sheet, table, path, kind, mirror)
    return FieldRule(target, source, text, value, name, tuple(use for use, _ in uses), both, fold)


def _check_braces(sheet: Sheet, text: str, path: Path, kind: Kind) -> None:
    try:
        template = templates.parse(text)
    except templates.TemplateError as error:
        sheet.slip(path, str(error))
        return
    known = templates.known_names(kind)
    for name in template.names:
        if name not in known:
            meant = did_you_mean(name, known)
            said = f'unknown field "{{{name}}}" in a text'
            said += meant or f"; {_article(kind)} has"
            sheet.slip(path, said, () if meant else known)


def _named(types: tuple[Any, ...]) -> str:
    return " or ".join(dict.fromkeys(_TYPE_NAMES.get(one, "something else") for one in types))


def _plain(hints: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return types as classes: tuple[str, ...] is a tuple."""
    return tuple(getattr(hint, "__origin__", None) or hint for hint in hints)


def _check_chain(
    sheet: Sheet, uses: list[tuple[Use, Function]], types: tuple[Any, ...], path: Path
) -> tuple[Any, ...]:
    """Each transform must take what the one before gives; return what the last one gives."""
    for index, (use, function) in enumerate(uses):
        takes = _plain(function.takes)
        if object not in (*takes, *types) and not set(takes) & set(types):
            text = f'"{use.name}" works on {_named(takes)}, and this is {_named(types)}'
            sheet.slip((*path, index), text)
            return (object,)
        types = _plain(function.gives)
    return types


def _check_result(
    sheet: Sheet, target: str, types: tuple[Any, ...], path: Path, kind: Kind
) -> None:
    wanted = set(kind.types.get(target, (str,)))
    # A text is enough for an address or a contact: it becomes its text or its name.
    if str in types and wanted & {Address, Contact}:
        return
    if object not in types and not wanted & set(types):
        text = f'"{target}" is {_named(tuple(wanted))}, and this line gives {_named(types)}'
        sheet.slip(path, f'{text}; write text = "{{field}}" to make a text of it')


def _check_both(
    sheet: Sheet, table: Mapping[str, Any], path: Path, table_of: ValueMap | None
) -> None:
    """Note why a two-way line cannot be read backwards."""
    at = (*path, "both")
    if "from" not in table:
        sheet.slip(at, 'only a line with "from" can be two-way: a text cannot be read backwards')
    elif table.get("use"):
        sheet.slip(at, "a line with transforms cannot be two-way: they cannot be read backwards")
    elif table.get("from") != table.get("target"):
        text = f'a two-way line must fill the field that it is taken from ("{table["from"]}")'
        sheet.slip(at, text)
    elif table_of and not reversible(table_of):
        text = f'the map "{table_of.name}" has two words for one meaning: no way back is sure'
        sheet.slip(at, text)
