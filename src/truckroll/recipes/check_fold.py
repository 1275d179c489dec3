"""Checking how a mirror folds: several source records make one copy, one way only."""

from collections.abc import Mapping
from typing import Any

from truckroll.model.records import Address, Contact, Kind
from truckroll.recipes.schema import FOLDS, FieldRule
from truckroll.recipes.slips import Sheet, one_of
from truckroll.recipes.templates import known_names
from truckroll.recipes.values import MEANINGS, did_you_mean
from truckroll.recipes.where import Path


def check_fold(sheet: Sheet, table: Mapping[str, Any], path: Path, kind: Kind) -> str:
    """Return the field, or part of one, by which a mirror folds; "" where it does not."""
    fold = sheet.text(table, path, "fold", need=False)
    if not fold:
        return ""
    at = (*path, "fold")
    known = _foldable(kind)
    if fold not in known:
        meant = did_you_mean(fold, known)
        text = f'records cannot be put together by "{fold}"{meant or "; they can by"}'
        sheet.slip(at, text, () if meant else known)
    if table.get("originates", "source") != "source":
        text = "a mirror that folds cannot take new records from the target: a copy stands for many"
        sheet.slip((*path, "originates"), text)
    return fold


def check_line(
    sheet: Sheet, table: Mapping[str, Any], path: Path, kind: Kind, mirror: Mapping[str, Any]
) -> str:
    """Return which record speaks for a line's field, "" where nothing is said."""
    if "fold" in mirror and table.get("both", "never") != "never":
        text = "a line of a mirror that folds cannot be two-way: a copy stands for several records"
        sheet.slip((*path, "both"), text)
    if "fold" not in table:
        return ""
    at = (*path, "fold")
    rule, field = table["fold"], table.get("from")
    if "fold" not in mirror:
        sheet.slip(at, 'only in a mirror with a "fold" does one of several records speak')
    if wrong := one_of("fold", FOLDS)(rule):
        sheet.slip(at, wrong)
        return ""
    if not isinstance(field, str):
        sheet.slip(at, 'only a line with "from" says which record speaks: for that field')
    elif field == "occurrences":
        sheet.slip(at, '"occurrences" go with "when": say there which record speaks')
    elif rule == "list":
        _check_list(sheet, at, field, kind, mirror)
    return str(rule)


def check_rules(sheet: Sheet, rules: tuple[FieldRule, ...], path: Path) -> None:
    """Note where two lines say different things of one field."""
    said: dict[str, str] = {}
    for index, rule in enumerate(rules):
        if rule.fold and said.setdefault(rule.source, rule.fold) != rule.fold:
            text = f'"{rule.source}" is "{said[rule.source]}" in another line; a field has one rule'
            sheet.slip((*path, "field", index, "fold"), text)


def _foldable(kind: Kind) -> list[str]:
    names = []
    for name in known_names(kind):
        types = set(kind.types.get(name.partition(".")[0], (str,)))
        if types <= {str, Address, Contact}:
            names.append(name)
    return names


def _check_list(
    sheet: Sheet, path: Path, field: str, kind: Kind, mirror: Mapping[str, Any]
) -> None:
    types = set(kind.types.get(field, (str,)))
    if not types <= {str, tuple} or field in MEANINGS:
        sheet.slip(path, f'"{field}" cannot be a list: only texts and lists of names can')
    elif isinstance(maps := mirror.get("source_maps"), dict) and field in maps:
        sheet.slip(path, f'"{field}" goes through a map, which knows single words and no list')
    elif field == mirror.get("per"):
        text = f'"{field}" cannot be a list here: the copies go to those of the record that speaks'
        sheet.slip(path, text)
