"""Who sends what is refused over and over is not listened to for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable

PER_SECOND, AT_ONCE = 5.0, 100.0
MOST_SOURCES = 10_000

_Key = tuple[str, str]


class Unwelcome:
    """Counts what was refused, by the address that sent it and the end that it was sent to.

    So nobody who sends garbage to one end of a hub keeps the pushes for another away, not even
    behind the same proxy. What is not known is one end. At most MOST_SOURCES are remembered, the
    latest; `clock` gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[_Key, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def is_full(self, source: str, end: str) -> bool:
        """Tell whether a source sent so much that was refused that it is not listened to."""
        return self._count((source, end)) >= AT_ONCE

    def add(self, source: str, end: str) -> None:
        """Note that something of a source was refused."""
        key = (source, end)
        self._counts[key] = self._count(key) + 1, self._clock()
        self._counts.move_to_end(key)
        if len(self._counts) > MOST_SOURCES:
            self._counts.popitem(last=False)

    def _count(self, key: _Key) -> float:
        """Return how much was refused lately: it is forgotten at PER_SECOND."""
        count, at = self._counts.get(key, (0.0, 0.0))
        return max(0.0, count - (self._clock() - at) * PER_SECOND)
