"""Members, tokens, the audit log, and what spans tenants."""

from pathlib import Path

from alembic import op

from truckroll.store.migrations.guard import guarded

revision = "m0007_rights"
down_revision = "m0006_pushes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and functions. Nobody may change or take out a line of the audit log."""
    text = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    made = guarded("member", "api_token", "audit", "api_reply")
    kept = "revoke update, delete on audit from truckroll_app"
    op.get_bind().exec_driver_sql(f"{text}{made}{kept}")


def downgrade() -> None:
    """Drop all of it."""
    op.get_bind().exec_driver_sql(
        "drop function tenant_named(text), add_tenant(text), token_places(bytea),"
        " remove_present_tenant();"
        "drop policy spanning on workspace;"
        "create policy spanning on workspace for select to current_user using (true);"
        "drop index workspace_name;"
        "drop table api_reply, audit, api_token, member"
    )
