-- name: to_adopt
-- The latest arrival of a scope is a look-up. Asked whether there is a later one than the last that
-- was looked at, PostgreSQL walks all of them, since that one is not known while it plans.
select s.id from unnest(%(scopes)s::bigint[]) s (id)
left join lateral (
  select arrived, again from adoption where mirror = %(mirror)s and scope = s.id limit 1) a on true
where a.again <> '{}' or coalesce(a.arrived, 0) < (
  select r.arrived from record r where r.scope = s.id order by r.arrived desc limit 1)
order by s.id

-- name: adoption
select arrived, again from adoption
where mirror = %(mirror)s and scope = %(scope)s for update

-- name: arrivals
-- Records after the last one looked at.
select {arrival} from record r
where r.scope = %(scope)s and r.arrived > coalesce((
  select arrived from adoption where mirror = %(mirror)s and scope = %(scope)s), 0)
order by r.arrived
limit %(limit)s

-- name: passed_over
select {arrival} from record r
where r.id = any(%(again)s::bigint[])
order by r.arrived

-- name: move_adoption
insert into adoption (mirror, scope, arrived, again)
values (%(mirror)s, %(scope)s, %(arrived)s, %(again)s)
on conflict (tenant, mirror, scope) do update set arrived = excluded.arrived, again = excluded.again

-- name: moved
-- Per record the links, by mark or series, whose last source end is gone by somebody's hand and
-- undecided. Each step is a look-up of its own, which no plan can turn into a walk of all links.
select r.id, f.link, o.id
from unnest(%(records)s::bigint[]) with ordinality wanted (id, n)
cross join lateral (
  select id, mark, series from record where record.id = wanted.id limit 1) r
cross join lateral (
  select l.id from link l where l.mirror = %(mirror)s and l.key = r.mark
  union
  select e.link from record g
  cross join lateral (
    select link, mirror, side from link_end where link_end.record = g.id offset 0) e
  where g.series = r.series and g.state = 'gone'
    and e.mirror = %(mirror)s and e.side = 'source') f (link)
cross join lateral (select key, state from link where link.id = f.link limit 1) l
cross join lateral (
  select id, state, record, removed_by_hub, decided from link_end e
  where e.link = f.link and e.side = 'source'
  order by e.generation desc, e.id limit 1) o
cross join lateral (select state, series from record where record.id = o.record limit 1) g
where l.state = 'live' and g.state = 'gone' and o.state <> 'released'
  and not o.removed_by_hub and o.decided = '' and (l.key = r.mark or g.series = r.series)
order by wanted.n, f.link

-- name: awaited
-- Per record the links that have nothing in its scope yet and may be about to make it there: a
-- record of theirs on the other side has its coarse key. What is held makes nothing.
select r.id, r.fields, f.link, f.due, f.holds, g.fields
from unnest(%(records)s::bigint[]) wanted (id)
cross join lateral (
  select id, coarse, fields from record where record.id = wanted.id limit 1) r
join record g on g.coarse = r.coarse and g.scope + 0 <> %(scope)s and g.state = 'live'
cross join lateral (
  select e.link, l.due or l.look_at <= %(at)s as due, l.holds from link_end e
  join link l on l.id = e.link
  where e.record = g.id and e.mirror = %(mirror)s and e.side <> %(side)s and e.state = 'live'
    and l.state = 'live' and coalesce(l.hold, '') = ''
    and not exists (select from link_end w
      where w.link = e.link and w.scope = %(scope)s and w.record is not null)
    and (exists (select from link_end w
        where w.link = e.link and w.scope = %(scope)s and w.state = 'unseen')
      or not exists (select from link_end w
        where w.link = e.link and w.side = %(side)s and w.record is not null))
  limit 1) f

-- name: stir
update link set row = row + 1, look_at = %(at)s, due = true, touched = touched + 1
where id = any(%(links)s::bigint[])

-- name: move_end
insert into link_end (link, mirror, side, account, scope, external_id, key, generation, state,
  record, base, given)
select e.link, e.mirror, e.side, %(account)s, %(scope)s, %(external_id)s, e.key, e.generation + 1,
  'live', %(record)s, e.base, e.given
from link_end e where e.id = %(end)s

-- name: new_links
insert into link (mirror, key, look_at, due)
select %(mirror)s, key, %(at)s, true from unnest(%(keys)s::text[]) with ordinality k (key, n)
order by n
returning id, key

-- name: new_ends
insert into link_end (link, mirror, side, account, scope, external_id, key, generation, state,
  record, base, given)
select l, %(mirror)s, %(side)s, %(account)s, %(scope)s, e, '', 0, 'live', r, '{}', '{}'
from unnest(%(links)s::bigint[], %(external_ids)s::text[], %(records)s::bigint[]) t (l, e, r)

-- name: come_due
update link set due = true
where mirror = %(mirror)s and not due and look_at <= %(at)s

-- name: due
select {link} from link l
where l.mirror = %(mirror)s and l.due and l.look_at <= %(at)s and l.id > %(after)s
order by l.id limit %(limit)s

-- name: everything
select {link} from link l
where l.mirror = %(mirror)s and l.state = 'live' and l.id > %(after)s
order by l.id limit %(limit)s

-- name: links
select {link} from link l where l.id = any(%(ids)s::bigint[]) order by l.id

-- name: ends
select e.link, e.id, e.side, e.account, e.scope, coalesce(r.external_id, e.external_id), e.key,
  e.generation, case when e.record is null or e.state = 'released' then e.state else r.state end,
  r.version, coalesce(r.owned, true), r.fields, e.base, e.given, e.holds, r.seen_order, r.changed,
  r.seen_at, r.gone_at,
  e.removed_by_hub and (e.state = 'released' or r.state is distinct from 'live'), e.open, e.decided, r.series
from link_end e left join lateral (
  select * from record where record.id = e.record limit 1) r on true
where e.link = any(%(links)s::bigint[])
order by e.id

-- name: candidates
-- `+ 0` leaves the indexes of the keys as the only way in: by scope the cost would grow with it.
select {record}, (
  select e.id from link_end e where e.record = r.id and e.mirror = %(mirror)s limit 1) is not null
from record r
where r.scope + 0 = any(%(scopes)s::bigint[]) and r.state = 'live'
  and (r.coarse = any(%(coarse)s::text[]) or r.mark = any(%(marks)s::text[]))
  and (select e.id from link_end e
    where e.record = r.id and e.mirror = %(mirror)s and e.state <> 'released'
      and (select l.state from link l where l.id = e.link) = 'live' limit 1) is null
order by r.id

-- name: unlinked
select {record} from record r
where r.scope = any(%(scopes)s::bigint[]) and r.state = 'live' and r.owned and r.id > %(after)s
  and not exists (select from link_end e where e.record = r.id and e.mirror = %(mirror)s)
order by r.id limit %(limit)s

-- name: came_before
-- The other way round, from links to records, the planner would walk all links of the mirror; asked
-- for the state of a link in a join, or for a record by equal keys, all that live, or its scope.
select w.scope, w.external_id, {record}
from unnest(%(scopes)s::bigint[], %(external_ids)s::text[]) w (scope, external_id)
cross join lateral (
  select id, scope, coarse, arrived from record
  where scope = w.scope and external_id between w.external_id and w.external_id
  order by external_id limit 1) own
join record r on r.coarse = own.coarse and r.scope + 0 = own.scope and r.id <> own.id
where r.state = 'gone' and r.gone_at >= %(since)s or r.state = 'live' and exists (
  select from link_end e
  join link_end f on f.link = e.link and f.side <> e.side
  join record g on g.id = f.record
  where e.record = r.id and e.mirror = %(mirror)s and e.state = 'live'
    and (select l.state from link l where l.id = e.link limit 1) = 'live'
    and f.state = 'live' and g.arrived < own.arrived)
order by r.id

-- name: doubtful
select distinct (s.step ->> 'scope')::bigint from step s
where s.open and s.recipe <> %(recipe)s and s.opened_at > %(since)s and s.step ->> 'op' = 'create'

-- name: unreadable
select {record} from record r
where r.scope = any(%(scopes)s::bigint[]) and r.state = 'unreadable'
order by r.id limit %(limit)s

-- name: lock_links
select id, mirror, row, touched, look_at, due, holds,
  (select recipe from mirror where id = link.mirror)
from link where id = any(%(ids)s::bigint[]) order by id for update

-- name: end_ids
select nextval('link_end_id_seq') from generate_series(1, %(count)s)

-- name: step_ids
select nextval('step_id_seq') from generate_series(1, %(count)s)

-- name: insert_end
insert into link_end (id, link, mirror, side, account, scope, external_id, key, generation, state,
  record, base, given, holds, removed_by_hub, decided)
select id, link, mirror, side, account, scope, external_id, key, generation, state,
  (select id from record where scope = w.scope
    and external_id between nullif(w.external_id, '') and w.external_id
    order by external_id limit 1),
  base::json, given::json, holds::json, removed_by_hub, decided
from json_to_recordset(%(rows)s::json) w (id bigint, link bigint, mirror bigint, side text,
  account bigint, scope bigint, external_id text, key text, generation integer, state text,
  base text, given text, holds text, removed_by_hub boolean, decided text)

-- name: update_end
update link_end e set side = %(side)s, key = %(key)s, generation = %(generation)s,
  state = %(state)s, external_id = %(external_id)s, base = %(base)s, given = %(given)s,
  holds = %(holds)s, removed_by_hub = %(removed_by_hub)s, decided = %(decided)s,
  record = coalesce(e.record, (select id from record
    where scope = e.scope and external_id = nullif(%(external_id)s, '')))
where e.id = %(id)s

-- name: decide_link
update link set state = %(state)s, ended_why = %(ended_why)s, agreed = %(agreed)s,
  agreed_by = %(agreed_by)s, hold = %(hold)s, hold_detail = %(hold_detail)s,
  undone = %(undone)s, holds = %(holds)s, look_at = %(look_at)s, due = %(due)s, row = row + 1,
  tries = 0
where id = %(id)s

-- name: look_again
update link set holds = %(holds)s, look_at = %(look_at)s, due = %(due)s, tries = 0 where id = %(id)s

-- name: merged
select e.id, e.open, (select r.raw from record r where r.id = e.record) from link_end e
where e.id = any(%(ends)s::bigint[])

-- name: insert_step
insert into step (id, run, recipe, link, link_end, step, raw, opened_at)
select id, %(run)s, recipe, link, "end", step::json, decode(raw, 'base64'), %(at)s
from json_to_recordset(%(rows)s::json) w (id bigint, recipe bigint, link bigint, "end" bigint,
  step text, raw text)

-- name: open_ends
update link_end set open = true where id = any(%(ends)s::bigint[])

-- name: attach
update link_end e set record = r.id, external_id = r.external_id, state = 'live'
from record r where e.id = %(end)s and e.link = %(link)s and r.id = %(record)s
  and r.scope = e.scope and e.record is null
returning e.id

-- name: attached
update link set row = row + 1, due = true, look_at = coalesce(look_at, now())
where id = %(link)s

-- name: insert_story
insert into story (link, at, code, text, link_end, run, data)
select link, %(at)s, code, text, "end", %(run)s, data::json
from json_to_recordset(%(rows)s::json) w (link bigint, code text, text text, "end" bigint,
  data text)
