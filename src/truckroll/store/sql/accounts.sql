-- name: new_account_id
select nextval('account_id_seq')

-- name: insert_account
insert into account (id, system, name, settings, zone, sealed, key_id)
values (%(id)s, %(system)s, %(name)s, %(settings)s, %(zone)s, %(sealed)s, %(key_id)s)

-- name: update_account
update account set settings = %(settings)s, zone = %(zone)s, sealed = %(sealed)s,
  key_id = %(key_id)s where id = %(id)s

-- name: accounts
select id, system, name, settings, zone, sealed, key_id from account order by name

-- name: account
select id, system, name, settings, zone, sealed, key_id from account
where name = %(name)s for update

-- name: identity
select identity from account where id = %(id)s

-- name: set_identity
update account set identity = %(identity)s where id = %(id)s

-- name: remove_account
delete from account where id = %(id)s

-- name: reseal
update account set sealed = %(sealed)s, key_id = %(key_id)s where id = %(id)s

-- name: put_scope
insert into scope (account, external_id, title, kind, writable, owner)
values (%(account)s, %(external_id)s, %(title)s, %(kind)s, %(writable)s, %(owner)s)
on conflict (tenant, account, external_id) do update set title = excluded.title,
  kind = excluded.kind, writable = excluded.writable, owner = excluded.owner

-- name: scopes
select id, account, external_id, title, kind, writable, owner, cursor, complete_at, live
from scope where (%(account)s::bigint is null or account = %(account)s)
  and (%(id)s::bigint is null or id = %(id)s)
order by id

-- name: forget_cursors
update scope set cursor = null, complete_at = null where account = %(account)s

-- name: forget_versions
update record set version = null
where scope in (select id from scope where account = %(account)s)

-- name: touch_account
update link set look_at = %(at)s, due = true, touched = touched + 1
where id in (
  select id from link where id in (select link from link_end where account = %(account)s)
  order by id for no key update)

-- name: people
select name, account, scope, confirmed_by, confirmed_at from person order by name

-- name: map_person
insert into person (name, account, scope, confirmed_by, confirmed_at)
values (%(name)s, %(account)s, %(scope)s, %(by)s, %(at)s)
on conflict (tenant, name) do update set account = excluded.account, scope = excluded.scope,
  confirmed_by = excluded.confirmed_by, confirmed_at = excluded.confirmed_at

-- name: unmap_person
delete from person where name = %(name)s

-- name: people_seen
-- `people` is a list wherever it was read; anything else has no names in it.
select person, count(*)::bigint from ({records}) r, json_array_elements_text(
    case json_typeof(r.fields -> 'people') when 'array' then r.fields -> 'people' else '[]' end
  ) person
where person <> ''
group by person order by person

-- name: ever
select fields from record where scope = any(%(scopes)s::bigint[]) and state = 'live'

-- name: lately
select fields from record
where scope = any(%(scopes)s::bigint[]) and state = 'live' and ends > %(since)s
union all
select fields from record
where scope = any(%(scopes)s::bigint[]) and state = 'live' and recurring

-- name: database
select current_setting('server_version'), pg_database_size(current_database())
