-- name: write
insert into audit (at, who, way, token, act, subject, outcome, old, new)
values (%(at)s, %(who)s, %(way)s, %(token)s, %(act)s, %(subject)s, %(outcome)s, %(old)s, %(new)s)

-- name: read
select id, at, who, way, token, act, subject, outcome, old, new from audit
where (%(before)s::bigint is null or id < %(before)s)
  and (%(word)s = '' or subject = %(word)s or who = %(word)s or act = %(word)s
    or starts_with(act, %(word)s || '.'))
order by id desc limit %(limit)s
