-- What src/storage/app-messages.ts has Postgres run, written by test/storage/sql.test.ts.

-- accept
insert into app_messages ("env_id", "app_id", "id", "event_id", "event_type", "channels", "tags",
    "deliver_at", "payload_until", "created_at", "parameters", "payload", "raw")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[]);

-- accept
insert into app_messages ("env_id", "app_id", "id", "event_id", "event_type", "channels", "tags",
    "deliver_at", "payload_until", "created_at", "parameters", "payload", "raw")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[])
on conflict (app_id, event_id)
where event_id is not null do nothing
returning id;

-- accept
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

-- accept
insert into idempotency_keys ("env_id", "scope", "key", "state", "status", "body", "begun_at", "expires_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
    $8::bigint[])
on conflict (env_id, scope, key) do update
set state = excluded.state, status = excluded.status, body = excluded.body, begun_at = excluded.begun_at,
    expires_at = excluded.expires_at
where idempotency_keys.expires_at <= excluded.begun_at
returning env_id, scope, key;

-- accept
select d.env_id, d.id, d.version
from unnest($1::text[], $2::text[]) as v("env_id", "app_id")
cross join documents as d
where d.env_id = v.env_id and d.kind = 'app-endpoints' and d.id = v.app_id;

-- accept
delete from idempotency_keys
where (env_id, scope, key) in (
  select v.env_id, v.scope, v.key
  from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "scope", "key"));

-- accept
select state, status, body
from idempotency_keys
where env_id = $1 and scope = $2 and key = $3;

-- read
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where env_id = $1 and app_id = $2 and id = $3;

-- read
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where env_id = $1 and app_id = $2 and event_id = $3;

-- readMany
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from unnest($1::text[], $2::text[], $3::text[]) as v(env_id, app_id, id)
cross join app_messages as m
where m.env_id = v.env_id and m.app_id = v.app_id and m.id = v.id;

-- list
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where m.env_id = $1 and m.app_id = $2
order by m.id asc
limit $3;

-- list
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where m.env_id = $1 and m.app_id = $2 and m.id < $3
order by m.id desc
limit $4;

-- list
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, m.parameters, m.payload, m.raw
from app_messages as m
where m.env_id = $1 and m.app_id = $2 and m.id > $3
order by m.id asc
limit $4;

-- list
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at
from app_messages as m
where m.env_id = $1 and m.app_id = $2 and m.id >= $3 and m.id < $4 and m.event_type = any($5::text[])
    and (strpos(m.channels, $6) > 0 or strpos(m.channels, $7) > 0) and (strpos(m.tags, $8) > 0)
order by m.id asc
limit $9;

-- expunge
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where env_id = $1 and app_id = $2 and id = $3;

-- expungeMany
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where env_id = $1 and app_id = $2 and id = any($3::text[])
returning id;

-- expireContent
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where (app_id, id) in (
  select app_id, id
  from app_messages
  where payload_until <= $1
  order by payload_until
  limit $2 for update skip locked);
