"""The hub's home directory, and its database, which starts while the rest is still read in."""

import os
from pathlib import Path

from truckroll.store.embedded import URL_VARIABLE, Embedded

MARK = "truckroll.home"


def home_directory(given: str = "") -> Path:
    """Return the hub's home: as given, by TRUCKROLL_HOME, or `~/.truckroll`."""
    return Path(given or os.environ.get("TRUCKROLL_HOME", "") or Path.home() / ".truckroll")


def is_home(home: Path) -> bool:
    """Tell whether a directory was made a hub's home."""
    return (home / MARK).exists()


def make_home(home: Path) -> None:
    """Make a directory, private if it is new, a hub's home."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / MARK).touch()


def begin_database(home: Path) -> Embedded | None:
    """Begin to start a home's embedded database and to bring it up to date, and return at once.

    None where it is no home, or TRUCKROLL_DATABASE names another database. Whoever began lets go.
    """
    if os.environ.get(URL_VARIABLE) or not is_home(home):
        return None
    from truckroll.store.open import prepare  # noqa: PLC0415 -- a home is found without

    database = Embedded(home)
    database.begin(prepare)
    return database
