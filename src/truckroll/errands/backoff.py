"""When something that failed is tried again. Pure."""

from __future__ import annotations

from datetime import timedelta

FIRST = timedelta(seconds=30)
LONGEST = timedelta(minutes=30)
_DOUBLINGS = 10


def backoff(
    failures: int,
    chance: float,
    *,
    asked: timedelta | None = None,
    first: timedelta = FIRST,
    longest: timedelta = LONGEST,
) -> timedelta:
    """Return how long to wait after so many failures in a row (1 or more).

    It doubles up to `longest`, and up to a fifth of it is left to `chance` (in [0, 1)), so that
    those who failed together do not come back together. What the system `asked` for is the least.
    """
    wait: timedelta = min(longest, first * 2 ** min(failures - 1, _DOUBLINGS))
    wait += wait * (chance / 5)
    return max(wait, asked) if asked is not None else wait
