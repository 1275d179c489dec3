"""Checking a recipe: TOML in, a `Recipe` or all its slips out. A recipe with slips runs nothing."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from truckroll.model.records import KINDS
from truckroll.recipes import where
from truckroll.recipes.check_mirror import check_mirror
from truckroll.recipes.schema import (
    MAP_KEYS,
    OPTION_KEYS,
    TOP_KEYS,
    MirrorRule,
    Option,
    Recipe,
    Slip,
    ValueMap,
)
from truckroll.recipes.slips import Sheet

_NAME = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")


def check(text: str, filename: str) -> list[Slip]:
    """Return all slips of a recipe, in the order of their lines; [] where it is right."""
    loaded = load(text, filename)
    return loaded if isinstance(loaded, list) else []


def load(text: str, filename: str) -> Recipe | list[Slip]:
    """Return the recipe that a TOML text states, or all its slips in the order of their lines.

    `filename` is what people call the text; nothing is read from there.
    """
    data, places, slips = where.read(text)
    if data or not slips:
        sheet = Sheet(places, partial=bool(slips))
        recipe = _recipe(sheet, sheet.table(data, (), TOP_KEYS), text)
        slips = [*slips, *sheet.slips]
        if not slips:
            return recipe
    return [structs.replace(slip, file=filename) for slip in sorted(set(slips))]


def _recipe(sheet: Sheet, top: dict[str, Any], text: str) -> Recipe:
    name = sheet.text(top, (), "name")
    title = sheet.text(top, (), "title")
    if name and not _NAME.match(name):
        sheet.slip(("name",), f'"{name}" must be small letters, digits and dashes')
    version = top.get("version", 1 if sheet.partial else None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        sheet.slip(("version",), '"version" must be a whole number from 1')
        version = 1
    for key, item in sheet.tables(top.get("options", {}), ("options",)).items():
        sheet.options[key] = _option(sheet, key, item)
    maps = {
        key: _map(sheet, key, item)
        for key, item in sheet.tables(top.get("maps", {}), ("maps",)).items()
    }
    rules = sheet.tables(top.get("mirror", {}), ("mirror",))
    if not rules:
        sheet.missing(("mirror",), "the recipe keeps nothing in step: add a table [mirror.name]")
    mirrors: dict[str, MirrorRule] = {}
    for key, item in rules.items():
        if rule := check_mirror(sheet, key, item, maps, KINDS):
            mirrors[key] = rule
    about = sheet.text(top, (), "about", need=False)
    return Recipe(name, title, version, about, sheet.options, maps, mirrors, text)


def _option(sheet: Sheet, name: str, value: Any) -> Option:
    path = ("options", name)
    table = sheet.table(value, path, OPTION_KEYS)
    asks = sheet.text(table, path, "asks")
    words = _words(sheet, table.get("words", {}), (*path, "words"), "the sentence that explains it")
    is_text = table.get("text", False) is True
    default = table.get("default")
    least, most = table.get("least", 0), table.get("most", 0)
    option = Option(name, asks, default if default is not None else "", words, least, most, is_text)
    if default is None:
        sheet.missing(path, f'the option "{name}" has no default')
    elif not isinstance(least, int) or not isinstance(most, int):
        sheet.slip(path, '"least" and "most" must be whole numbers')
    elif (words or is_text or "most" in table) and (wrong := refuses(option, default)):
        sheet.slip((*path, "default"), wrong)
    if (bool(words), is_text, "most" in table).count(True) != 1:
        sheet.missing(path, f'say what "{name}" can be: words, or least and most, or text = true')
    return option


def refuses(option: Option, value: str | int) -> str:
    """Return why a value cannot be chosen for an option, as a sentence, or ""."""
    if option.words:
        if value in option.words:
            return ""
        return f'"{option.name}" cannot be "{value}"; its words are: {", ".join(option.words)}'
    if option.text:
        return "" if isinstance(value, str) else f'"{option.name}" must be a text'
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and value.strip().isdecimal():
        number = int(value)
    if number is not None and option.least <= number <= option.most:
        return ""
    bounds = f"from {option.least} to {option.most}"
    return f'"{option.name}" must be a whole number {bounds}, not "{value}"'


def _map(sheet: Sheet, name: str, value: Any) -> ValueMap:
    path = ("maps", name)
    table = sheet.table(value, path, MAP_KEYS)
    words = _words(sheet, table.get("words", {}), (*path, "words"), "its meaning")
    ignore_case = table.get("ignore_case", True)
    if not isinstance(ignore_case, bool):
        sheet.slip((*path, "ignore_case"), '"ignore_case" must be true or false')
        ignore_case = True
    unmapped = table.get("unmapped")
    if unmapped is None:
        text = f'the map "{name}" says nothing about words that it does not list: add '
        sheet.missing(path, text + 'unmapped = "hold"')
    elif not isinstance(unmapped, str):
        sheet.slip((*path, "unmapped"), '"unmapped" must be "hold", "skip" or a meaning')
        unmapped = None
    seen: dict[str, str] = {}
    for word in words:
        folded = word.casefold() if ignore_case else word
        if folded in seen:
            text = f'"{seen[folded]}" and "{word}" are the same word here; keep one'
            sheet.slip((*path, "words", word), text)
        seen[folded] = word
    return ValueMap(name, words, unmapped or "hold", ignore_case)


def _words(sheet: Sheet, value: Any, path: tuple[str, ...], right: str) -> Mapping[str, str]:
    if not isinstance(value, dict):
        sheet.slip(path, f'"words" must be a table: the word on the left, {right} on the right')
        return {}
    for word, meaning in value.items():
        if not isinstance(meaning, str):
            sheet.slip((*path, word), f'"{word}" must have {right} in quotes on the right')
    return {word: meaning for word, meaning in value.items() if isinstance(meaning, str)}
