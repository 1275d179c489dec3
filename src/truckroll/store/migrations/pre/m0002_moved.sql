-- A moved record is found by the series of the one that is gone.
create index record_series on record (tenant, series) where series is not null and state = 'gone';

-- Records that adoption passed over, since the hub's mark on them may come to mean that they were
-- moved: they are few, and looked at each time.
alter table adoption add again bigint[] not null default '{}';

alter table recipe add removed_at timestamptz;
