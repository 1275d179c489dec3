-- name: technicians
select name, id from technician where name = any(%(names)s::text[])

-- name: register
-- A name whose calendar is another name's is the same person in another system.
insert into technician (name, id)
select wanted.name, coalesce(
  (select min(t.id) from person mine
   join person other on other.account = mine.account and other.scope = mine.scope
   join technician t on t.name = other.name
   where mine.name = wanted.name),
  nextval('technician_id'))
from (select %(name)s::text) wanted (name)
on conflict (tenant, name) do nothing

-- name: lock_technician
select pg_advisory_xact_lock(hashtextextended(%(lock)s, 0))

-- name: observed
-- What was seen of technicians' time: the visits of these scopes, and what stands in these
-- calendars and is nobody's copy of a visit. With `names` only visits of these people.
select {record} from ({touching}) r
where case when r.scope = any(%(visits)s::bigint[])
  then %(names)s::text[] is null or exists (
    select from json_array_elements_text(
      case json_typeof(r.fields -> 'people') when 'array' then r.fields -> 'people' end) p (name)
    where p.name = any(%(names)s::text[]))
  else not exists (select from link_end e where e.record = r.id) end

-- name: expired
delete from claim where technician = any(%(technicians)s::bigint[]) and expires <= %(at)s

-- name: claims
select id, technician, lower(during), upper(during), visit, ref from claim
where technician = any(%(technicians)s::bigint[]) and expires > %(at)s
  and during && tstzrange(%(start)s, %(end)s)
order by technician, during

-- name: renounce
delete from claim
where visit = any(%(visits)s::text[]) and technician = any(%(technicians)s::bigint[])

-- name: claim
insert into claim (technician, during, visit, ref, run, expires)
values (%(technician)s, tstzrange(%(begins)s, %(ends)s), %(visit)s, %(ref)s, %(run)s, %(expires)s)
returning id

-- name: release
delete from claim where id = any(%(ids)s::bigint[])

-- name: links_of
select e.record, e.link from link_end e
where e.record = any(%(records)s::bigint[]) and e.mirror = %(mirror)s

-- name: happened
-- What the passes of a recipe lately took out, moved, or marked as cancelled.
select s.step, s.done_at from step s
where s.run in (
    select id from run where recipe = %(recipe)s and started_at >= %(since)s
      and kind not in ('undo', 'follow'))
  and s.kind = 'done' and s.done_at >= %(since)s
  and (s.step ->> 'op' in ('cancel', 'delete')
    or s.step ->> 'op' = 'update' and (s.step #> '{fields,when}' is not null
      or s.step #>> '{fields,status}' = 'cancelled'))
order by s.done_at desc, s.id desc limit %(limit)s
