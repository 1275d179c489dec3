"""Data of another major version of PostgreSQL, moved into the installed one and compared."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from truckroll.store.backup import counts, dump, load
from truckroll.store.binaries import find_older
from truckroll.store.embedded import Embedded
from truckroll.store.server import Server
from truckroll.store.trouble import DatabaseTrouble

_ROLES = "select rolname from pg_roles where rolname !~ '^pg_' and not rolsuper"
_SCHEMAS = """
select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
"""


class Upgraded(NamedTuple):
    """What was moved: between which majors, how much, and where the old data are kept."""

    old: int
    new: int
    tables: int
    rows: int
    kept: Path


def upgrade(home: Path, programs: Path | None = None, *, durable: bool = True) -> Upgraded | None:
    """Move a home's data into the installed PostgreSQL; None where none are of another one.

    `programs` is the directory of the old version's programs, where they are not found by
    themselves. The new data take their place when they are whole and every table has as many
    rows; the old ones are kept beside them. Raises DatabaseTrouble; then all is as it was.
    """
    with Embedded(home, durable=durable).alone() as installed:
        majors = installed.other_majors()
        if not majors or (installed.data / "PG_VERSION").exists():
            return None
        account, new = installed.account, installed.binaries
        before = Server(home, account, find_older(account, majors[-1], programs), durable=durable)
        after = Server(home, account, new, durable=durable, data=f"{installed.data.name}.upgrade")
        told = _moved(before, after)
        after.data.rename(installed.data)
        kept = before.data.rename(before.data.with_name(f"{before.data.name}.kept"))
        return Upgraded(majors[-1], new.major, len(told), sum(told.values()), kept)


def _moved(before: Server, after: Server) -> Mapping[str, int]:
    """Fill `after` with what `before` has; return how many rows each table has in both.

    The newer programs take the dump: PostgreSQL's own advice (its manual, pg_dump).
    """
    draft = before.home / "upgrade.dump"
    try:
        with _running(before) as url:
            told, roles = _counted(url), _roles(url)
            dump(url, draft, schema=None)
        after.erase_data()
        after.make_cluster()
        with _running(after) as url:
            _make_roles(url, roles)
            load(url, draft)
            came = _counted(url)
    finally:
        draft.unlink(missing_ok=True)
    if came != told:
        names = sorted(name for name in {*told, *came} if told.get(name) != came.get(name))
        raise DatabaseTrouble(
            f"After the move the tables {', '.join(names)} have other numbers of rows than before,"
            " so the old data stay in use. Please report this."
        )
    return told


@contextmanager
def _running(server: Server) -> Iterator[str]:
    server.ensure_running()
    try:
        yield server.url()
    finally:
        server.stop()


def _counted(url: str) -> Mapping[str, int]:
    with psycopg.connect(url) as connection:
        schemas = [str(row[0]) for row in connection.execute(_SCHEMAS).fetchall()]
    return counts(url, schemas)


def _roles(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [str(row[0]) for row in connection.execute(_ROLES).fetchall()]


def _make_roles(url: str, roles: list[str]) -> None:
    """Make the roles that the dump gives rights to; they may not sign in by themselves."""
    with psycopg.connect(url) as connection:
        for role in roles:
            connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
