"""What finding moved records needs, in the SQL file of the same name."""

from pathlib import Path

from alembic import op

revision = "m0002_moved"
down_revision = "m0001_tables"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index by series, the records to look at again, and when a recipe was removed."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(script)


def downgrade() -> None:
    """Take away what was added; removed recipes are installed again then."""
    connection = op.get_bind()
    connection.exec_driver_sql("drop index record_series")
    connection.exec_driver_sql("alter table adoption drop again")
    connection.exec_driver_sql("alter table recipe drop removed_at")
