"""Lists in pieces: at most 200 items, and a cursor for what follows."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.exceptions import ClientException
from litestar.params import QueryParameter

T = TypeVar("T")
USUAL = 50
MOST = 200
_LARGEST = 2**53

Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description=f"how many at most ({USUAL})")]
Cursor = Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A piece of a list. `next` is the cursor of the piece that follows, "" for none."""

    items: list[T]
    next: str


def place(cursor: str) -> int | None:
    """Return the number that a cursor stands for, None for ""; raises 400 for no cursor."""
    if not cursor:
        return None
    try:
        number = int(base64.urlsafe_b64decode(cursor.encode()).decode("ascii"))
    except (ValueError, binascii.Error):
        number = -1
    if not 0 < number < _LARGEST or cursor != _cursor(number):
        says = "The cursor is none of this list; begin again without one."
        raise ClientException(says)
    return number


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode()


def piece(items: Sequence[T], cursor: str, limit: int) -> Page[T]:
    """Return a piece of a list that is known whole."""
    begin = place(cursor) or 0
    more = begin + limit < len(items)
    return Page(list(items[begin : begin + limit]), _cursor(begin + limit) if more else "")


def page(items: Sequence[T], limit: int, last: int) -> Page[T]:
    """Return a piece of which `items` has one more if more follows; `last` is its place."""
    return Page(list(items[:limit]), _cursor(last) if len(items) > limit else "")
