"""What processes share of an account: budgets, how it fares, tokens, and whose it is."""

from pathlib import Path

from alembic import op

from truckroll.store.migrations.guard import guarded

revision = "m0009_pace"
down_revision = "m0008_slots"
branch_labels = None
depends_on = None

# A tenant sees and writes the budgets that it shares with others; without a tenant there are none.
_SHARED = """
create policy shared on budget using (
  tenant = 0 and nullif(current_setting('truckroll.tenant', true), '') is not null);
"""


def upgrade() -> None:
    """Make the tables."""
    run = op.get_bind().exec_driver_sql
    run(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    run(guarded("budget", "account_health", "account_event", "oauth_grant"))
    run(_SHARED)


def downgrade() -> None:
    """Drop the tables."""
    run = op.get_bind().exec_driver_sql
    run("drop table budget, account_health, account_event, oauth_grant")
    run("alter table account drop column identity")
