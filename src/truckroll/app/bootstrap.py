"""The only place that wires: home directory, database and store become a hub."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from truckroll.app.hub import Hub
from truckroll.app.trouble import TroubleError
from truckroll.store.open import open_home
from truckroll.store.trouble import DatabaseTrouble

MARK = "truckroll.home"


def home_directory(given: str = "") -> Path:
    """Return the hub's home: as given, by TRUCKROLL_HOME, or `~/.truckroll`."""
    return Path(given or os.environ.get("TRUCKROLL_HOME", "") or Path.home() / ".truckroll")


def is_home(home: Path) -> bool:
    """Tell whether a directory was made a hub's home."""
    return (home / MARK).exists()


def _make_home(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / MARK).touch()


@asynccontextmanager
async def open_hub(home: Path, *, make: bool = False) -> AsyncIterator[Hub]:
    """Open a hub, and its embedded database where TRUCKROLL_DATABASE names no other.

    `make` makes a home of the directory; else it must be one. Raises TroubleError.
    """
    if make:
        _make_home(home)
    elif not is_home(home):
        raise TroubleError(
            f"{home} is not a hub's home yet; make it one:  truckroll init", usage=True
        )
    try:
        async with open_home(home) as store:
            yield Hub(home=home, store=store)
    except DatabaseTrouble as error:
        raise TroubleError(str(error)) from error
