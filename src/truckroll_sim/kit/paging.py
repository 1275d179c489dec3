"""Pages by number and by key, and cursors that a client cannot read."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some of the items; `more` says whether others follow."""

    items: list[Item]
    more: bool


def numbered(items: Sequence[Item], page: int, size: int) -> Page[Item]:
    """Return a page by its number, counted from 1."""
    begin = (page - 1) * size
    return Page(list(items[begin : begin + size]), begin + size < len(items))


def keyed(
    items: Sequence[Item], after: Any | None, size: int, key: Callable[[Item], Any]
) -> Page[Item]:
    """Return the items that follow the key `after` in key order, None meaning from the start.

    What changes between two pages shows up where its key now stands, as with a live server.
    """
    left = sorted(items, key=key)
    if after is not None:
        left = [item for item in left if key(item) > after]
    return Page(left[:size], len(left) > size)


def seal(value: Any) -> str:
    """Return a JSON value as an opaque word, fit for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")


def unseal(word: str) -> Any:
    """Return what was sealed. Raises ValueError if the word was never made by `seal`."""
    try:
        raw = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw)
    except ValueError as slip:
        raise ValueError("this word was not sealed here") from slip
