-- name: lock_mirror
-- One at a time: two that find no link of a key would both make one.
select id from mirror where id = %(mirror)s for no key update

-- name: fields
select id, fields from record where id = any(%(records)s::bigint[]) order by id

-- name: lock_due
select id, fold from link
where mirror = %(mirror)s and state = 'live' and (due or look_at <= %(at)s) and id > %(after)s
order by id limit %(limit)s for no key update

-- name: members
-- Asked for one by one: a plan without statistics would walk all records.
select e.link, e.id, r.id, r.fields from link_end e
cross join lateral (
  select id, fields from record where record.id = e.record and state <> 'gone' limit 1) r
where e.link = any(%(links)s::bigint[]) and e.side = 'source' and e.state <> 'released'
order by e.link, e.id

-- name: homes
select fold, id from link
where mirror = %(mirror)s and fold = any(%(keys)s::text[]) and fold <> '' and state = 'live'
order by id for no key update

-- name: new_links
insert into link (mirror, key, look_at, due, fold)
select %(mirror)s, key, %(at)s, true, fold
from unnest(%(keys)s::text[], %(folds)s::text[]) with ordinality k (key, fold, n)
order by n
returning id, key

-- name: rename
update link set fold = %(fold)s, row = row + 1, touched = touched + 1 where id = %(link)s

-- name: leave
update link_end set state = 'released', decided = 'left' where id = any(%(ends)s::bigint[])

-- name: come_back
update link_end e set state = 'live', decided = ''
from unnest(%(links)s::bigint[], %(records)s::bigint[]) t (link, record)
where e.link = t.link and e.record = t.record and e.side = 'source' and e.decided = 'left'

-- name: join
insert into link_end (link, mirror, side, account, scope, external_id, key, generation, state,
  record, base, given)
select t.link, %(mirror)s, 'source', r.account, r.scope, r.external_id, '', 0, 'live', r.id,
  '{}', '{}'
from unnest(%(links)s::bigint[], %(records)s::bigint[]) t (link, record)
cross join lateral (select * from record where record.id = t.record limit 1) r
where not exists (
  select from link_end e where e.link = t.link and e.record = t.record and e.side = 'source')

-- name: stir
update link set look_at = %(at)s, due = true, row = row + 1, touched = touched + 1
where id = any(%(links)s::bigint[])
