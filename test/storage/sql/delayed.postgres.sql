-- What src/storage/delayed.ts has Postgres run, written by test/storage/sql.test.ts.

-- claimMessages
with claimed as materialized (
  select env_id, id
  from messages
  where ready_at <= $1
  order by ready_at, id
  limit $2 for update skip locked)
update messages
set lease_until = $3, ready_at = $4
from claimed
where messages.env_id = claimed.env_id and messages.id = claimed.id
returning messages."env_id", messages."id", messages."request_id", messages."state", messages."reason",
    messages."error", messages."user_id", messages."recipient", messages."tenant_id", messages."entry",
    messages."via_tenant", messages."list_id", messages."event", messages."template_id", messages."tags",
    messages."trace_id", messages."preferences", messages."stored_profile", messages."plan", messages."due_at",
    messages."lease_until", messages."ready_at", messages."created_at", messages."planned_at",
    messages."sent_at", messages."delivered_at", messages."opened_at", messages."clicked_at",
    messages."canceled_at", messages."deadline_at", messages."in_inbox", messages."to_endpoints", messages."run",
    messages."run_status", messages."run_errors";

-- commitPlanned
update messages
set "request_id" = v."request_id", "state" = v."state", "reason" = v."reason", "error" = v."error",
    "user_id" = v."user_id", "recipient" = v."recipient", "tenant_id" = v."tenant_id", "entry" = v."entry",
    "via_tenant" = v."via_tenant", "list_id" = v."list_id", "event" = v."event", "template_id" = v."template_id",
    "tags" = v."tags", "trace_id" = v."trace_id", "preferences" = v."preferences",
    "stored_profile" = v."stored_profile", "plan" = v."plan", "due_at" = v."due_at",
    "lease_until" = v."lease_until", "ready_at" = v."ready_at", "created_at" = v."created_at",
    "planned_at" = v."planned_at", "sent_at" = v."sent_at", "delivered_at" = v."delivered_at",
    "opened_at" = v."opened_at", "clicked_at" = v."clicked_at", "canceled_at" = v."canceled_at",
    "deadline_at" = v."deadline_at", "in_inbox" = v."in_inbox", "to_endpoints" = v."to_endpoints",
    "run" = v."run", "run_status" = v."run_status", "run_errors" = v."run_errors"
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
    $17::text[], $18::text[], $19::text[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[],
    $31::bigint[], $32::bigint[], $33::text[], $34::text[], $35::bigint[], $36::bigint[]) as v("env_id", "id",
    "request_id", "state", "reason", "error", "user_id", "recipient", "tenant_id", "entry", "via_tenant",
    "list_id", "event", "template_id", "tags", "trace_id", "preferences", "stored_profile", "plan", "due_at",
    "lease_until", "ready_at", "created_at", "planned_at", "sent_at", "delivered_at", "opened_at", "clicked_at",
    "canceled_at", "deadline_at", "in_inbox", "to_endpoints", "run", "run_status", "run_errors", "held")
where messages.env_id = v.env_id and messages.id = v.id and messages.lease_until = v.held
    and messages.ready_at is not null
returning messages.id;

-- commitPlanned
insert into message_tags ("env_id", "tag", "message_id")
select *
from unnest($1::text[], $2::text[], $3::text[])
on conflict do nothing;

-- commitPlanned
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

-- commitPlanned
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;
