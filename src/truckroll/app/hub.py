"""The hub as the use cases see it: its home, its store, its clock, and who acts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from truckroll.app.rights import ALL, Right
from truckroll.store.store import Store


def utc_now() -> datetime:
    """Return the present instant, aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and what they may do at most.

    `way` is how they came: cli or api, and "" for the hub itself, whose acts are no person's.
    `token` is the name of the token that they came with.
    """

    name: str = ""
    way: str = ""
    token: str = ""
    rights: frozenset[Right] = ALL


@dataclass(frozen=True, slots=True)
class Hub:
    """An open hub of one tenant. `home` holds its key and its embedded database."""

    home: Path
    store: Store
    now: Callable[[], datetime] = utc_now
    actor: Actor = Actor()
