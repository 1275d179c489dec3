"""Collecting slips: a recipe is looked at to its end, and all that is wrong is said at once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from truckroll.recipes.functions import TYPE_WORDS, Function, find, names
from truckroll.recipes.schema import Chosen, Option, Setting, Slip, Use
from truckroll.recipes.values import did_you_mean
from truckroll.recipes.where import Path, Places

Accept = Callable[[Any], str]


class Sheet:
    """A file under inspection: its places, its options, and the slips found so far.

    `partial` says that a line could not be read: it may be the one that seems to be missing.
    """

    def __init__(self, places: Places, *, partial: bool = False) -> None:
        self.places = places
        self.partial = partial
        self.slips: list[Slip] = []
        self.options: dict[str, Option] = {}

    def slip(self, path: Path, text: str, known: Iterable[str] = ()) -> None:
        """Note a slip at a path; the list of known words is said with it."""
        known = tuple(known)
        listed = f": {', '.join(known)}" if known else ""
        self.slips.append(Slip(self.places.line(path), text + listed, known))

    def missing(self, path: Path, text: str, known: Iterable[str] = ()) -> None:
        """Note that something is not there, unless it may stand in a line that was not read."""
        if not self.partial:
            self.slip(path, text, known)

    def table(self, value: Any, path: Path, known: Mapping[str, str]) -> dict[str, Any]:
        """Return a table without its unknown keys, each of which is a slip."""
        if not isinstance(value, dict):
            self.slip(path, f'"{path[-1]}" must be a table with its own keys', known)
            return {}
        for key in value.keys() - known.keys():
            meant = did_you_mean(key, known)
            text = f'"{key}" is not a word here{meant or ", known are"}'
            self.slip((*path, key), text, () if meant else known)
        return {key: item for key, item in value.items() if key in known}

    def tables(self, value: Any, path: Path) -> dict[str, Any]:
        """Return a table of named tables."""
        if isinstance(value, dict):
            return value
        self.slip(path, f'"{path[-1]}" must be tables with names: write [{path[-1]}.name]')
        return {}

    def text(self, table: Mapping[str, Any], path: Path, key: str, *, need: bool = True) -> str:
        """Return a text of a table, or ""."""
        value = table.get(key, "" if not need else None)
        if value is None:
            self.missing(path, f'"{key}" is missing')
        elif not isinstance(value, str) or (need and not value.strip()):
            self.slip((*path, key), f'"{key}" must be a text in quotes')
        else:
            return value
        return ""

    def setting(self, value: Any, path: Path, accept: Accept) -> Setting:
        """Return a setting; every value that a choice can give it must be accepted."""
        if isinstance(value, dict):
            return self._choice(value, path, accept)
        if isinstance(value, list):
            value = tuple(value)
        if wrong := accept(value):
            self.slip(path, wrong)
        return value  # type: ignore[no-any-return]  # accepted, or the recipe is refused

    def _choice(self, value: dict[str, Any], path: Path, accept: Accept) -> Setting:
        name = value.get("option")
        if not isinstance(name, str):
            self.slip(path, 'a setting that can be chosen is written { option = "name" }')
            return ""
        option = self.options.get(name)
        if option is None:
            meant = did_you_mean(name, self.options)
            self.slip(path, f'there is no option "{name}"{meant}', () if meant else self.options)
            return ""
        by = {word: item for word, item in value.items() if word != "option"}
        if not by:
            samples = option.words or ("any text" if option.text else option.least,)
            for sample in samples:
                wrong = accept(sample)
                # A text can be chosen where a list is wanted: it is taken apart at its commas.
                if wrong and not (option.text and not accept((str(sample),))):
                    self.slip(path, f'the option "{name}" does not fit: {wrong}')
            return Chosen(name)
        for word in by.keys() - option.words.keys():
            self.slip((*path, word), f'"{word}" is no word of the option "{name}"', option.words)
        for word in option.words.keys() - by.keys():
            self.slip(path, f'nothing is said for the word "{word}" of the option "{name}"')
        return Chosen(name, {w: self.setting(v, (*path, w), accept) for w, v in by.items()})

    def uses(self, sort: str, value: Any, path: Path) -> list[tuple[Use, Function]]:
        """Return the gates or transforms of a list: each a name, or a table with settings."""
        if not isinstance(value, list):
            self.slip(path, f'"{path[-1]}" must be a list of {sort}s in brackets')
            return []
        found = (self._use(sort, item, (*path, index)) for index, item in enumerate(value))
        return [one for one in found if one]

    def _use(self, sort: str, item: Any, path: Path) -> tuple[Use, Function] | None:
        given = dict(item) if isinstance(item, dict) else {sort: item}
        name = given.pop(sort, None)
        if not isinstance(name, str):
            self.slip(path, f'a {sort} is a name in quotes, or {{ {sort} = "name", … }}')
            return None
        function = find(sort, name)
        if isinstance(function, str):
            meant = did_you_mean(name, names(sort))
            self.slip(path, function + (meant or "; there are"), () if meant else names(sort))
            return None
        for key in given.keys() - function.settings.keys():
            meant = did_you_mean(key, function.settings)
            text = f'"{key}" is no setting of the {sort} "{name}"'
            self.slip(path, text + meant, () if meant else function.settings)
        for key, (_, needed) in function.settings.items():
            if needed and key not in given:
                self.slip(path, f'the {sort} "{name}" needs the setting "{key}"')
        settings = {
            key: self.setting(value, path, of_type(key, function.settings[key][0]))
            for key, value in given.items()
            if key in function.settings
        }
        return Use(name, function.call, settings), function


def one_of(key: str, words: Iterable[str]) -> Accept:
    """Accept one of some words."""
    words = tuple(words)

    def accept(value: Any) -> str:
        if value in words:
            return ""
        meant = did_you_mean(value, words) if isinstance(value, str) else ""
        shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
        listed = ", ".join(words)
        return f'"{key}" cannot be {shown}' + (meant or f"; it can be: {listed}")

    return accept


def of_type(key: str, kind: type) -> Accept:
    """Accept a value of a type; a whole number is never negative, a list has texts only."""

    def accept(value: Any) -> str:
        if kind is tuple:
            right = isinstance(value, tuple) and all(isinstance(one, str) for one in value)
        elif kind is int:
            right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        else:
            right = isinstance(value, kind)
        return "" if right else f'"{key}" must be {TYPE_WORDS[kind]}'

    return accept
