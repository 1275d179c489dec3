"""The journal is kept for so many days, which each tenant may say."""

from alembic import op

revision = "m0014_kept"
down_revision = "m0013_loose"
branch_labels = None
depends_on = None

_KEPT = """
alter table workspace
  add journal_days integer not null default 400 check (journal_days between 30 and 36500),
  add forgotten bigint not null default 0;
"""


def upgrade() -> None:
    """Keep it for 400 days; `forgotten` is up to which line of a story was looked through."""
    op.get_bind().exec_driver_sql(_KEPT)


def downgrade() -> None:
    """Keep it for ever again."""
    op.get_bind().exec_driver_sql(
        "alter table workspace drop column journal_days, drop column forgotten"
    )
