-- name: expect
insert into scope_watch (scope, since)
select id, %(at)s from scope where id = any(%(scopes)s::bigint[])
on conflict do nothing

-- name: forget
delete from scope_watch where not scope = any(%(scopes)s::bigint[])

-- name: note_read
-- What a read proved counts only with a complete listing behind it; an empty one that follows
-- upon many records is remembered until something is there again.
insert into scope_watch (scope, since, tried_at, proven_at, evidence, error, error_code, emptied)
select s.id, %(began)s, %(began)s,
  case when %(error)s = '' and s.complete_at is not null then %(began)s::timestamptz end,
  %(evidence)s, %(error)s, %(code)s, case when %(empty)s then %(before)s else 0 end
from scope s where s.id = %(scope)s
on conflict (tenant, scope) do update set
  tried_at = greatest(scope_watch.tried_at, excluded.tried_at),
  proven_at = greatest(scope_watch.proven_at, excluded.proven_at),
  evidence = case when %(error)s = '' then excluded.evidence else scope_watch.evidence end,
  error = excluded.error, error_code = excluded.error_code,
  emptied = case when %(empty)s then greatest(scope_watch.emptied, excluded.emptied)
    when %(shown)s then 0 else scope_watch.emptied end

-- name: restarted
update scope_watch set restarted_at = %(at)s where scope = any(%(scopes)s::bigint[])

-- name: note_calls
insert into call_tally (account, at, answered, paused, failed)
select id, %(at)s, %(answered)s, %(paused)s, %(failed)s from account where name = %(account)s
on conflict (tenant, account, at) do update set answered = call_tally.answered + excluded.answered,
  paused = call_tally.paused + excluded.paused, failed = call_tally.failed + excluded.failed

-- name: note_answer
insert into account_watch (account, since, answered_at)
select id, %(at)s, %(at)s from account where name = %(account)s
on conflict (tenant, account) do update
set answered_at = greatest(account_watch.answered_at, excluded.answered_at)

-- name: note_end
insert into account_watch (account, since, deprecated_at, sunset_at, more, end_told_at)
select id, %(at)s, %(deprecated_at)s, %(sunset_at)s, %(more)s, %(at)s
from account where name = %(account)s
on conflict (tenant, account) do update set deprecated_at = excluded.deprecated_at,
  sunset_at = excluded.sunset_at, more = excluded.more, end_told_at = excluded.end_told_at

-- name: promise
insert into account_watch (account, since, promise) values (%(account)s, %(at)s, %(seconds)s)
on conflict (tenant, account) do update set promise = excluded.promise

-- name: scope_watches
select w.scope, s.account, s.title, s.live, w.since, w.tried_at, w.proven_at, w.evidence, w.error,
  w.error_code, w.emptied, w.restarted_at
from scope_watch w join scope s on s.id = w.scope order by w.scope

-- name: account_watches
select a.id, a.system, a.name, a.added_at, w.promise, w.answered_at, w.deprecated_at, w.sunset_at,
  coalesce(w.more, ''), w.end_told_at, coalesce(c.answered, 0), coalesce(c.paused, 0), coalesce(c.failed, 0),
  c.first_failed, c.last_failed, c.last_answered
from account a left join account_watch w on w.account = a.id
left join lateral (
  select sum(answered)::bigint as answered, sum(paused)::bigint as paused,
    sum(failed)::bigint as failed, min(at) filter (where failed > 0) as first_failed,
    max(at) filter (where failed > 0) as last_failed,
    max(at) filter (where answered > 0) as last_answered
  from call_tally t where t.account = a.id and t.at > %(since)s and t.at <= %(at)s
) c on true
order by a.name

-- name: state
-- What waits, in numbers: links that are due, that are held, that no retry will help.
select
  (select count(*) from link where due),
  (select count(*) from link where holds is not null),
  (select count(*) from link where holds is not null
    and (holds::text like '%%"reason":"refused"%%'
      or holds::text like '%%"reason":"outcome_unknown"%%'))

-- name: last_runs
select distinct on (r.recipe) r.recipe, c.name, r.id, r.ended_at, r.summary
from run r join recipe c on c.id = r.recipe
where r.ended_at is not null order by r.recipe, r.id desc

-- name: prune_calls
delete from call_tally where at < %(calls)s

-- name: prune_alerts
delete from alert where closed_at < %(alerts)s

-- name: prune_events
delete from webhook_event where at < %(events)s
