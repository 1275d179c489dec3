"""Bring a database's tables to the present version, as their owner."""

from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import errors

from truckroll.store.trouble import DatabaseTrouble

if TYPE_CHECKING:
    from psycopg import Connection
    from sqlalchemy import Connection as EngineConnection

SCHEMA = "truckroll"
APP_ROLE = "truckroll_app"
_PLACE = Path(__file__).parent / "migrations"
_BRANCHES = ("pre", "post")
_ONE_AT_A_TIME = 0x7472_7563_6B72_6F6C  # the advisory lock's number: "truckrol"


def current() -> frozenset[str]:
    """Return the versions that this code needs: the last file of each branch."""
    files = (sorted(one.stem for one in (_PLACE / name).glob("m[0-9]*.py")) for name in _BRANCHES)
    return frozenset(names[-1] for names in files if names)


def migrate(url: str) -> None:
    """Make or bring up to date the schema of the database at `url`. Blocks.

    Processes that do this at once wait for each other. Raises DatabaseTrouble where the
    connection's role may not do it.
    """
    import psycopg  # noqa: PLC0415 -- a current database needs none of this
    import sqlalchemy  # noqa: PLC0415 -- the same

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", [_ONE_AT_A_TIME])
        try:
            _make_role(connection)
            connection.execute(f"create schema if not exists {SCHEMA}")
        except errors.InsufficientPrivilege as error:
            raise DatabaseTrouble(
                "The database's user may not set up Truckroll's tables:"
                f" {error.diag.message_primary}. Let its administrator run: create role"
                f" {APP_ROLE}; grant {APP_ROLE} to <user>; grant create on database <database>"
                " to <user>."
            ) from error
        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", poolclass=sqlalchemy.NullPool, creator=lambda: _own(url)
        )
        with engine.begin() as bound:
            _upgrade(bound)


def _own(url: str) -> "Connection[tuple[object, ...]]":
    import psycopg  # noqa: PLC0415 -- see migrate

    return psycopg.connect(url, options=f"-c search_path={SCHEMA}")


def _make_role(connection: "Connection[tuple[object, ...]]") -> None:
    known = "select from pg_roles where rolname = %s"
    if connection.execute(known, [APP_ROLE]).fetchone() is None:
        try:
            connection.execute(
                f"create role {APP_ROLE} nologin nosuperuser nobypassrls nocreatedb nocreaterole"
            )
        except errors.DuplicateObject:  # made for another database of this server meanwhile
            return
    member = "select pg_has_role(current_user, %s, 'member')"
    row = connection.execute(member, [APP_ROLE]).fetchone()
    if row is None or not row[0]:
        connection.execute(f"grant {APP_ROLE} to current_user")


def _upgrade(connection: "EngineConnection") -> None:
    from alembic import command  # noqa: PLC0415 -- takes a second to import, seldom needed
    from alembic.config import Config  # noqa: PLC0415 -- the same

    config = Config()
    config.set_main_option("script_location", str(_PLACE))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(_PLACE / name) for name in _BRANCHES))
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")
