-- name: begin
insert into api_reply (token, route, key, asked, at)
values (%(token)s, %(route)s, %(key)s, %(asked)s, %(at)s)
on conflict (tenant, token, route, key) do update
  set asked = excluded.asked, at = excluded.at, status = null, headers = null, body = null
  where api_reply.at < %(at)s - %(kept)s
    or api_reply.status is null and api_reply.at < %(at)s - %(longest)s
returning key

-- name: known
select asked, status, headers, body from api_reply
where token = %(token)s and route = %(route)s and key = %(key)s

-- name: forget_old
delete from api_reply where at < %(at)s - %(kept)s

-- name: end
update api_reply set status = %(status)s, headers = %(headers)s, body = %(body)s
where token = %(token)s and route = %(route)s and key = %(key)s

-- name: drop
delete from api_reply where token = %(token)s and route = %(route)s and key = %(key)s
