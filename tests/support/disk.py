"""A database in trouble that it really tells: a full or slow disk, locked tables, or gone."""

from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg

_FULL = """
create function truckroll.trouble() returns trigger language plpgsql as $$
begin
  raise exception 'could not extend file "base/1/2": No space left on device'
    using errcode = 'disk_full', hint = 'Check free disk space.';
end $$;
"""
_SLOW = """
create function truckroll.trouble() returns trigger language plpgsql as $$
begin perform pg_sleep(%s); return null; end $$;
"""


@contextmanager
def full(url, *tables):
    """Let what is inserted into tables find no room."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(_FULL)
        for table in tables:
            owner.execute(
                f"create trigger trouble before insert on truckroll.{table}"
                " for each statement execute function truckroll.trouble()"
            )
        try:
            yield
        finally:
            owner.execute("drop function truckroll.trouble() cascade")


@contextmanager
def slow(url, seconds, *tables):
    """Let each commit of what is inserted into tables take so long, as a slow fsync does."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(_SLOW % seconds)
        for table in tables:
            owner.execute(
                f"create constraint trigger trouble after insert on truckroll.{table} deferrable"
                " initially deferred for each row execute function truckroll.trouble()"
            )
        try:
            yield
        finally:
            owner.execute("drop function truckroll.trouble() cascade")


@contextmanager
def locked(url, *tables):
    """Let nobody read or write tables."""
    with psycopg.connect(url) as owner:
        for table in tables:
            owner.execute(f"lock table truckroll.{table} in access exclusive mode")
        yield


@contextmanager
def away(url, server_url):
    """Take the database away: nobody gets in, and who is in is thrown out."""
    name = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"alter database {name} allow_connections false")
        gone = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
        server.execute(gone, [name])
        try:
            yield
        finally:
            server.execute(f"alter database {name} allow_connections true")
