-- name: claim
-- Wins only over the version that is known to be too old, when nobody is at it and nothing cools.
insert into oauth_grant as g (account, name, seed, kept_at, refreshing_until)
select %(account)s, %(name)s, %(seed)s, at, at + make_interval(secs => %(lease)s)
from (select coalesce(%(at)s, clock_timestamp()) as at) clock
where %(seen)s = 0 or exists (
  select from oauth_grant
  where account = %(account)s and name = %(name)s and seed = %(seed)s)
on conflict (tenant, account, name, seed) do update
set refreshing_until = excluded.refreshing_until
where g.version = %(seen)s and (g.refreshing_until is null or g.refreshing_until <= excluded.kept_at)
  and (g.not_before is null or g.not_before <= excluded.kept_at)
returning version, sealed, key_id

-- name: grant
select coalesce(%(at)s, clock_timestamp()), version, sealed, key_id, good_until, not_before, code,
  says
from oauth_grant where account = %(account)s and name = %(name)s and seed = %(seed)s

-- name: keep
insert into oauth_grant as g (account, name, seed, version, sealed, key_id, kept_at, good_until)
select %(account)s, %(name)s, %(seed)s, %(version)s + 1, %(sealed)s, %(key_id)s, at,
  at + make_interval(secs => %(seconds)s)
from (select coalesce(%(at)s, clock_timestamp()) as at) clock
on conflict (tenant, account, name, seed) do update
set version = excluded.version, sealed = excluded.sealed, key_id = excluded.key_id,
  kept_at = excluded.kept_at, good_until = excluded.good_until, refreshing_until = null,
  failures = 0, not_before = null, code = '', says = ''
where g.version = %(version)s
returning version

-- name: outgrown
-- What grew from something else that a person gave before; whoever still uses it has its day.
delete from oauth_grant
where account = %(account)s and name = %(name)s and seed <> %(seed)s
  and kept_at < coalesce(%(at)s, clock_timestamp()) - interval '7 days'

-- name: lock_grant
select failures, coalesce(%(at)s, clock_timestamp()) from oauth_grant
where account = %(account)s and name = %(name)s and seed = %(seed)s and version = %(version)s
for update

-- name: fail
update oauth_grant set failures = %(failures)s, code = %(code)s, says = %(says)s,
  not_before = %(not_before)s, refreshing_until = null
where account = %(account)s and name = %(name)s and seed = %(seed)s and version = %(version)s

-- name: forgive
update oauth_grant set not_before = null where account = %(account)s

-- name: sealed
select account, name, seed, key_id, sealed from oauth_grant where sealed is not null for update

-- name: reseal
update oauth_grant set sealed = %(sealed)s, key_id = %(key_id)s
where account = %(account)s and name = %(name)s and seed = %(seed)s
