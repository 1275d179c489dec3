"""Backup, restore and upgrade of a hub's database."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.home import is_home, make_home
from truckroll.app.hub import utc_now
from truckroll.app.trouble import TroubleError
from truckroll.store import backup, upgrade
from truckroll.store.embedded import URL_VARIABLE, Embedded
from truckroll.store.migrate import migrate
from truckroll.store.secret import load_keyring
from truckroll.store.trouble import DatabaseTrouble
from truckroll.store.zones import take_instants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NOTE = "backed-up"


class BackupView(msgspec.Struct, frozen=True, kw_only=True):
    """What was saved: the file, its size in bytes, and where the key is that is not in it."""

    file: str
    size: int
    key: str


class RestoreView(msgspec.Struct, frozen=True, kw_only=True):
    """What was restored. `lost_keys` are keys of sign-ins that this home does not have."""

    file: str
    rows: int
    lost_keys: list[str]


class UpgradeView(msgspec.Struct, frozen=True, kw_only=True):
    """What was moved between majors of PostgreSQL (`old` is 0 where nothing was to be moved).

    `moved_visits` keep their time of day and begin at another instant by a newer tz database.
    """

    old: int = 0
    new: int = 0
    tables: int = 0
    rows: int = 0
    kept: str = ""
    moved_visits: int = 0


def save(home: Path, file: Path, *, now: datetime) -> BackupView:
    """Save a hub's database in a file. The hub may go on meanwhile. Raises TroubleError."""
    if file.is_dir():
        raise TroubleError(f"{file} is a directory; say the name of the file", usage=True)
    with _held(home) as url:
        size = backup.dump(url, file)
    (home / _NOTE).write_text(now.isoformat(), encoding="utf-8")
    return BackupView(file=str(file), size=size, key=str(home / "secret.key"))


def last_saved(home: Path) -> datetime | None:
    """Return when the hub was last backed up, None where it never was."""
    try:
        return datetime.fromisoformat((home / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def restore(home: Path, file: Path, *, replace: bool) -> RestoreView:
    """Put a backup in the place of a hub's database; makes the home if there is none.

    The next pass reads every system whole before it plans. Raises TroubleError.
    """
    make_home(home)
    with _held(home) as url:
        backup.restore(url, file, replace=replace)
        rows = sum(backup.counts(url).values())
        lost = [one for one in backup.keys_used(url) if not load_keyring(home).knows(one)]
    return RestoreView(file=str(file), rows=rows, lost_keys=lost)


def bring_up(home: Path, programs: Path | None, *, finish: bool) -> UpgradeView:
    """Move the data of another major of PostgreSQL, and make the tables fit this version.

    `finish` takes away what the version before needed, which then cannot work here any more.
    Raises TroubleError.
    """
    if not is_home(home):
        raise TroubleError(
            f"{home} is not a hub's home yet; make it one:  truckroll init", usage=True
        )
    moved = None
    try:
        if not os.environ.get(URL_VARIABLE):
            moved = upgrade.upgrade(home, programs)
    except DatabaseTrouble as error:
        raise TroubleError(error.says) from error
    with _held(home) as url:
        migrate(url, finish=finish)
        moved_visits = take_instants(url, now=utc_now())
    if moved is None:
        return UpgradeView(moved_visits=moved_visits)
    return UpgradeView(
        old=moved.old,
        new=moved.new,
        tables=moved.tables,
        rows=moved.rows,
        kept=str(moved.kept),
        moved_visits=moved_visits,
    )


@contextmanager
def _held(home: Path) -> Iterator[str]:
    """Give the address of a home's database for its owner; what is wrong there is told."""
    try:
        if url := os.environ.get(URL_VARIABLE):
            yield url
            return
        if not is_home(home):
            raise TroubleError(
                f"{home} is not a hub's home yet; make it one:  truckroll init", usage=True
            )
        held = Embedded(home)
        try:
            yield held.hold()
        finally:
            held.let_go()
    except DatabaseTrouble as error:
        raise TroubleError(error.says) from error
