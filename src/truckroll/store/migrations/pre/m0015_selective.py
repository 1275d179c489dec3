"""An index begins with what tells rows apart, not with the tenant (ADR 10)."""

from alembic import op

revision = "m0015_selective"
down_revision = "m0014_kept"
branch_labels = None
depends_on = None

# Per index its table, its columns but for the tenant, and of which rows it is.
_INDEXES = {
    "record_arrived": ("record", "scope, arrived", ""),
    "record_coarse": ("record", "coarse", "coarse is not null"),
    "record_mark": ("record", "mark", "mark is not null"),
    "record_number": ("record", "number", "number is not null"),
    "record_series": ("record", "series", "series is not null and state = 'gone'"),
    "link_live": ("link", "mirror, id", "state = 'live'"),
    "link_end_link": ("link_end", "link", ""),
    "link_end_record": ("link_end", "record", "record is not null"),
    "step_run": ("step", "run, done_at", ""),
    "step_link": ("step", "link", ""),
    "story_link": ("story", "link, id", ""),
}
_UNIQUE = {
    "record_tenant_scope_external_id_key": ("record", "scope, external_id"),
    "link_tenant_mirror_key_key": ("link", "mirror, key"),
}


def upgrade() -> None:
    """Put the tenant at the end of the indexes of the tables that grow."""
    _made_anew("{columns}, tenant")


def downgrade() -> None:
    """Put it in front again."""
    _made_anew("tenant, {columns}")


def _made_anew(order: str) -> None:
    run = op.get_bind().exec_driver_sql
    for name, (table, columns, some) in _INDEXES.items():
        where = f" where {some}" if some else ""
        run(f"drop index {name}")
        run(f"create index {name} on {table} ({order.format(columns=columns)}){where}")
    for name, (table, columns) in _UNIQUE.items():
        run(
            f"alter table {table} drop constraint {name}, "
            f"add constraint {name} unique ({order.format(columns=columns)})"
        )
