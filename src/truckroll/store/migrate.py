"""Bring a database's tables to the present version, as their owner."""

from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import errors

from truckroll.store.trouble import DatabaseTrouble

if TYPE_CHECKING:
    from psycopg import Connection
    from sqlalchemy import Connection as EngineConnection

SCHEMA = "truckroll"
BEFORE = f"{SCHEMA}_before_restore"  # holds what was there while a restore is at work
APP_ROLE = "truckroll_app"
_PLACE = Path(__file__).parent / "migrations"
# What new code needs and old code does not mind comes before it (pre, m0001 …); what old code
# could not bear, once none of it runs (post, p0001 …). Each branch is a chain of its own.
_BRANCHES = {"pre": "m", "post": "p"}
_ONE_AT_A_TIME = 0x7472_7563_6B72_6F6C  # the advisory lock's number: "truckrol"


def current() -> frozenset[str]:
    """Return the version that this code needs before it can work: the last file of *pre*."""
    return frozenset(_versions("pre")[-1:])


def fits(present: frozenset[str]) -> bool:
    """Tell whether this code can work on tables of these versions.

    Tables that newer code has made ready for itself (pre) fit: they lack nothing of ours. Raises
    DatabaseTrouble where newer code has taken away what ours needs (post).
    """
    ours = set(_versions("post"))
    if beyond := sorted(one for one in present if one.startswith("p") and one not in ours):
        raise DatabaseTrouble(
            f"The database was made ready for a newer version of Truckroll alone ({beyond[0]})."
            " Install that version, or restore a backup from before the upgrade."
        )
    (need,) = current()
    return any(one.startswith("m") and one >= need for one in present)


def _versions(branch: str) -> list[str]:
    letter = _BRANCHES[branch]
    return sorted(one.stem for one in (_PLACE / branch).glob(f"{letter}[0-9]*.py"))


def migrate(url: str, *, finish: bool = False) -> None:
    """Make or bring up to date the schema of the database at `url`. Blocks.

    Code of the version before works on, beside ours, until `finish` takes away what it needed.
    Processes that do this at once wait for each other. Raises DatabaseTrouble where the
    connection's role may not do it.
    """
    import psycopg  # noqa: PLC0415 -- a current database needs none of this
    import sqlalchemy  # noqa: PLC0415 -- the same

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", [_ONE_AT_A_TIME])
        try:
            _refuse_half_restored(connection)
            make_role(connection)
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
            _upgrade(bound, _versions("pre")[-1:] + (_versions("post")[-1:] if finish else []))


def _own(url: str) -> "Connection[tuple[object, ...]]":
    import psycopg  # noqa: PLC0415 -- see migrate

    return psycopg.connect(url, options=f"-c search_path={SCHEMA}")


def make_role(connection: "Connection[tuple[object, ...]]") -> None:
    """Make the application's role where there is none, and let the present role take it on."""
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


def _refuse_half_restored(connection: "Connection[tuple[object, ...]]") -> None:
    question = "select to_regnamespace(%s) is null and to_regnamespace(%s) is not null"
    row = connection.execute(question, [SCHEMA, BEFORE]).fetchone()
    if row is not None and row[0]:
        raise DatabaseTrouble(
            "A restore of the database was cut off in its middle; what was there before is kept."
            " Run  truckroll restore FILE  again."
        )


def _upgrade(connection: "EngineConnection", versions: list[str]) -> None:
    from alembic import command  # noqa: PLC0415 -- takes a second to import, seldom needed
    from alembic.config import Config  # noqa: PLC0415 -- the same

    config = Config()
    config.set_main_option("script_location", str(_PLACE))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(_PLACE / name) for name in _BRANCHES))
    config.attributes["connection"] = connection
    for version in versions:
        command.upgrade(config, version)
