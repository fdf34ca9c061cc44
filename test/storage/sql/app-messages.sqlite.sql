-- What src/storage/app-messages.ts has SQLite run, written by test/storage/sql.test.ts.

-- accept
insert into app_messages ("env_id", "app_id", "id", "event_id", "event_type", "channels", "tags",
    "deliver_at", "payload_until", "created_at", "parameters", "payload", "raw")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- accept
insert into app_messages ("env_id", "app_id", "id", "event_id", "event_type", "channels", "tags",
    "deliver_at", "payload_until", "created_at", "parameters", "payload", "raw")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (app_id, event_id)
where event_id is not null do nothing
returning id;

-- accept
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?);

-- accept
insert into idempotency_keys ("env_id", "scope", "key", "state", "status", "body", "begun_at", "expires_at")
values (?, ?, ?, ?, ?, ?, ?, ?)
on conflict (env_id, scope, key) do update
set state = excluded.state, status = excluded.status, body = excluded.body, begun_at = excluded.begun_at,
    expires_at = excluded.expires_at
where idempotency_keys.expires_at <= excluded.begun_at
returning env_id, scope, key;

-- accept
select d.env_id, d.id, d.version
from (
  select ? as "env_id", ? as "app_id") as v
cross join documents as d
where d.env_id = v.env_id and d.kind = 'app-endpoints' and d.id = v.app_id;

-- accept
delete from idempotency_keys
where (env_id, scope, key) in (
  select v.env_id, v.scope, v.key
  from (
    select ? as "env_id", ? as "scope", ? as "key") as v);

-- accept
select state, status, body
from idempotency_keys
where env_id = ? and scope = ? and key = ?;

-- read
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where env_id = ? and app_id = ? and id = ?;

-- read
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where env_id = ? and app_id = ? and event_id = ?;

-- readMany
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from (
  select ? as "env_id", ? as "app_id", ? as "id") as v
cross join app_messages as m
where m.env_id = v.env_id and m.app_id = v.app_id and m.id = v.id;

-- list
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where m.env_id = ? and m.app_id = ?
order by m.id asc
limit ?;

-- list
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where m.env_id = ? and m.app_id = ? and m.id < ?
order by m.id desc
limit ?;

-- list
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where m.env_id = ? and m.app_id = ? and m.id > ?
order by m.id asc
limit ?;

-- list
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at
from app_messages as m
where m.env_id = ? and m.app_id = ? and m.id >= ? and m.id < ? and m.event_type in (
  select value
  from json_each(?)) and (instr(m.channels, ?) > 0 or instr(m.channels, ?) > 0) and (instr(m.tags, ?) > 0)
order by m.id asc
limit ?;

-- expunge
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where env_id = ? and app_id = ? and id = ?;

-- expungeMany
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where env_id = ? and app_id = ? and id in (
  select value
  from json_each(?))
returning id;

-- expireContent
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where (app_id, id) in (
  select app_id, id
  from app_messages
  where payload_until <= ?
  order by payload_until
  limit ?);
