-- name: add_member
insert into member (name, mail, presets, person, added_at)
values (%(name)s, %(mail)s, %(presets)s, %(person)s, %(at)s)
on conflict (tenant, name) do nothing
returning id, name, mail, presets, person, added_at

-- name: members
select id, name, mail, presets, person, added_at from member
where (%(name)s::text is null or name = %(name)s) and (%(id)s::bigint is null or id = %(id)s)
order by name

-- name: set_presets
update member set presets = %(presets)s where name = %(name)s

-- name: remove_member
delete from member where name = %(name)s returning id

-- name: add_token
insert into api_token (member, name, digest, scopes, made_by, made_at, expires_at)
values (%(member)s, %(name)s, %(digest)s, %(scopes)s, %(by)s, %(at)s, %(expires_at)s)
returning id

-- name: tokens
select t.id, t.name, m.name, t.scopes, t.made_by, t.made_at, t.expires_at, t.used_at, t.revoked_at
from api_token t join member m on m.id = t.member
where %(id)s::bigint is null or t.id = %(id)s
order by t.id

-- name: revoke_token
update api_token set revoked_at = %(at)s where id = %(id)s and revoked_at is null returning id

-- name: token_used
update api_token set used_at = %(at)s
where id = %(id)s and (used_at is null or used_at < %(at)s - interval '1 minute')

-- name: token_places
select tenant, id from token_places(%(digest)s)
