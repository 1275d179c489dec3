-- name: touching
-- Whoever lasts two days at most ends within two days after the stretch that it touches: so what
-- is read is bounded on both sides, however many visits come later.
select v.* from unnest(%(starts)s::timestamptz[], %(stops)s::timestamptz[]) s (start, stop)
cross join lateral (
  select * from record
  where scope = any(%(scopes)s::bigint[]) and state = 'live'
    and ends > s.start and ends < s.stop + interval '2 days' and begins < s.stop
    and ends - begins <= interval '2 days'
  union all
  select * from record
  where scope = any(%(scopes)s::bigint[]) and state = 'live'
    and ends > s.start and begins < s.stop and ends - begins > interval '2 days') v
union all
select * from record
where scope = any(%(scopes)s::bigint[]) and state = 'live' and recurring
  and begins < (select max(stop) from unnest(%(stops)s::timestamptz[]) stop)
