-- What src/storage/tasks.ts has SQLite run, written by test/storage/sql.test.ts.

-- create
insert into tasks ("env_id", "id", "kind", "state", "spec", "cursor", "data", "lease_until", "ready_at",
    "created_at", "updated_at")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- read
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = ? and t.id = ?;

-- list
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = ?
order by t.id asc
limit ?;

-- list
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = ? and t.id < ?
order by t.id desc
limit ?;

-- list
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = ? and t.id > ?
order by t.id asc
limit ?;

-- list
select t.env_id, t.id, t.kind, t.state, t.spec, t.cursor, t.data, t.lease_until, t.ready_at, t.created_at,
    t.updated_at
from tasks as t
where t.env_id = ? and t.state = ? and t.kind = ?
order by t.id asc
limit ?;

-- claim
with claimed as materialized (
  select env_id, id
  from tasks
  where ready_at <= ?
  order by ready_at, id
  limit ?)
update tasks
set lease_until = ?, ready_at = ?
from claimed
where tasks.env_id = claimed.env_id and tasks.id = claimed.id
returning tasks.env_id, tasks.id, tasks.kind, tasks.state, tasks.spec, tasks.cursor, tasks.data,
    tasks.lease_until, tasks.ready_at, tasks.created_at, tasks.updated_at;

-- commitPage
select id
from tasks
where env_id = ? and id = ? and state = 'running' and lease_until = ?;

-- commitPage
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?)
on conflict (provider_id, message_id)
where app_id is not null and manual = 0 do nothing;

-- commitPage
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?);

-- commitPage
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?)
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
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?)
on conflict (provider_id, message_id)
where app_id is not null and manual = 0 do update
set state = 'pending', due_at = excluded.due_at, ready_at = excluded.ready_at, lease_until = null,
    attempts = 0, error = null, reference = null, sent_at = null
where deliveries.state <> 'pending';

-- commitPage
insert into app_messages ("env_id", "app_id", "id", "event_id", "event_type", "channels", "tags",
    "deliver_at", "payload_until", "created_at", "parameters", "payload", "raw")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- commitPage
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where env_id = ? and app_id = ? and id in (
  select value
  from json_each(?))
returning id;

-- commitPage
update tasks
set state = ?, cursor = ?, data = ?, updated_at = ?, lease_until = ?, ready_at = ?
where env_id = ? and id = ?;

-- release
update tasks
set lease_until = null, ready_at = created_at
where id = ? and state = 'running' and lease_until = ?;
