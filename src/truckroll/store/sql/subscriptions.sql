-- name: subscription_at
select tenant, id from subscription_at(%(path)s)

-- name: new_id
select nextval('subscription_id_seq')

-- name: place
select id from subscription
where account = %(account)s and scope is not distinct from %(scope)s::bigint

-- name: insert
insert into subscription (id, account, scope, state, path, sealed, key_id, made_at, live_at)
values (%(id)s, %(account)s, %(scope)s, %(state)s, %(path)s, %(sealed)s, %(key_id)s, %(at)s,
  case when %(state)s = 'live' then %(at)s::timestamptz end)
on conflict do nothing returning id

-- name: subscriptions
select s.id, s.account, s.scope, s.state, s.sealed, s.key_id, s.remote, s.more, a.system,
  s.made_at, s.live_at, s.expires_at, s.heard_at, s.looked_at, s.try_at, s.tries, s.problem,
  s.busy_until, s.epoch, s.pushes, s.doubled, s.refused, s.swept, s.doubted
from subscription s join account a on a.id = s.account
where (%(id)s::bigint is null or s.id = %(id)s)
  and (%(account)s::bigint is null or s.account = %(account)s)
order by s.id

-- name: lock
select s.id, s.account, s.scope, s.state, s.sealed, s.key_id, s.remote, s.more, a.system,
  s.made_at, s.live_at, s.expires_at, s.heard_at, s.looked_at, s.try_at, s.tries, s.problem,
  s.busy_until, s.epoch, s.pushes, s.doubled, s.refused, s.swept, s.doubted
from subscription s join account a on a.id = s.account
where s.id = %(id)s and s.epoch = %(epoch)s for no key update of s

-- name: claim
update subscription set epoch = epoch + 1, busy_until = %(until)s, sealed = %(sealed)s,
  key_id = %(key_id)s
where id = %(id)s

-- name: reseal
update subscription set sealed = %(sealed)s, key_id = %(key_id)s where id = %(id)s

-- name: settle
update subscription set state = 'live', remote = %(remote)s, more = %(more)s,
  expires_at = %(expires_at)s, live_at = case when %(anew)s then %(at)s else live_at end,
  looked_at = %(at)s, try_at = null, tries = 0, problem = '', busy_until = null, doubted = false,
  sealed = %(sealed)s, key_id = %(key_id)s
where id = %(id)s

-- name: fail
update subscription set try_at = %(try_at)s, tries = tries + 1, problem = %(problem)s,
  busy_until = null, state = case when %(lost)s and state = 'live' then 'lost' else state end
where id = %(id)s and epoch = %(epoch)s

-- name: looked
update subscription set looked_at = %(at)s, busy_until = null, try_at = null, tries = 0,
  problem = ''
where id = %(id)s and epoch = %(epoch)s

-- name: turn
update subscription set state = %(state)s, epoch = epoch + 1, busy_until = null, try_at = null,
  problem = '', tries = 0
where id = %(id)s

-- name: remove
delete from subscription where id = %(id)s

-- name: note_read
-- A push that came since the read before tells of what this one found. Otherwise nobody did.
update subscription set read_at = %(began)s,
  swept = swept + case when told.missed then %(found)s else 0 end,
  doubted = doubted or told.missed
from (
  select id, %(found)s > 0 and state = 'live' and read_at is not null and live_at <= read_at
    and (heard_at is null or heard_at < read_at) as missed
  from subscription where scope = %(scope)s for no key update
) told
where subscription.id = told.id
returning told.missed
