-- name: rows
select id, recipe, act, kind, spec, zone, person, last_at, next_at, note from timetable
where %(id)s::bigint is null or id = %(id)s
order by next_at, id

-- name: put
insert into timetable (recipe, act, kind, spec, zone, person, next_at)
values (%(recipe)s, %(act)s, %(kind)s, %(spec)s, %(zone)s, %(person)s, %(next_at)s)
on conflict (tenant, recipe, act, kind, spec, person)
do update set zone = excluded.zone, next_at = excluded.next_at
returning id

-- name: remove
delete from timetable where id = %(id)s returning id

-- name: ran
-- Only who finds the row as it was due moves it on: no instant counts twice.
update timetable set last_at = %(at)s, next_at = %(next_at)s, note = %(note)s
where id = %(id)s and next_at = %(due_at)s
returning id
