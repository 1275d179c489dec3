"""The database as a file, and back: PostgreSQL's own dump, taken and read by the wheel's programs.

The dump holds every table of the hub. Sign-ins are in it as they stand in the database: sealed.
The key that opens them stands in the home and is never in it.
"""

import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from truckroll.store.binaries import Binaries, find_binaries, server_account
from truckroll.store.migrate import BEFORE, SCHEMA, make_role, migrate
from truckroll.store.trouble import DatabaseTrouble

_OTHERS = """
select count(*) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
_TABLES = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname = any(%s) order by 1, 2
"""
_BOUND = """
select not (r.rolsuper or r.rolbypassrls) and exists (
  select from pg_class c where c.relnamespace = to_regnamespace(%s) and c.relforcerowsecurity)
from pg_roles r where r.rolname = current_user
"""
_KEYS = "select distinct key_id from truckroll.account where key_id is not null order by 1"
# What a script says at its head that servers before PostgreSQL 17 refuse.
_NEWER = {b"SET transaction_timeout = 0;\n"}
_HEAD_LINES = 40

Connection = psycopg.Connection[tuple[object, ...]]


def dump(url: str, file: Path, *, schema: str | None = SCHEMA) -> int:
    """Write the database at `url` to a file (mode 0600), whole or not at all; return its bytes.

    `schema` None takes all schemas. Other processes may go on meanwhile: it is the state of one
    instant. Raises DatabaseTrouble.
    """
    with _connected(url) as connection:
        row = connection.execute(_BOUND, [SCHEMA]).fetchone()
    if row is None or row[0]:
        raise DatabaseTrouble(
            "The database's user may not read every tenant's records, so no backup was made. Set"
            " TRUCKROLL_DATABASE to the address of a user with bypassrls for this command."
        )
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    parts = ("--schema", schema) if schema else ()
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _dump_program(url, "--format=custom", "--no-owner", "--file", str(draft), *parts)
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(file)
    except OSError as error:
        raise DatabaseTrouble(
            f"The backup could not be written to {file}: {error.strerror}. Choose another place."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return file.stat().st_size


def restore(url: str, file: Path, *, replace: bool) -> None:
    """Put a dump in the place of the hub's tables in the database at `url`.

    They are brought up to date. What was there is kept until the dump is in, and put back where
    that fails. Every scope forgets its cursor: the next pass reads all systems whole before it
    plans anything. Raises DatabaseTrouble: where others are at work there, or something is there
    and `replace` is False.
    """
    _refuse_unreadable(file)
    with _connected(url) as connection:
        _refuse_company(connection)
        if _in_use(connection) and not replace:
            raise DatabaseTrouble(
                "This hub has accounts and records of its own, so nothing was restored. If the"
                " backup shall take their place, add  --replace"
            )
        make_role(connection)
        with _set_aside(connection):
            load(url, file)
            _refuse_foreign(connection, file)
            forget_cursors(connection)
    migrate(url)


def load(url: str, file: Path) -> None:
    """Read a dump into the database at `url`, whole or not at all. Raises DatabaseTrouble.

    The server may be older than the programs: what its version does not know yet is left out.
    """
    programs = _programs().programs
    reader = [str(programs / "pg_restore"), "--no-owner", "--file=-", str(file)]
    address, environment = _address(url)
    quiet = ("--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1")
    writer = [str(programs / "psql"), *quiet, *address]
    with (
        tempfile.TemporaryFile() as unread,
        tempfile.TemporaryFile() as unwritten,
        _program(reader, environment, stdout=subprocess.PIPE, stderr=unread) as read,
        _program(writer, environment, stdin=subprocess.PIPE, stderr=unwritten) as written,
    ):
        assert read.stdout is not None
        assert written.stdin is not None
        with suppress(BrokenPipeError):
            written.stdin.write(b"begin;\n")
            for line in itertools.islice(read.stdout, _HEAD_LINES):
                if line not in _NEWER:
                    written.stdin.write(line)
            shutil.copyfileobj(read.stdout, written.stdin)
            read.stdout.close()
            if read.wait() == 0:  # a script that broke off ends without being committed
                written.stdin.write(b"commit;\n")
        with suppress(BrokenPipeError):
            written.stdin.close()
        read.stdout.close()
        if written.wait() or read.wait():
            told = unwritten if written.returncode else unread
            told.seek(0)
            said = told.read().decode(errors="replace")
            raise _failed("restored", said, written.returncode or read.returncode)


def counts(url: str, schemas: Sequence[str] = (SCHEMA,)) -> Mapping[str, int]:
    """Return the number of rows of every table of these schemas, by its name with its schema."""
    found = {}
    with _connected(url) as connection:
        for schema, table in connection.execute(_TABLES, [list(schemas)]).fetchall():
            name = sql.Identifier(str(schema), str(table))
            row = connection.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
            assert row is not None
            found[f"{schema}.{table}"] = int(str(row[0]))
    return found


def keys_used(url: str) -> list[str]:
    """Return the ids of the secret keys with which sign-ins are sealed, of all tenants."""
    with _connected(url) as connection, unbound(connection, "account"):
        return [str(row[0]) for row in connection.execute(_KEYS).fetchall()]


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    try:
        connection = psycopg.connect(url, autocommit=True)
    except psycopg.OperationalError as error:
        raise DatabaseTrouble(f"The database does not answer: {str(error).strip()}.") from error
    with connection:
        yield connection


@contextmanager
def unbound(connection: Connection, table: str) -> Iterator[None]:
    """Let the tables' owner see the rows of all tenants, inside one transaction."""
    name = sql.Identifier(SCHEMA, table)
    with connection.transaction():
        connection.execute(sql.SQL("alter table {} no force row level security").format(name))
        yield
        connection.execute(sql.SQL("alter table {} force row level security").format(name))


def forget_cursors(connection: Connection) -> None:
    """Let every scope of all tenants be read whole before it is planned for.

    What is stored is older than the world. The connection is the tables' owner's.
    """
    with unbound(connection, "scope"):
        connection.execute(
            "update truckroll.scope set cursor = null, complete_at = null,"
            " due_at = case when due_at is not null then least(due_at, now()) end"
        )


def _in_use(connection: Connection) -> bool:
    if not _there(connection, SCHEMA):
        return False
    with unbound(connection, "account"):
        row = connection.execute("select exists (select from truckroll.account)").fetchone()
    return bool(row and row[0])


def _there(connection: Connection, schema: str) -> bool:
    row = connection.execute("select to_regnamespace(%s) is not null", [schema]).fetchone()
    return bool(row and row[0])


def _refuse_company(connection: Connection) -> None:
    row = connection.execute(_OTHERS).fetchone()
    if row is None or row[0]:
        raise DatabaseTrouble(
            "Something else works on the hub's database, so nothing was restored. Stop all that"
            " runs on it (truckroll up, apply --every) and try again."
        )


def _refuse_unreadable(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            begins = opened.read(5)
    except OSError as error:
        raise DatabaseTrouble(
            f"The backup {file} cannot be read: {error.strerror}. Nothing was changed."
        ) from error
    if begins != b"PGDMP":
        raise DatabaseTrouble(
            f"{file} is no backup that  truckroll backup  made. Nothing was changed."
        )


def _refuse_foreign(connection: Connection, file: Path) -> None:
    if not _there(connection, SCHEMA):
        raise DatabaseTrouble(f"{file} holds no hub's tables. Nothing was changed.")


@contextmanager
def _set_aside(connection: Connection) -> Iterator[None]:
    """Keep the tables that are there under another name until what takes their place is in."""
    old, new = sql.Identifier(BEFORE), sql.Identifier(SCHEMA)
    rename = sql.SQL("alter schema {} rename to {}")
    drop = sql.SQL("drop schema if exists {} cascade")
    there = _there(connection, SCHEMA)
    if there:
        connection.execute(drop.format(old))  # of a restore that was killed when it was done
        connection.execute(rename.format(new, old))
    there = there or _there(connection, BEFORE)  # or in its middle
    try:
        yield
    except BaseException:
        with connection.transaction():
            connection.execute(drop.format(new))
            if there:
                connection.execute(rename.format(old, new))
        raise
    connection.execute(drop.format(old))


def _dump_program(url: str, *words: str) -> None:
    """Run the wheel's pg_dump on a database."""
    address, environment = _address(url)
    command = [str(_programs().programs / "pg_dump"), *address, *words]
    with _program(command, environment, stderr=subprocess.PIPE) as ran:
        _, said = ran.communicate()
    if ran.returncode:
        raise _failed("saved", said.decode(errors="replace"), ran.returncode)


def _address(url: str) -> tuple[list[str], dict[str, str]]:
    """Return the words and the environment that lead a program to a database.

    The password is in no process list.
    """
    known = conninfo_to_dict(url)
    password = known.pop("password", None)
    environment = {**os.environ, "LC_ALL": "C"}
    if password:
        environment["PGPASSWORD"] = str(password)
    plain = {name: str(value) for name, value in known.items() if value is not None}
    return ["--no-password", "--dbname", make_conninfo("", **plain)], environment


def _program(
    command: list[str], environment: Mapping[str, str], **streams: Any
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environment, **streams)  # noqa: S603 -- the wheel's own program, arguments are ours


def _failed(what: str, said: str, code: int) -> DatabaseTrouble:
    lines = said.strip().splitlines()
    why = lines[0] if lines else "its program said nothing"
    return DatabaseTrouble(f"The database could not be {what}: {why} (exit code {code}).")


def _programs() -> Binaries:
    """Return the newest programs: they read the dumps and servers of every older version."""
    return find_binaries(server_account())
