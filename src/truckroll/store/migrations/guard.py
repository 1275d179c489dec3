"""What every new table of a tenant needs, so that no migration forgets a part of it."""

from collections.abc import Iterator

_OURS = "nullif(current_setting('truckroll.tenant', true), '')::bigint"


def guarded(*tables: str) -> str:
    """Return the SQL that puts new tables under row-level security and gives them to the app.

    Each has a column `tenant bigint not null`, which the transaction's setting fills in.
    """
    return "".join(part for table in tables for part in _parts(table))


def _parts(table: str) -> Iterator[str]:
    yield f"alter table {table} alter tenant set default {_OURS};"
    yield f"alter table {table} enable row level security;"
    yield f"alter table {table} force row level security;"
    yield f"create policy tenant on {table} using (tenant = {_OURS});"
    yield f"grant select, insert, update, delete on {table} to truckroll_app;"
