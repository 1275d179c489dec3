-- name: keep
-- The rows of the subscriptions are locked in one order, so that batches wait for each other there.
with there as (
  select id, scope, account from subscription where id = any (%(ids)s::bigint[]) order by id
  for no key update
), kept as (
  insert into push (subscription, delivery, at, query, headers, body)
  select came.* from unnest(%(subscription)s::bigint[], %(delivery)s::bytea[],
    %(at)s::timestamptz[], %(query)s::text[], %(headers)s::text[]::json[], %(body)s::bytea[])
    as came (subscription, delivery, at, query, headers, body)
  join there on there.id = came.subscription
  order by 1, 2
  on conflict do nothing returning subscription, delivery
)
select id, null::bytea, scope, account from there
union all select subscription, delivery, null, null from kept

-- name: mark_doubled
update push set doubled = push.doubled + d.number
from unnest(%(subscription)s::bigint[], %(delivery)s::bytea[], %(number)s::bigint[])
  as d (subscription, delivery, number)
where push.subscription = d.subscription and push.delivery = d.delivery

-- name: keep_odd
insert into push_odd (subscription, delivery, number, reason, raw)
select * from unnest(%(subscription)s::bigint[], %(delivery)s::bytea[], %(number)s::integer[],
  %(reason)s::text[], %(raw)s::bytea[])
on conflict do nothing

-- name: tell
-- Arrays are worked out once, whatever the planner believes of tables that it knows nothing of yet.
-- Systems tell of the hub's own writes too: while it writes in a scope, that is read now and then.
with written as materialized (
  select scope, max(at) as at from tally
  where at > %(due_at)s::timestamptz - make_interval(secs => %(together)s) group by scope
), heard as (
  update subscription set heard_at = greatest(heard_at, %(heard_at)s), doubted = false,
    pushes = subscription.pushes + n.pushes, doubled = subscription.doubled + n.doubled
  from unnest(%(ids)s::bigint[], %(pushes)s::bigint[], %(doubled)s::bigint[])
    as n (id, pushes, doubled)
  where subscription.id = n.id
), due as (
  update scope set due_at = least(due_at, greatest(%(due_at)s::timestamptz, (
      select w.at + make_interval(secs => %(together)s) from written w where w.scope = scope.id))),
    asked = asked + 1,
    pushed_at = least(pushed_at, %(due_at)s::timestamptz), trace = %(trace)s
  where id = any (array(
    select id from scope where id = any (%(scopes)s::bigint[] || array(
      select id from scope where account = any (%(whole)s::bigint[])
      union all
      select c.id from unnest(%(accounts)s::bigint[], %(names)s::text[]) as w (account, name)
      join scope c on c.account = w.account and c.external_id = w.name
    )) order by id for no key update))
)
select pg_notify('truckroll_due', '') where %(due_at)s::timestamptz is not null

-- name: ask_to_read
update scope set due_at = least(due_at, %(at)s), asked = asked + 1
where id = any (array(
  select id from scope where id = any (%(scopes)s::bigint[]) order by id for no key update))

-- name: notify
select pg_notify('truckroll_due', '')

-- name: refused
update subscription set refused = subscription.refused + n.number
from unnest(%(ids)s::bigint[], %(numbers)s::bigint[]) as n (id, number)
where subscription.id = n.id

-- name: pushes
select subscription, at, query, headers, body, doubled from push
where subscription = %(subscription)s order by at desc, delivery limit %(limit)s

-- name: odd
select subscription, number, reason, raw from push_odd
where subscription = %(subscription)s order by delivery, number limit %(limit)s

-- name: prune
with pruned as (
  delete from push where at < %(before)s
    and (at < %(odd_before)s or not exists (
      select from push_odd o
      where o.subscription = push.subscription and o.delivery = push.delivery))
  returning 1)
select count(*) from pruned
