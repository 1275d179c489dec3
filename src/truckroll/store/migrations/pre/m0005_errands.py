"""Errands: what is due and when, leases, the timetable, and the engine in its own schema."""

from importlib.resources import files
from pathlib import Path

from alembic import op

from truckroll.store.migrations.guard import guarded

revision = "m0005_errands"
down_revision = "m0004_unreadable"
branch_labels = None
depends_on = None

_BEFORE = "create schema engine; set local search_path = engine"
_AFTER = """
grant usage on schema engine to truckroll_app;
grant select, insert, update, delete on all tables in schema engine to truckroll_app;
grant usage on all sequences in schema engine to truckroll_app;
set local search_path = truckroll
"""


def upgrade() -> None:
    """Add the tables and functions of the SQL file, and the engine's schema as its library has it.

    The engine's tables are the library's own, of the version that pyproject.toml names: a newer
    one comes with a migration of ours that runs the library's.
    """
    connection = op.get_bind().connection.driver_connection  # the scripts hold no parameters
    assert connection is not None
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    engine = files("procrastinate").joinpath("sql/schema.sql").read_text(encoding="utf-8")
    for part in (script, guarded("lease", "timetable", "spent"), _BEFORE, engine, _AFTER):
        connection.execute(part)


def downgrade() -> None:
    """Take away the engine, the timetable and the leases; nothing runs by itself then."""
    connection = op.get_bind()
    connection.exec_driver_sql("drop schema engine cascade")
    connection.exec_driver_sql("drop table lease, timetable, spent")
    connection.exec_driver_sql(
        "drop function due_work(timestamptz, integer, text[], bigint[], bigint[]), loose_recipes(),"
        " restless(), due_rows(timestamptz, integer), tenants();"
        "drop function fence(text, bigint, bigint);"
        "drop function note_settings() cascade"
    )
    connection.exec_driver_sql(
        "drop policy spanning on scope; drop policy spanning on recipe;"
        "drop policy spanning on link; drop policy spanning on mirror;"
        "drop policy spanning on workspace"
    )
    connection.exec_driver_sql(
        "alter table scope drop due_at, drop poll_seconds, drop asked, drop whole, drop stirred,"
        " drop failures, drop trouble, drop trouble_code, drop emptied, drop tried_at;"
        "alter table recipe drop due_at, drop asked, drop failures, drop trouble, drop settled_at;"
        "alter table workspace drop settings, drop watched;"
        "alter table link drop tries"
    )
