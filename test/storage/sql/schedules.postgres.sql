-- What src/storage/schedules.ts has Postgres run, written by test/storage/sql.test.ts.

-- create
insert into schedules ("env_id", "id", "workflow", "recipient", "actor", "tenant_id", "data", "repeats",
    "scheduled_at", "ending_at", "next_at", "last_at", "lease_until", "ready_at", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[]);

-- read
select s.env_id, s.id, s.workflow, s.recipient, s.actor, s.tenant_id, s.data, s.repeats, s.scheduled_at,
    s.ending_at, s.next_at, s.last_at, s.lease_until, s.ready_at, s.created_at, s.updated_at
from schedules as s
where s.env_id = $1 and s.id = any($2::text[]);

-- update
update schedules
set workflow = v.workflow, recipient = v.recipient, actor = v.actor, tenant_id = v.tenant_id, data = v.data,
    repeats = v.repeats, scheduled_at = v.scheduled_at, ending_at = v.ending_at, next_at = v.next_at,
    last_at = v.last_at, lease_until = v.lease_until, ready_at = v.ready_at, updated_at = v.updated_at
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[]) as v("env_id", "id", "workflow", "recipient", "actor", "tenant_id", "data", "repeats",
    "scheduled_at", "ending_at", "next_at", "last_at", "lease_until", "ready_at", "created_at", "updated_at")
where schedules.env_id = v.env_id and schedules.id = v.id and schedules.recipient = v.recipient
    and schedules.last_at is not distinct from v.last_at
returning schedules.env_id, schedules.id;

-- list
select s.env_id, s.id, s.workflow, s.recipient, s.actor, s.tenant_id, s.data, s.repeats, s.scheduled_at,
    s.ending_at, s.next_at, s.last_at, s.lease_until, s.ready_at, s.created_at, s.updated_at
from schedules as s
where s.env_id = $1
order by s.id desc
limit $2;

-- list
select s.env_id, s.id, s.workflow, s.recipient, s.actor, s.tenant_id, s.data, s.repeats, s.scheduled_at,
    s.ending_at, s.next_at, s.last_at, s.lease_until, s.ready_at, s.created_at, s.updated_at
from schedules as s
where s.env_id = $1 and s.id < $2 and s.workflow = $3 and s.recipient = any($4::text[]) and s.tenant_id = $5
order by s.id desc
limit $6;

-- list
select s.env_id, s.id, s.workflow, s.recipient, s.actor, s.tenant_id, s.data, s.repeats, s.scheduled_at,
    s.ending_at, s.next_at, s.last_at, s.lease_until, s.ready_at, s.created_at, s.updated_at
from schedules as s
where s.env_id = $1 and s.id > $2 and s.workflow = $3
order by s.id asc
limit $4;

-- claim
with claimed as materialized (
  select env_id, id
  from schedules
  where ready_at <= $1
  order by ready_at, id
  limit $2 for update skip locked)
update schedules
set lease_until = $3, ready_at = $4
from claimed
where schedules.env_id = claimed.env_id and schedules.id = claimed.id
returning schedules.env_id, schedules.id, schedules.workflow, schedules.recipient, schedules.actor,
    schedules.tenant_id, schedules.data, schedules.repeats, schedules.scheduled_at, schedules.ending_at,
    schedules.next_at, schedules.last_at, schedules.lease_until, schedules.ready_at, schedules.created_at,
    schedules.updated_at;

-- fire
update schedules
set next_at = $1, last_at = case when $2 = 1 then next_at else last_at end, lease_until = null, ready_at = $3
where env_id = $4 and id = $5 and lease_until = $6 and next_at is not distinct from $7 and updated_at = $8;

-- fire
insert into requests ("env_id", "id", "state", "spec", "cursor", "lease_until", "ready_at", "archived_at",
    "created_at", "has_messages")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[]);

-- delete
delete from schedules
where env_id = $1 and id = any($2::text[])
returning schedules.env_id, schedules.id, schedules.workflow, schedules.recipient, schedules.actor,
    schedules.tenant_id, schedules.data, schedules.repeats, schedules.scheduled_at, schedules.ending_at,
    schedules.next_at, schedules.last_at, schedules.lease_until, schedules.ready_at, schedules.created_at,
    schedules.updated_at;
