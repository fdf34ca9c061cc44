-- What src/storage/schedules.ts has SQLite run, written by test/storage/sql.test.ts.

-- create
insert into schedules ("env_id", "id", "workflow", "recipient", "actor", "tenant_id", "data", "repeats",
    "scheduled_at", "ending_at", "next_at", "last_at", "lease_until", "ready_at", "created_at", "updated_at")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- read
select s.env_id, s.id, s.workflow, s.recipient, s.actor, s.tenant_id, s.data, s.repeats, s.scheduled_at,
    s.ending_at, s.next_at, s.last_at, s.lease_until, s.ready_at, s.created_at, s.updated_at
from schedules as s
where s.env_id = ? and s.id in (
  select value
  from json_each(?));

-- update
update schedules
set workflow = v.workflow, recipient = v.recipient, actor = v.actor, tenant_id = v.tenant_id, data = v.data,
    repeats = v.repeats, scheduled_at = v.scheduled_at, ending_at = v.ending_at, next_at = v.next_at,
    last_at = v.last_at, lease_until = v.lease_until, ready_at = v.ready_at, updated_at = v.updated_at
from (
  select ? as "env_id", ? as "id", ? as "workflow", ? as "recipient", ? as "actor", ? as "tenant_id",
      ? as "data", ? as "repeats", ? as "scheduled_at", ? as "ending_at", ? as "next_at", ? as "last_at",
      ? as "lease_until", ? as "ready_at", ? as "created_at", ? as "updated_at") as v
where schedules.env_id = v.env_id and schedules.id = v.id and schedules.recipient = v.recipient
    and schedules.last_at is not distinct from v.last_at
returning schedules.env_id, schedules.id;

-- list
select s.env_id, s.id, s.workflow, s.recipient, s.actor, s.tenant_id, s.data, s.repeats, s.scheduled_at,
    s.ending_at, s.next_at, s.last_at, s.lease_until, s.ready_at, s.created_at, s.updated_at
from schedules as s
where s.env_id = ?
order by s.id desc
limit ?;

-- list
select s.env_id, s.id, s.workflow, s.recipient, s.actor, s.tenant_id, s.data, s.repeats, s.scheduled_at,
    s.ending_at, s.next_at, s.last_at, s.lease_until, s.ready_at, s.created_at, s.updated_at
from schedules as s
where s.env_id = ? and s.id < ? and s.workflow = ? and s.recipient in (
  select value
  from json_each(?)) and s.tenant_id = ?
order by s.id desc
limit ?;

-- list
select s.env_id, s.id, s.workflow, s.recipient, s.actor, s.tenant_id, s.data, s.repeats, s.scheduled_at,
    s.ending_at, s.next_at, s.last_at, s.lease_until, s.ready_at, s.created_at, s.updated_at
from schedules as s
where s.env_id = ? and s.id > ? and s.workflow = ?
order by s.id asc
limit ?;

-- claim
with claimed as materialized (
  select env_id, id
  from schedules
  where ready_at <= ?
  order by ready_at, id
  limit ?)
update schedules
set lease_until = ?, ready_at = ?
from claimed
where schedules.env_id = claimed.env_id and schedules.id = claimed.id
returning schedules.env_id, schedules.id, schedules.workflow, schedules.recipient, schedules.actor,
    schedules.tenant_id, schedules.data, schedules.repeats, schedules.scheduled_at, schedules.ending_at,
    schedules.next_at, schedules.last_at, schedules.lease_until, schedules.ready_at, schedules.created_at,
    schedules.updated_at;

-- fire
update schedules
set next_at = ?, last_at = case when ? = 1 then next_at else last_at end, lease_until = null, ready_at = ?
where env_id = ? and id = ? and lease_until = ? and next_at is not distinct from ? and updated_at = ?;

-- fire
insert into requests ("env_id", "id", "state", "spec", "cursor", "lease_until", "ready_at", "archived_at",
    "created_at", "has_messages")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- delete
delete from schedules
where env_id = ? and id in (
  select value
  from json_each(?))
returning schedules.env_id, schedules.id, schedules.workflow, schedules.recipient, schedules.actor,
    schedules.tenant_id, schedules.data, schedules.repeats, schedules.scheduled_at, schedules.ending_at,
    schedules.next_at, schedules.last_at, schedules.lease_until, schedules.ready_at, schedules.created_at,
    schedules.updated_at;
