-- name: tenants
select tenants()

-- name: named
select tenant_named(%(name)s)

-- name: add
select add_tenant(%(name)s)

-- name: name
select name from workspace

-- name: rename
update workspace set name = %(name)s

-- name: remove
select remove_present_tenant()
