"""A database in trouble that it really tells: no room on its disk, a slow disk, locked tables."""

from contextlib import contextmanager

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
