"""The hub's home directory."""

import os
from pathlib import Path

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
