"""The hub as the use cases see it: its home, its store, its clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from truckroll.store.store import Store


def utc_now() -> datetime:
    """Return the present instant, aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Hub:
    """An open hub. `home` is the directory that holds its key and its embedded database."""

    home: Path
    store: Store
    now: Callable[[], datetime] = utc_now
