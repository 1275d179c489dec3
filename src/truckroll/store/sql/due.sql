-- name: tick
select pg_try_advisory_lock(hashtextextended('truckroll.tick', 0))

-- name: tick_done
select pg_advisory_unlock(hashtextextended('truckroll.tick', 0))

-- name: due_work
select kind, tenant, about, account, due_at from due_work(%(at)s, %(each)s, %(kinds)s::text[],
  %(tenants)s::bigint[], %(abouts)s::bigint[])

-- name: loose
select tenant, recipe from loose_recipes()

-- name: restless
select restless()

-- name: tenants
select tenants()

-- name: due_rows
select tenant, id from due_rows(%(at)s, %(most)s)

-- name: make_due
update scope set due_at = least(coalesce(due_at, %(at)s), %(at)s), asked = asked + 1,
  whole = whole or %(whole)s
where id in (select id from scope where id = any(%(scopes)s::bigint[]) order by id
  for no key update)

-- name: make_recipes_due
update recipe set due_at = least(coalesce(due_at, %(at)s), %(at)s), asked = asked + 1
where id in (select id from recipe where id = any(%(recipes)s::bigint[]) order by id
  for no key update)

-- name: put_off_scope
update scope set due_at = %(at)s where id = %(id)s and due_at < %(at)s

-- name: put_off_recipe
update recipe set due_at = %(at)s where id = %(id)s and due_at < %(at)s

-- name: wake
select pg_notify('truckroll_due', '')

-- name: scope_troubles
select id, asked, whole, failures, trouble, trouble_code, emptied, poll_seconds, due_at, tried_at,
  trace, exists (select from subscription s
    where s.account = scope.account and s.scope = scope.id and s.state = 'live'
      and (s.expires_at is null or s.expires_at > now())),
  complete_at is not null
from scope where id = any(%(scopes)s::bigint[])

-- name: scope_read
-- Whoever asked while the scope was being read is not answered by that read.
update scope set due_at = case when asked = %(asked)s then %(next)s else due_at end,
  whole = whole and not (asked = %(asked)s and %(complete)s),
  failures = %(failures)s, trouble = %(trouble)s, trouble_code = %(code)s,
  emptied = %(emptied)s, tried_at = %(at)s,
  trace = case when asked = %(asked)s then '' else trace end,
  pushed_at = case when asked = %(asked)s then null else pushed_at end
where id = %(scope)s

-- name: news
-- The recipes of a scope are told in the transaction that forgets that they are to be told.
with told as (
  update scope set stirred = false where id = %(scope)s and (stirred or %(anyhow)s)
  returning trace, pushed_at)
update recipe r set due_at = least(coalesce(r.due_at, %(at)s), %(at)s), asked = r.asked + 1,
  trace = coalesce(nullif(told.trace, ''), r.trace),
  pushed_at = least(r.pushed_at, told.pushed_at)
from told where r.id = any(%(recipes)s::bigint[])
returning r.id

-- name: pause_account
update scope set due_at = greatest(due_at, %(until)s), failures = greatest(failures, 1),
  trouble = %(trouble)s, trouble_code = %(code)s
where account = %(account)s and due_at is not null
  and (select settings from workspace) = %(settings)s
returning id

-- name: recipe_agenda
select asked, failures, trouble, due_at, settled_at, trace, pushed_at from recipe where id = %(recipe)s

-- name: recipe_settled
update recipe set due_at = case when asked = %(asked)s then %(next)s else due_at end,
  failures = %(failures)s, trouble = %(trouble)s, settled_at = %(at)s,
  trace = case when asked = %(asked)s then '' else trace end,
  pushed_at = case when asked = %(asked)s then null else pushed_at end
where id = %(recipe)s

-- name: next_look
select exists (select from link where mirror = %(mirror)s and due)
    or exists (select from link where mirror = %(mirror)s and not due and look_at <= %(at)s)
    or exists (select from step where recipe = %(recipe)s and open),
  (select min(look_at) from link where mirror = %(mirror)s and not due and look_at > %(at)s)

-- name: calm
update scope set emptied = 0 where id = any(%(scopes)s::bigint[]) and emptied > 0

-- name: settings
select settings from workspace

-- name: watch_used
update scope set due_at = %(at)s, asked = asked + 1,
  failures = case when trouble_code = %(signed_out)s then 0 else failures end
where id = any(%(scopes)s::bigint[]) and (due_at is null or trouble_code = %(signed_out)s)

-- name: watch_unused
update scope set due_at = null where due_at is not null and not id = any(%(scopes)s::bigint[])

-- name: watched
update workspace set watched = %(settings)s

-- name: clamp
update scope set due_at = %(at)s where due_at > %(at)s + make_interval(
  secs => case when failures > 0 then 0 else coalesce(poll_seconds, %(longest)s) end)

-- name: clamp_recipes
update recipe set due_at = %(at)s, asked = asked + 1 where due_at > %(at)s

-- name: clamp_links
update link set look_at = %(at)s where due and look_at > %(at)s

-- name: clamp_leases
update lease set until = clock_timestamp() + make_interval(secs => %(lease)s)
where holder is not null and until > clock_timestamp() + make_interval(secs => %(lease)s)

-- name: clamp_steps
-- What a system may show late is waited for from the leap on.
update step set opened_at = %(at)s where open and opened_at > %(at)s

-- name: set_poll
update scope set poll_seconds = %(seconds)s, asked = asked + 1,
  due_at = case when due_at is null then null else least(due_at, %(at)s) end
where account = %(account)s

-- name: stale
select id, account from scope
where due_at is not null and not whole and failures = 0
  and complete_at < %(before)s
order by complete_at limit %(most)s

-- name: spend
insert into spent (account, day, calls) values (%(account)s, %(day)s, %(calls)s)
on conflict (tenant, account, day) do update set calls = spent.calls + excluded.calls

-- name: spent
select coalesce(sum(calls), 0)::bigint from spent where account = %(account)s and day = %(day)s

-- name: stumble
update link set tries = tries + %(more)s, holds = %(holds)s, due = false,
  look_at = case when tries + %(more)s >= %(most)s then null else %(again)s end
where id = %(link)s
returning tries
