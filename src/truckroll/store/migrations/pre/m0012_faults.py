"""What a process had in hand when it died, and recipes that pause."""

from alembic import op

revision = "m0012_faults"
down_revision = "m0011_joined"
branch_labels = None
depends_on = None

_DUE = """
create or replace function due_work(
  at timestamptz, each integer, kinds text[], tenants bigint[], ids bigint[])
returns table (kind text, tenant bigint, about bigint, account bigint, due_at timestamptz)
language sql stable security definer set search_path = truckroll, pg_temp as $$
  with going as materialized (
    select g.kind, g.tenant, g.id from unnest(kinds, tenants, ids) g (kind, tenant, id))
  select d.* from workspace w cross join lateral (
    select u.* from (
      (select 'read', s.tenant, s.id, s.account, s.due_at from scope s
      where s.tenant = w.tenant and s.due_at <= at and not exists (
        select from going g where (g.kind, g.tenant, g.id) = ('read', s.tenant, s.id))
      order by s.due_at limit each)
      union all
      (select 'settle', r.tenant, r.id, 0::bigint, r.due_at from recipe r
      where r.tenant = w.tenant and r.due_at <= at and r.removed_at is null %(unpaused)s
        and not exists (
          select from going g where (g.kind, g.tenant, g.id) = ('settle', r.tenant, r.id))
      order by r.due_at limit each)) u (kind, tenant, about, account, due_at)
    order by u.due_at limit each) d
$$;
create or replace function loose_recipes() returns table (tenant bigint, recipe bigint)
language sql stable security definer set search_path = truckroll, pg_temp as $$
  select distinct r.tenant, r.id
  from recipe r join mirror m on (m.tenant, m.recipe) = (r.tenant, r.id)
  where r.due_at is null and r.removed_at is null %(unpaused)s and (
    exists (select from link l where (l.tenant, l.mirror) = (m.tenant, m.id) and l.due)
    or exists (select from link l where (l.tenant, l.mirror) = (m.tenant, m.id)
      and not l.due and l.look_at <= now()))
$$;
"""


def upgrade() -> None:
    """Let a lease say what is in hand, and a recipe that it pauses; a paused one is never due."""
    op.get_bind().exec_driver_sql(
        "alter table lease add hand bigint not null default 0;"
        "alter table recipe add paused_at timestamptz;"
        + _DUE.replace("%(unpaused)s", "and r.paused_at is null")
    )


def downgrade() -> None:
    """Drop them."""
    op.get_bind().exec_driver_sql(
        _DUE.replace("%(unpaused)s", "")
        + "alter table recipe drop paused_at; alter table lease drop hand"
    )
