-- name: story
select at, code, text, link_end, run, data from story where link = %(link)s order by id

-- name: find_exactly
select l.id from link l where l.mirror = any(%(mirrors)s::bigint[]) and l.key = %(ref)s
union
select e.link from record r join link_end e on e.record = r.id
where (r.number = lower(%(ref)s) or (r.external_id = %(ref)s and r.scope in (select id from scope)))
  and e.mirror = any(%(mirrors)s::bigint[])
order by 1 limit %(limit)s

-- name: find_by_title
select distinct e.link from record r join link_end e on e.record = r.id
where strpos(lower(r.fields ->> 'title'), lower(%(ref)s)) > 0
  and e.mirror = any(%(mirrors)s::bigint[])
order by 1 limit %(limit)s

-- name: mirrors
select id from mirror where %(mirror)s::bigint is null or id = %(mirror)s

-- name: find_records
select {record} from record r
where (r.number = lower(%(ref)s) or r.external_id = %(ref)s or r.mark = %(ref)s
    or strpos(lower(r.fields ->> 'title'), lower(%(ref)s)) > 0)
  and not exists (select from link_end e where e.record = r.id)
order by r.id limit %(limit)s

-- name: held
select {link} from link l
where l.mirror in (select id from mirror where recipe = %(recipe)s) and l.holds is not null
order by l.id

-- name: holds_of
select id, holds from link where id = any(%(ids)s::bigint[])

-- name: lock_end
select e.holds from link_end e where e.id = %(end)s and e.link = %(link)s

-- name: answer_field
update link_end set holds = %(holds)s where id = %(end)s

-- name: answer_link
update link set hold = '', hold_detail = '', holds = null where id = %(link)s

-- name: answered
update link set row = row + 1, look_at = %(at)s, due = true, touched = touched + 1
where id = %(link)s

-- name: insert_answer
insert into answer (link, link_end, about, answer, answered_by, at)
values (%(link)s, %(end)s, %(field)s, %(answer)s, %(by)s, %(at)s)

-- name: accepted
select distinct link from answer
where link = any(%(links)s::bigint[]) and link_end = 0 and answer = 'accept'

-- name: records_numbered
select {record} from record r
where r.number = lower(%(number)s) and r.scope = any(%(scopes)s::bigint[]) and r.state = 'live'
order by r.begins, r.id limit %(limit)s

-- name: appointments_between
select {record} from ({touching}) r
where %(people)s::text[] is null or case json_typeof(r.fields -> 'people') when 'array' then
  exists (select from json_array_elements_text(r.fields -> 'people') person
    where person = any(%(people)s::text[])) else false end

-- name: numbers_like
select distinct r.fields ->> 'number' from record r
where starts_with(r.number, left(lower(%(ref)s), greatest(2, length(%(ref)s) - 2)))
order by 1 limit %(limit)s
