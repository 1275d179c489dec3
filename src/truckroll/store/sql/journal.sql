-- name: days
select journal_days from workspace

-- name: keep
update workspace set journal_days = %(days)s

-- name: oldest
select min(started_at) from (select started_at from run order by id limit 1) r

-- name: forget_runs
-- The oldest are those of the lowest ids: what is not to be forgotten is looked at once, not all.
with old as (
  select r.id from (
    select id, started_at from run
    where not exists (select from step where run = run.id and open)
    order by id limit %(most)s) r
  where r.started_at < %(before)s),
written as (delete from step where run in (select id from old))
delete from run where id in (select id from old) returning id

-- name: forget_lines
-- The last line of a link stays, however old it is: why it is as it is.
with next as (
  select id, link, at from story
  where id > (select forgotten from workspace) order by id limit %(most)s),
old as (select id, link from next where at < %(before)s),
gone as (
  delete from story where id in (select id from old
    where exists (select from story s where s.link = old.link and s.id > old.id)))
update workspace set forgotten = (select max(id) from old)
where exists (select from old) returning forgotten

-- name: forget_counts
delete from tally where at < %(before)s
