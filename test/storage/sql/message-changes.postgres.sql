-- What src/storage/message-changes.ts has Postgres run, written by test/storage/sql.test.ts.

-- claim
with claimed as materialized (
  select env_id, message_id, state
  from message_changes
  where ready_at <= $1
  order by ready_at, message_id
  limit $2 for update skip locked)
update message_changes
set lease_until = $3, ready_at = $4
from claimed
where message_changes.env_id = claimed.env_id and message_changes.message_id = claimed.message_id
    and message_changes.state = claimed.state
returning message_changes.env_id, message_changes.message_id, message_changes.state, message_changes.reason,
    message_changes.error, message_changes.sent_at, message_changes.delivered_at, message_changes.opened_at,
    message_changes.clicked_at, message_changes.canceled_at, message_changes.lease_until,
    message_changes.ready_at, message_changes.revision;

-- replace
delete from message_changes
where (env_id, message_id, state, revision, lease_until) in (
  select v.env_id, v.message_id, v.state, v.revision, v.held
  from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) as v("env_id", "message_id",
      "state", "revision", "held"))
returning message_id, state;

-- replace
insert into requests ("env_id", "id", "state", "spec", "cursor", "lease_until", "ready_at", "archived_at",
    "created_at", "has_messages")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[]);

-- replace
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

-- replace
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
