"""What the source records of a link share, in a mirror that folds."""

from alembic import op

revision = "m0003_fold"
down_revision = "m0002_moved"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the fold key of a link, and the index by which a record finds its link."""
    op.get_bind().exec_driver_sql(
        "alter table link add column fold text not null default '';"
        "create index link_fold on link (tenant, mirror, fold) where fold <> '' and state = 'live'"
    )


def downgrade() -> None:
    """Forget the keys; links stay as they are."""
    op.get_bind().exec_driver_sql("alter table link drop column fold")
