"""Visits that take longer than two days have an index of their own (see `store.touching`)."""

from alembic import op

revision = "m0016_long"
down_revision = "m0015_selective"
branch_labels = None
depends_on = None

_LONG = """
create index record_long on record (scope, ends, tenant)
where ends - begins > interval '2 days'
"""


def upgrade() -> None:
    """Make it."""
    op.get_bind().exec_driver_sql(_LONG)


def downgrade() -> None:
    """Take it away."""
    op.get_bind().exec_driver_sql("drop index record_long")
