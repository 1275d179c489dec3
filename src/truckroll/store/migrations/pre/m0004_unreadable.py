"""What cannot be read is found without a look at all records."""

from alembic import op

revision = "m0004_unreadable"
down_revision = "m0003_fold"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index of the records that cannot be read: every pass tells of them."""
    op.get_bind().exec_driver_sql(
        "create index record_unreadable on record (tenant, scope, id) where state = 'unreadable'"
    )


def downgrade() -> None:
    """Drop the index."""
    op.get_bind().exec_driver_sql("drop index record_unreadable")
