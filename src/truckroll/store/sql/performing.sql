-- name: places
select s.link, (select e.scope from link_end e where e.id = s.link_end) from step s
where s.id = any(%(ids)s::bigint[])

-- name: open_steps
select id, run, recipe, link, link_end, step from step
where id = any(%(ids)s::bigint[]) and open

-- name: written_ends
select id, record, base, given, holds from link_end where id = any(%(ends)s::bigint[])

-- name: links
select id, key, holds from link where id = any(%(ids)s::bigint[]) order by id for update

-- name: listing
-- What a reply shows is newer than what a listing that is going on began with.
select nextval('listing')

-- name: seen_gone
update record set listing = %(listing)s where id = any(%(ids)s::bigint[])

-- name: written
-- The records of calls as they are held, and whether they were seen since the call was journalled;
-- and those that are not held, though their scope was listed whole since: it may be gone again.
select w.step, e.scope, coalesce(r.state = 'gone', true), r.version, r.fields,
  r.seen_at > s.opened_at
-- Each step is a look-up of its own: joined, they were walked side by side, step by end.
from unnest(%(ids)s::bigint[], %(external_ids)s::text[]) w (step, external_id)
cross join lateral (select link_end, opened_at from step where id = w.step limit 1) s
cross join lateral (select scope from link_end where id = s.link_end limit 1) e
cross join lateral (select complete_at from scope where id = e.scope limit 1) c
left join lateral (
  select id, state, version, fields, seen_at from record
  where scope = e.scope and external_id between w.external_id and w.external_id
  order by external_id limit 1) r on true
where r.id is not null or c.complete_at > s.opened_at

-- name: finish
-- The raw form of a step is for those who look the open intent up. The record of an end is that of
-- the reply; a system may give a new id to what it was told to change.
with told as (
  update step set open = %(open)s, kind = %(kind)s, outcome = %(outcome)s, done_at = %(done_at)s,
    raw = case when %(open)s then raw else '' end
  where id = %(step)s
), written as (
  update link_end e set open = %(open)s, base = %(base)s, given = %(given)s,
    holds = %(end_holds)s, state = coalesce(%(state)s, e.state),
    decided = coalesce(%(decided)s, e.decided),
    removed_by_hub = coalesce(%(removed_by_hub)s, e.removed_by_hub),
    external_id = coalesce(nullif(%(external_id)s, ''), e.external_id),
    record = coalesce((select id from record
      where scope = e.scope and external_id = nullif(%(external_id)s, '')), e.record)
  where e.id = %(end)s
)
update link set row = row + 1, holds = %(holds)s, touched = touched + %(due)s::boolean::int,
  look_at = case when %(due)s then %(at)s when due then look_at
    else coalesce(%(retry_at)s, look_at) end,
  due = due or %(due)s
where id = %(link)s

-- name: tally
insert into tally (recipe, account, scope, at, removal, status, writes)
select recipe, account, scope, date_trunc('second', %(at)s::timestamptz), removal, status, writes
from json_to_recordset(%(rows)s::json) w (recipe bigint, account bigint, scope bigint,
  removal boolean, status text, writes bigint)
on conflict (tenant, at, recipe, account, scope, removal, status)
do update set writes = tally.writes + excluded.writes

-- name: open_intents
-- A link that is set aside is left alone whole: what it needs to be looked up may be what killed.
select s.id, s.step, s.raw, s.opened_at from step s join link l on l.id = s.link
where s.recipe = %(recipe)s and s.open and l.tries < 3 order by s.id

-- name: counts_scope
select removal, status, sum(writes)::bigint from tally
where at >= date_trunc('second', %(since)s::timestamptz) and scope = %(id)s
group by removal, status

-- name: counts_account
select removal, status, sum(writes)::bigint from tally
where at >= date_trunc('second', %(since)s::timestamptz) and account = %(id)s
group by removal, status

-- name: counts_recipe
select removal, status, sum(writes)::bigint from tally
where at >= date_trunc('second', %(since)s::timestamptz) and recipe = %(id)s
group by removal, status

-- name: live_scope
select live from scope where id = %(id)s

-- name: live_account
select coalesce(sum(live), 0)::bigint from scope where account = %(id)s

-- name: live_recipe
-- The scopes that the recipe takes its records from.
select coalesce(sum(live), 0)::bigint from scope where id in (
  select a.scope from adoption a join mirror m on m.id = a.mirror where m.recipe = %(id)s)

-- name: recent_writes
select link_end, step from step
where link = any(%(links)s::bigint[]) and kind = 'done' and done_at >= %(since)s
order by done_at, id

-- name: start_run
insert into run (recipe, kind, pid) values (%(recipe)s, %(kind)s, %(pid)s) returning id

-- name: plan_run
update run set summary = json_build_object('planned', %(planned)s::bigint) where id = %(run)s

-- name: end_run
update run set ended_at = now(), summary = %(summary)s where id = %(run)s

-- name: close_run
update run set ended_at = now(), summary = null where id = %(run)s and ended_at is null

-- name: steps_done
select id from step where run = %(run)s order by done_at nulls last, id

-- name: steps_by_id
select id, step, outcome from step where id = any(%(ids)s::bigint[])

-- name: runs
select id, recipe, kind, started_at, ended_at, summary, case when ended_at is null then (
  select count(*) from step s where s.run = run.id and s.kind = 'done') else 0 end
from run
where (%(recipe)s::bigint is null or recipe = %(recipe)s)
  and (%(before)s::bigint is null or id < %(before)s)
order by id desc limit %(limit)s
