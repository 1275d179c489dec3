-- name: lock_alerts
select pg_advisory_xact_lock(hashtextextended('truckroll.alerts ' || %(tenant)s, 0))

-- name: open_alerts
select id, code, about, gone_at, told_at from alert where closed_at is null

-- name: open_alert
insert into alert (code, about, says, act, opened_at)
values (%(code)s, %(about)s, %(says)s, %(act)s, %(at)s)

-- name: keep_alert
update alert set says = %(says)s, act = %(act)s, gone_at = null where id = %(id)s

-- name: reason_gone
update alert set gone_at = %(at)s where id = %(id)s

-- name: close_alert
update alert set closed_at = %(at)s where id = %(id)s

-- name: tell_opened
-- One message per channel, once for each alert; while it is silenced nobody is told.
with told as (
  update alert a set told_at = %(at)s
  where closed_at is null and told_at is null and gone_at is null
    and exists (select from alert_channel)
    and not exists (select from alert_silence s
      where s.code = a.code and s.about = a.about and s.until > %(at)s)
  returning id)
insert into alert_message (alert, channel, what, made_at, next_at)
select told.id, c.id, 'opened', %(at)s, %(at)s from told cross join alert_channel c
returning id

-- name: tell_closed
insert into alert_message (alert, channel, what, made_at, next_at)
select alert, channel, 'closed', %(at)s, %(at)s from alert_message
where alert = any(%(ids)s::bigint[]) and what = 'opened'
on conflict do nothing
returning id

-- name: alerts
select a.id, a.code, a.about, a.says, a.act, a.opened_at, a.closed_at, a.told_at,
  (select s.until from alert_silence s
    where s.code = a.code and s.about = a.about and s.until > %(at)s)
from alert a where a.closed_at is null or %(closed)s
order by a.closed_at desc nulls first, a.id desc limit %(limit)s

-- name: silence
insert into alert_silence (code, about, until)
select code, about, %(until)s from alert where id = %(id)s
on conflict (tenant, code, about) do update set until = excluded.until
returning code

-- name: channels
select id, name, kind, sealed, key_id, added_at from alert_channel order by name

-- name: new_channel_id
select nextval('alert_channel_id_seq')

-- name: add_channel
insert into alert_channel (id, name, kind, sealed, key_id, added_at)
values (%(id)s, %(name)s, %(kind)s, %(sealed)s, %(key_id)s, %(at)s)

-- name: remove_channel
delete from alert_channel where name = %(name)s returning id

-- name: reseal_channel
update alert_channel set sealed = %(sealed)s, key_id = %(key_id)s where id = %(id)s

-- name: take_messages
-- Taken until `until`: whoever dies meanwhile leaves it to the next. That something is over is
-- told after what it was.
with taken as (
  select id from alert_message m where next_at <= %(at)s
    and not (what = 'closed' and exists (
      select from alert_message o where o.alert = m.alert and o.channel = m.channel
        and o.what = 'opened' and o.next_at is not null))
  order by next_at, id limit %(limit)s for update skip locked)
update alert_message m set next_at = %(until)s, attempts = attempts + 1
from taken, alert a, alert_channel c
where m.id = taken.id and a.id = m.alert and c.id = m.channel
returning m.id, m.what, m.made_at, m.attempts, c.id, c.name, c.kind, c.sealed, c.key_id, a.id,
  a.code, a.about, a.says, a.act, a.opened_at, a.closed_at

-- name: message_done
update alert_message set sent_at = %(sent_at)s, next_at = %(next_at)s, problem = %(problem)s
where id = %(id)s and sent_at is null

-- name: failing_channels
-- Those whose latest message could not be sent.
select c.name, m.problem from alert_channel c cross join lateral (
  select problem, sent_at from alert_message m
  where m.channel = c.id and (problem <> '' or sent_at is not null)
  order by id desc limit 1) m
where m.sent_at is null order by c.name
