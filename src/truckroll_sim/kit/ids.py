"""Identifiers that look random and are not: the same calls give the same ids."""

import hashlib
from collections import Counter

_BASE32HEX = "0123456789abcdefghijklmnopqrstuv"


class Ids:
    """Identifiers from one counter per purpose, under a seed."""

    def __init__(self, seed: str = "truckroll") -> None:
        self._seed = seed
        self._used: Counter[str] = Counter()

    def number(self, purpose: str, first: int = 1) -> int:
        """Return the next whole number for a purpose: `first`, `first` + 1 and so on."""
        self._used[purpose] += 1
        return first + self._used[purpose] - 1

    def word(self, purpose: str, length: int = 26, alphabet: str = _BASE32HEX) -> str:
        """Return the next word for a purpose, of so many letters of the alphabet."""
        text = f"{self._seed}/{purpose}/{self.number(f'word/{purpose}')}"
        value = int.from_bytes(hashlib.shake_256(text.encode()).digest(length))
        letters = []
        for _ in range(length):
            value, rest = divmod(value, len(alphabet))
            letters.append(alphabet[rest])
        return "".join(letters)

    def hex(self, purpose: str, length: int = 32) -> str:
        """Return the next word for a purpose in lower-case hexadecimal digits."""
        return self.word(purpose, length, "0123456789abcdef")
