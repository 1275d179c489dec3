-- name: take
-- Whose session lives may be well: only the clock says that its time is over.
with old as (
  select l.id, l.holder is not null
    and not pg_try_advisory_xact_lock_shared(hashtextextended('truckroll.holder ' || l.holder, 0))
    as lives
  from lease l where l.what = %(what)s and l.id = any(%(ids)s::bigint[]))
insert into lease as l (what, id, holder, until)
select %(what)s, wanted.id, %(holder)s, clock_timestamp() + make_interval(secs => %(seconds)s)
from unnest(%(ids)s::bigint[]) wanted (id) order by wanted.id
on conflict (tenant, what, id) do update
set holder = excluded.holder, until = excluded.until, epoch = l.epoch + 1,
  deaths = case when l.holder is null then 0 else l.deaths + 1 end,
  hand = case when l.holder is null then 0 else l.hand end
where l.holder is null or l.until < clock_timestamp()
  or pg_try_advisory_xact_lock_shared(hashtextextended('truckroll.holder ' || l.holder, 0))
returning l.id, l.epoch, l.deaths, l.hand,
  coalesce((select old.lives from old where old.id = l.id), false)

-- name: extend
update lease l set until = clock_timestamp() + make_interval(secs => %(seconds)s)
from unnest(%(whats)s::text[], %(ids)s::bigint[], %(epochs)s::bigint[]) held (what, id, epoch)
where l.what = held.what and l.id = held.id and l.epoch = held.epoch and l.holder is not null
returning l.what, l.id

-- name: release
update lease l set holder = null
from unnest(%(whats)s::text[], %(ids)s::bigint[], %(epochs)s::bigint[]) held (what, id, epoch)
where l.what = held.what and l.id = held.id and l.epoch = held.epoch

-- name: mark
update lease set hand = %(hand)s where what = %(what)s and id = %(id)s and epoch = %(epoch)s

-- name: held
select exists (select from lease l where l.what = %(what)s and l.id = %(id)s
  and l.holder is not null and l.until >= clock_timestamp()
  and not pg_try_advisory_xact_lock_shared(hashtextextended('truckroll.holder ' || l.holder, 0)))
