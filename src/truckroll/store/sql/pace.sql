-- name: take
-- All budgets of an attempt at once, in the order of their keys; none where the account waits.
with clock as materialized (select coalesce(%(at)s, clock_timestamp()) as at),
health as (
  select paused_until, failures, failing_since, state, since, until, trips,
  probe_until, says, failed_at, shaky_until
  from account_health where account = %(account)s),
waits as (select from health, clock where state <> '' or paused_until > at),
taken as (
  insert into budget as b (tenant, key, used_to)
  select w.tenant, w.key, at + make_interval(secs => w.span)
  from clock, unnest(%(tenants)s::bigint[], %(keys)s::text[], %(spans)s::float8[])
    as w (tenant, key, span)
  where not exists (select from waits)
  order by w.tenant, w.key
  on conflict (tenant, key) do update
  set used_to = greatest(b.used_to, (select at from clock))
    + (excluded.used_to - (select at from clock))
  returning key, used_to)
select at, paused_until, failures, failing_since, state, since, until, trips,
  probe_until, says, failed_at, shaky_until,
  (select json_object_agg(key, extract(epoch from used_to - at)) from taken)
from clock left join health on true

-- name: give_back
update budget b set used_to = b.used_to - make_interval(secs => w.span)
from (select * from unnest(%(tenants)s::bigint[], %(keys)s::text[], %(spans)s::float8[])
    as w (tenant, key, span) order by tenant, key) w
where b.tenant = w.tenant and b.key = w.key

-- name: new_health
insert into account_health (account) values (%(account)s) on conflict do nothing

-- name: lock_health
select coalesce(%(at)s, clock_timestamp()), paused_until, failures, failing_since, state, since,
  until, trips,
  probe_until, says, failed_at, shaky_until
from account_health where account = %(account)s for update

-- name: set_health
update account_health set paused_until = %(paused_until)s, failures = %(failures)s,
  failing_since = %(failing_since)s, state = %(state)s, since = %(since)s,
  until = %(until)s, trips = %(trips)s,
  probe_until = %(probe_until)s, says = %(says)s,
  failed_at = %(failed_at)s, shaky_until = %(shaky_until)s
where account = %(account)s

-- name: insert_event
insert into account_event (account, at, kind, says)
values (%(account)s, %(at)s, %(kind)s, %(says)s)

-- name: waiting
select account, paused_until, failures, failing_since, state, since, until, trips,
  probe_until, says, failed_at, shaky_until
from account_health h, (select coalesce(%(at)s, clock_timestamp()) as at) clock
where state <> '' or paused_until > at
order by account

-- name: untold
select e.id, e.account, a.name, e.at, e.kind, e.says
from account_event e join account a on (a.tenant, a.id) = (e.tenant, e.account)
where told_at is null order by e.id

-- name: told
update account_event set told_at = %(at)s where id = any(%(ids)s) and told_at is null

-- name: prune
delete from budget where used_to < coalesce(%(at)s, clock_timestamp()) - interval '1 day'
