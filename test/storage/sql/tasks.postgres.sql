-- What src/storage/tasks.ts has Postgres run, written by test/storage/sql.test.ts.

-- create
insert into tasks ("env_id", "id", "kind", "state", "spec", "cursor", "data", "lease_until", "ready_at",
    "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::bigint[]);

-- read
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = $1 and t.id = $2;

-- list
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = $1
order by t.id asc
limit $2;

-- list
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = $1 and t.id < $2
order by t.id desc
limit $3;

-- list
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = $1 and t.id > $2
order by t.id asc
limit $3;

-- list
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = $1 and t.state = $2 and t.kind = $3
order by t.id asc
limit $4;

-- claim
with claimed as materialized (
  select env_id, id
  from tasks
  where ready_at <= $1
  order by ready_at, id
  limit $2 for update skip locked)
update tasks
set lease_until = $3, ready_at = $4
from claimed
where tasks.env_id = claimed.env_id and tasks.id = claimed.id
returning tasks.env_id, tasks.id, tasks.kind, tasks.state, tasks.spec, tasks.cursor, tasks.data,
    tasks.lease_until, tasks.ready_at, tasks.created_at, tasks.updated_at;

-- commitPage
select id
from tasks
where env_id = $1 and id = $2 and state = 'running' and lease_until = $3 for update;

-- commitPage
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[], $23::bigint[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[],
    $31::bigint[], $32::text[], $33::text[], $34::bigint[], $35::text[], $36::text[], $37::bigint[], $38::text[],
    $39::text[])
on conflict (provider_id, message_id)
where app_id is not null and manual = 0 do nothing;

-- commitPage
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[], $23::bigint[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[],
    $31::bigint[], $32::text[], $33::text[], $34::bigint[], $35::text[], $36::text[], $37::bigint[], $38::text[],
    $39::text[]);

-- commitPage
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[], $23::bigint[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[],
    $31::bigint[], $32::text[], $33::text[], $34::bigint[], $35::text[], $36::text[], $37::bigint[], $38::text[],
    $39::text[])
on conflict (provider_id, message_id)
where app_id is not null and manual = 0 do update
set state = 'pending', due_at = excluded.due_at, ready_at = excluded.ready_at, lease_until = null,
    attempts = 0, error = null, reference = null, sent_at = null
where deliveries.state <> 'pending' and deliveries.started_at is null and not exists (
  select 1
  from deliveries as m
  where m.message_id = excluded.message_id and m.provider_id = excluded.provider_id and m.state = 'pending');

-- commitPage
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[], $23::bigint[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[],
    $31::bigint[], $32::text[], $33::text[], $34::bigint[], $35::text[], $36::text[], $37::bigint[], $38::text[],
    $39::text[])
on conflict (provider_id, message_id)
where app_id is not null and manual = 0 do update
set state = 'pending', due_at = excluded.due_at, ready_at = excluded.ready_at, lease_until = null,
    attempts = 0, error = null, reference = null, sent_at = null
where deliveries.state <> 'pending';

-- commitPage
insert into app_messages ("env_id", "app_id", "id", "event_id", "event_type", "channels", "tags",
    "deliver_at", "payload_until", "created_at", "parameters", "payload", "raw")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[]);

-- commitPage
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where env_id = $1 and app_id = $2 and id = any($3::text[])
returning id;

-- commitPage
update tasks
set state = $1, cursor = $2, data = $3, updated_at = $4, lease_until = $5, ready_at = $6
where env_id = $7 and id = $8;

-- release
update tasks
set lease_until = null, ready_at = created_at
where id = $1 and state = 'running' and lease_until = $2;
