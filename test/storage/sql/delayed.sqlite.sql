-- What src/storage/delayed.ts has SQLite run, written by test/storage/sql.test.ts.

-- claimMessages
with claimed as materialized (
  select env_id, id
  from messages
  where ready_at <= ?
  order by ready_at, id
  limit ?)
update messages
set lease_until = ?, ready_at = ?
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
from (
  select ? as "env_id", ? as "id", ? as "request_id", ? as "state", ? as "reason", ? as "error",
      ? as "user_id", ? as "recipient", ? as "tenant_id", ? as "entry", ? as "via_tenant", ? as "list_id",
      ? as "event", ? as "template_id", ? as "tags", ? as "trace_id", ? as "preferences", ? as "stored_profile",
      ? as "plan", ? as "due_at", ? as "lease_until", ? as "ready_at", ? as "created_at", ? as "planned_at",
      ? as "sent_at", ? as "delivered_at", ? as "opened_at", ? as "clicked_at", ? as "canceled_at",
      ? as "deadline_at", ? as "in_inbox", ? as "to_endpoints", ? as "run", ? as "run_status", ? as "run_errors",
      ? as "held") as v
where messages.env_id = v.env_id and messages.id = v.id and messages.lease_until = v.held
    and messages.ready_at is not null
returning messages.id;

-- commitPlanned
insert into message_tags ("env_id", "tag", "message_id")
values (?, ?, ?)
on conflict do nothing;

-- commitPlanned
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?);

-- commitPlanned
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;
