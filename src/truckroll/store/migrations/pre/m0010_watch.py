"""Freshness, calls, alerts and outgoing webhooks, in the SQL file of the same name."""

from pathlib import Path

from alembic import op

from truckroll.store.migrations.guard import guarded

revision = "m0010_watch"
down_revision = "m0009_pace"
branch_labels = None
depends_on = None

_TABLES = (
    *("scope_watch", "account_watch", "call_tally"),
    *("alert", "alert_silence", "alert_channel", "alert_message"),
    *("webhook_endpoint", "webhook_event", "webhook_delivery"),
)
_FUNCTIONS = (
    *("watched_tenants", "tenants_to_tell"),
    *("tell_step", "tell_hold", "tell_conflict", "tell_run", "tell_alert", "tell_event"),
)


def upgrade() -> None:
    """Make the tables, the triggers that write events, and the look across tenants."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    tables, spanning = script.split("-- After the guard.\n")
    connection = op.get_bind()
    connection.exec_driver_sql(tables)
    connection.exec_driver_sql(guarded(*_TABLES))
    connection.exec_driver_sql(spanning)


def downgrade() -> None:
    """Drop what was made; the journal stays."""
    drops = [
        *(f"drop function {name} cascade" for name in _FUNCTIONS),
        "drop policy watch_owner on workspace",
        *(f"drop table {table} cascade" for table in _TABLES),
    ]
    op.get_bind().exec_driver_sql("; ".join(drops))
