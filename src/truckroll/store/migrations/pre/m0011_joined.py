"""What joins the parts of the runtime: whose turn a chore is, and what led to what is due."""

from alembic import op

revision = "m0011_joined"
down_revision = "m0010_watch"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the chores of the whole hub, and the trace and instant of a push to what it made due."""
    op.get_bind().exec_driver_sql(
        "create table chore (name text primary key, next_at timestamptz not null);"
        "grant select, insert, update on chore to truckroll_app;"
        "alter table scope add trace text not null default '', add pushed_at timestamptz;"
        "alter table recipe add trace text not null default '', add pushed_at timestamptz"
    )


def downgrade() -> None:
    """Drop them."""
    op.get_bind().exec_driver_sql(
        "alter table recipe drop trace, drop pushed_at;"
        "alter table scope drop trace, drop pushed_at; drop table chore"
    )
