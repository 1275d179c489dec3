"""Recipes whose links became due before their agenda says so are loose too."""

from alembic import op

revision = "m0013_loose"
down_revision = "m0012_faults"
branch_labels = None
depends_on = None

_LOOSE = """
create or replace function loose_recipes() returns table (tenant bigint, recipe bigint)
language sql stable security definer set search_path = truckroll, pg_temp as $$
  select distinct r.tenant, r.id
  from recipe r join mirror m on (m.tenant, m.recipe) = (r.tenant, r.id)
  where (r.due_at is null %(later)s) and r.removed_at is null and r.paused_at is null and (
    exists (select from link l where (l.tenant, l.mirror) = (m.tenant, m.id) and l.due)
    or exists (select from link l where (l.tenant, l.mirror) = (m.tenant, m.id)
      and not l.due and l.look_at <= now()))
$$;
"""
_LATER = "or r.failures = 0 and r.due_at > now() + interval '1 minute'"


def upgrade() -> None:
    """Find also those that wait for a later look; who died may not have said that it is now."""
    op.get_bind().exec_driver_sql(_LOOSE.replace("%(later)s", _LATER))


def downgrade() -> None:
    """Leave these out."""
    op.get_bind().exec_driver_sql(_LOOSE.replace("%(later)s", ""))
