"""How systems store what they are sent: named normalisations.

`stored(how, value)` is the form in which a system keeps a value. A reply that differs from what
was sent is accepted only if a normalisation named here explains it.
"""

import re
import unicodedata
from collections.abc import Callable

import msgspec

from truckroll.model.records import Address, Value, same


class Stored(msgspec.Struct, frozen=True):
    """How a system stores one field: the declared normalisations, applied in this order.

    `limit` cuts a text after so many characters. `as_text` keeps of an address or contact only
    its one-line text. `html` keeps a text of HTML only. `plain` drops HTML to text.
    `minutes` rounds times down to whole minutes.
    """

    limit: int | None = None
    trim: bool = False
    as_text: bool = False
    plain: bool = False
    lower: bool = False
    no_emoji: bool = False
    minutes: bool = False

    @property
    def lossy(self) -> bool:
        """Whether some value does not survive being stored."""
        return self != LOSSLESS


LOSSLESS = Stored()


def stored(how: Stored, value: Value) -> Value:
    """Return the form in which a system that stores like `how` keeps `value`."""
    raise NotImplementedError  # written by the kit slice


def explains(sent: Value, back: Value) -> str | None:
    """Return the name of the normalisation that turns `sent` into `back`, or None.

    Equal values are explained by "same".
    """
    raise NotImplementedError
