-- name: begin_listing
update scope set listing = nextval('listing') where id = %(scope)s returning listing

-- name: lock_scope
-- One writer per scope: records appear in the order of `arrived`, and no insert clashes.
select account, listing from scope where id = %(scope)s for no key update

-- name: lock_scopes
select id, account, listing from scope where id = any(%(scopes)s::bigint[])
order by id for no key update

-- name: held
-- One look-up per id, whatever the statistics say: the cost must not grow with the scope. Asking
-- for a range in order, and not for one value, leaves the index by external_id as the only choice.
select r.* from unnest(%(ids)s::text[]) wanted (id)
cross join lateral (
  select id, external_id, state, version, fields, changed, mark, series, owned, problem, listing
  from record where scope = %(scope)s and external_id between wanted.id and wanted.id
  order by external_id limit 1) r

-- name: orders
select nextval('observation') from generate_series(1, %(count)s)

-- name: insert_record
insert into record (account, scope, external_id, kind, state, version, fields, raw, mark, series,
  owned, problem, seen_order, changed, seen_at, listing, arrived, number, coarse, begins, ends,
  recurring)
select %(account)s, %(scope)s, external_id, kind, state, version, fields::json,
  decode(raw, 'base64'), mark, series, owned, problem, "order", changed::json, %(at)s, %(listing)s,
  "order", number, coarse, begins, ends, recurring
from json_to_recordset(%(rows)s::json) w (external_id text, kind text, state text, version text,
  fields text, raw text, mark text, series text, owned boolean, problem text, "order" bigint,
  changed text, number text, coarse text, begins timestamptz, ends timestamptz, recurring boolean)

-- name: update_record
update record set state = %(state)s, version = %(version)s, fields = %(fields)s,
  raw = coalesce(%(raw)b, raw), mark = %(mark)s, series = %(series)s, owned = %(owned)s,
  problem = %(problem)s, changed = %(changed)s, seen_at = %(at)s, gone_at = null,
  seen_order = coalesce(%(order)s, seen_order), arrived = coalesce(%(arrived)s, arrived),
  listing = greatest(listing, %(listing)s), number = %(number)s, coarse = %(coarse)s,
  begins = %(begins)s, ends = %(ends)s, recurring = %(recurring)s
where id = %(id)s

-- name: update_version
update record set version = %(version)s, raw = coalesce(%(raw)b, raw), mark = %(mark)s,
  series = %(series)s, seen_at = %(at)s, listing = greatest(listing, %(listing)s)
where id = %(id)s

-- name: same
update record set seen_at = %(at)s, listing = greatest(listing, %(listing)s)
where id = any(%(ids)s::bigint[])

-- name: ids
select r.id from unnest(%(ids)s::text[]) wanted (id)
cross join lateral (
  select id from record where scope = %(scope)s and external_id = wanted.id limit 1) r

-- name: gone
update record set state = 'gone', gone_at = %(at)s, seen_order = nextval('observation')
where id = any(%(ids)s::bigint[]) and state <> 'gone'
returning scope

-- name: shift_live
update scope set live = live + %(by)s where id = %(scope)s

-- name: stir
-- Told with the change itself: a process that dies right after it leaves the word behind.
update scope set stirred = true where id = any(%(scopes)s::bigint[]) and not stirred

-- name: insert_missed
-- The tombstone of an unknown record, while a create is out: it may be of what that made.
insert into record (account, scope, external_id, kind, state, fields, raw, owned, problem,
  seen_order, changed, seen_at, gone_at, listing, arrived, recurring)
select %(account)s, %(scope)s, missed.id, %(kind)s, 'gone', '{}', '', true, '',
  nextval('observation'), '{}', %(at)s, %(at)s, %(listing)s, 0, false
from unnest(%(ids)s::text[]) missed (id)
where exists (select from link_end e join step s on s.link_end = e.id
  where e.scope = %(scope)s and s.open and s.step->>'op' = 'create')

-- name: doubt
-- It is not known which of two observations is the newer one: the scope is read whole.
update scope set whole = true, asked = asked + 1,
  due_at = case when due_at is null then null else least(due_at, %(at)s) end
where id = any(%(scopes)s::bigint[])

-- name: wake
select pg_notify('truckroll_due', '')

-- name: move_cursor
update scope set cursor = %(cursor)s where id = %(scope)s

-- name: links_of
-- The three statements of a touch stay apart: joined, a plan without statistics walks all links.
select link, record from link_end where record = any(%(records)s::bigint[])

-- name: lock_links
select id from link where id = any(%(links)s::bigint[]) order by id for no key update

-- name: touch
update link set look_at = %(at)s, due = true, touched = touched + 1
where id = any(%(links)s::bigint[])

-- name: finish_listing
update scope set complete_at = %(at)s where id = %(scope)s

-- name: unseen
select {record} from record r
where r.scope = %(scope)s and r.state <> 'gone' and r.listing < %(listing)s
order by r.id

-- name: overtaken
select external_id from record
where scope = %(scope)s and state <> 'gone' and listing > %(listing)s
order by id

-- name: scopes_of
select distinct scope from record where id = any(%(ids)s::bigint[])

-- name: versions
select r.external_id, r.version from unnest(%(ids)s::text[]) wanted (id)
cross join lateral (
  select external_id, version, state from record
  where scope = %(scope)s and external_id = wanted.id limit 1) r
where r.state <> 'gone'
