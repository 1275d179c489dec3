-- name: lock_recipe
insert into recipe (name, version) values (%(name)s, 0)
on conflict (tenant, name) do update set version = recipe.version
returning id, version

-- name: next_version
insert into recipe_version (recipe, version, toml, bindings, choices)
select %(recipe)s, coalesce(max(version), 0) + 1, %(toml)s, %(bindings)s, %(choices)s
from recipe_version where recipe = %(recipe)s
returning version

-- name: set_version
update recipe set version = %(version)s, removed_at = null where id = %(recipe)s

-- name: recipes
select r.id, r.name, v.version, v.toml, v.bindings, v.choices, v.installed_at, r.paused_at
from recipe r join recipe_version v on v.recipe = r.id and v.version = r.version
where (%(name)s::text is null or r.name = %(name)s) and (r.removed_at is not null) = %(removed)s
order by r.name

-- name: remove
update recipe set removed_at = now(), paused_at = null
where name = %(name)s and removed_at is null returning id

-- name: pause
update recipe set paused_at = %(at)s
where name = %(name)s and removed_at is null and paused_at is null returning id

-- name: resume
update recipe set paused_at = null, asked = asked + 1, due_at = least(due_at, %(at)s)
where name = %(name)s and removed_at is null and paused_at is not null returning id

-- name: paused
select paused_at is not null from recipe where id = %(recipe)s

-- name: history
select r.id, r.name, v.version, v.toml, v.bindings, v.choices, v.installed_at, r.paused_at
from recipe r join recipe_version v on v.recipe = r.id
where r.name = %(name)s
order by v.version

-- name: mirrors
select recipe, name, id from mirror

-- name: mirror
-- A mirror that is there is only read: asking for it writes nothing.
with known as (select id from mirror where recipe = %(recipe)s and name = %(name)s), made as (
  insert into mirror (recipe, name) select %(recipe)s, %(name)s where not exists (select from known)
  on conflict (tenant, recipe, name) do update set name = excluded.name
  returning id)
select id from known union all select id from made

-- name: touch_mirror
update link set look_at = %(at)s, due = true, touched = touched + 1
where id in (
  select id from link where mirror = %(mirror)s and state = 'live'
    and (%(links)s::bigint[] is null or id = any(%(links)s::bigint[]))
  order by id for no key update)

-- name: allow
insert into answer (recipe, about, answer, bound, answered_by, at)
values (%(recipe)s, %(brake)s, 'right', %(bound)s, %(by)s, %(at)s)

-- name: allowance
select coalesce(max(bound), 0)::bigint from answer
where recipe = %(recipe)s and about = %(brake)s and at >= %(since)s
