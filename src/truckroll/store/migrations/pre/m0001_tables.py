"""The first tables, in the SQL file of the same name."""

from pathlib import Path

from alembic import op

revision = "m0001_tables"
down_revision = None
branch_labels = ("pre",)
depends_on = None


def upgrade() -> None:
    """Make the tables with their row-level security and the rights of `truckroll_app`."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(script)


def downgrade() -> None:
    """Refuse: going back would lose the journal."""
    raise NotImplementedError("there is nothing before the first tables")
