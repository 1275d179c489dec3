"""Pushes in: subscriptions at systems, and what they sent."""

from pathlib import Path

from alembic import op

from truckroll.store.migrations.guard import guarded

revision = "m0006_pushes"
down_revision = "m0005_errands"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and the function that finds whose an address is."""
    run = op.get_bind().exec_driver_sql
    tables, functions = Path(__file__).with_suffix(".sql").read_text("utf-8").split("-- guarded\n")
    run(tables)
    run(guarded("subscription", "push", "push_odd"))
    run(functions)


def downgrade() -> None:
    """Forget subscriptions and pushes; when scopes are due stays."""
    op.get_bind().exec_driver_sql(
        "drop function subscription_at(bytea); drop table push_odd, push, subscription"
    )
