-- name: new_endpoint_id
select nextval('webhook_endpoint_id_seq')

-- name: add_endpoint
insert into webhook_endpoint (id, url, types, private, sealed, key_id, added_at)
values (%(id)s, %(url)s, %(types)s, %(private)s, %(sealed)s, %(key_id)s, %(at)s)

-- name: endpoints
select e.id, e.url, e.types, e.private, e.sealed, e.key_id, e.added_at, e.paused_at, e.paused_why,
  (select count(*) from webhook_delivery d where d.endpoint = e.id and d.done_at is null)
from webhook_endpoint e order by e.id

-- name: remove_endpoint
delete from webhook_endpoint where id = %(id)s returning id

-- name: reseal_endpoint
update webhook_endpoint set sealed = %(sealed)s, key_id = %(key_id)s where id = %(id)s

-- name: test_event
with event as (
  insert into webhook_event (type, at, data) values ('webhook.test', %(at)s, %(data)s)
  returning id)
insert into webhook_delivery (endpoint, event, next_at)
select e.id, event.id, %(at)s from event, webhook_endpoint e where e.id = %(endpoint)s
returning id

-- name: take_deliveries
-- At most so many of one endpoint, so that one that hangs holds up no other; see take_messages.
with due as (
  select d.id from webhook_endpoint e cross join lateral (
    select id from webhook_delivery d
    where d.endpoint = e.id and d.next_at <= %(at)s and d.done_at is null
    order by next_at, id limit %(each)s for update skip locked) d
  where %(endpoint)s::bigint is null or e.id = %(endpoint)s)
update webhook_delivery d set next_at = %(until)s, attempts = attempts + 1,
  first_at = coalesce(first_at, %(at)s), last_at = %(at)s
from due, webhook_endpoint e, webhook_event v
where d.id = due.id and e.id = d.endpoint and v.id = d.event
returning d.id, d.attempts, d.first_at, e.id, e.url, e.private, e.sealed, e.key_id, v.key, v.type,
  v.at, v.data

-- name: delivered
-- A late word of one that lost its lease does no harm: done stays done.
update webhook_delivery set done_at = %(done_at)s, next_at = %(next_at)s, status = %(status)s,
  ms = %(ms)s, head = %(head)s, problem = %(problem)s
where id = %(id)s and done_at is null

-- name: pause_endpoint
update webhook_endpoint set paused_at = %(at)s, paused_why = %(why)s
where id = %(id)s and paused_at is null

-- name: pause_deliveries
update webhook_delivery set next_at = null where endpoint = %(id)s and next_at is not null

-- name: resume_endpoint
update webhook_endpoint set paused_at = null, paused_why = '' where id = %(id)s returning id

-- name: resume_deliveries
update webhook_delivery set next_at = %(at)s, first_at = null, attempts = 0
where endpoint = %(id)s and done_at is null

-- name: redeliver
update webhook_delivery set next_at = %(at)s, done_at = null, first_at = null, attempts = 0
where id = %(id)s and exists (
  select from webhook_endpoint e where e.id = endpoint and e.paused_at is null)
returning id

-- name: deliveries
select d.id, d.endpoint, v.key, v.type, v.at, d.attempts, d.next_at, d.last_at, d.done_at,
  d.status, d.ms, d.head, d.problem
from webhook_delivery d join webhook_event v on v.id = d.event
where (%(endpoint)s::bigint is null or d.endpoint = %(endpoint)s)
  and (%(id)s::bigint is null or d.id = %(id)s)
  and (%(before)s::bigint is null or d.id < %(before)s)
order by d.id desc limit %(limit)s

-- name: last_delivered
select max(done_at) from webhook_delivery where endpoint = %(id)s
