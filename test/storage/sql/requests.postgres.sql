-- What src/storage/requests.ts has Postgres run, written by test/storage/sql.test.ts.

-- accept
insert into requests ("env_id", "id", "state", "spec", "cursor", "lease_until", "ready_at", "archived_at",
    "created_at", "has_messages")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[]);

-- accept, commitPage
insert into messages ("env_id", "id", "request_id", "state", "reason", "error", "user_id", "recipient",
    "tenant_id", "entry", "via_tenant", "list_id", "event", "template_id", "tags", "trace_id", "preferences",
    "stored_profile", "plan", "due_at", "lease_until", "ready_at", "created_at", "planned_at", "sent_at",
    "delivered_at", "opened_at", "clicked_at", "canceled_at", "deadline_at", "in_inbox", "to_endpoints", "run",
    "run_status", "run_errors")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
    $17::text[], $18::text[], $19::text[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[],
    $31::bigint[], $32::bigint[], $33::text[], $34::text[], $35::bigint[]);

-- accept
insert into message_tags ("env_id", "tag", "message_id")
select *
from unnest($1::text[], $2::text[], $3::text[])
on conflict do nothing;

-- accept, commitPage
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

-- accept, commitPage
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- accept
select body
from documents
where env_id = $1 and kind = $2 and id = $3 for update;

-- accept
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values ($1, $2, $3, $4, 1, $5, $6)
on conflict (env_id, kind, id) do nothing;

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
select state, status, body
from idempotency_keys
where env_id = $1 and scope = $2 and key = $3;

-- claimRequests
with claimed as materialized (
  select env_id, id
  from requests
  where ready_at <= $1
  order by ready_at, id
  limit $2 for update skip locked)
update requests
set lease_until = $3, ready_at = $4
from claimed
where requests.env_id = claimed.env_id and requests.id = claimed.id
returning requests."env_id", requests."id", requests."state", requests."spec", requests."cursor",
    requests."lease_until", requests."ready_at", requests."archived_at", requests."created_at",
    requests."has_messages";

-- commitPage
update requests
set cursor = $1, state = $2, lease_until = $3, ready_at = $4, has_messages = case
    when $5 > 0 then 1 else has_messages end
where env_id = $6 and id = $7 and state = 'expanding' and lease_until = $8 and cursor is not distinct from $9;

-- accept
select 1
from documents as d
where d.kind = 'knock-webhook' and d.env_id = $1
limit 1;

-- accept
insert into happenings (env_id, id, subject, happened_at, note, state, attempts, sent_at, delivered_at,
    seen_at, read_at, interacted_at, archived_at, lease_until, ready_at)
select v.env_id, v.id, v.subject, v.happened_at, v.note, d.state, d.attempts, d.sent_at, d.delivered_at,
    d.seen_at, d.read_at, d.interacted_at, d.archived_at, cast(null as bigint), 0
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[]) as v("env_id", "id", "subject",
    "happened_at", "note")
left join deliveries as d on d.id = v.subject and d.env_id = v.env_id;

-- accept
insert into runs ("env_id", "message_id", "request_id", "workflow", "recipient", "tenant_id",
    "cancellation_key", "cancels", "status", "state", "due_at", "lease_until", "ready_at", "created_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[]);
