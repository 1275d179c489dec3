"""An index of the records that could not be read: few, and looked for in every pass."""

from alembic import op

revision = "m0004_unreadable"
down_revision = "m0003_fold"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index, so that looking for unreadable records does not grow with the rest."""
    op.get_bind().exec_driver_sql(
        "create index record_unreadable on record (tenant, scope) where state = 'unreadable'"
    )


def downgrade() -> None:
    """Take the index away."""
    op.get_bind().exec_driver_sql("drop index record_unreadable")
