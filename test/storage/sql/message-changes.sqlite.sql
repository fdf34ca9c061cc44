-- What src/storage/message-changes.ts has SQLite run, written by test/storage/sql.test.ts.

-- claim
with claimed as materialized (
  select env_id, message_id, state
  from message_changes
  where ready_at <= ?
  order by ready_at, message_id
  limit ?)
update message_changes
set lease_until = ?, ready_at = ?
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
  from (
    select ? as "env_id", ? as "message_id", ? as "state", ? as "revision", ? as "held") as v)
returning message_id, state;

-- replace
insert into requests ("env_id", "id", "state", "spec", "cursor", "lease_until", "ready_at", "archived_at",
    "created_at", "has_messages")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- replace
insert into messages ("env_id", "id", "request_id", "state", "reason", "error", "user_id", "recipient",
    "tenant_id", "entry", "via_tenant", "list_id", "event", "template_id", "tags", "trace_id", "preferences",
    "stored_profile", "plan", "due_at", "lease_until", "ready_at", "created_at", "planned_at", "sent_at",
    "delivered_at", "opened_at", "clicked_at", "canceled_at", "deadline_at", "in_inbox", "to_endpoints", "run",
    "run_status", "run_errors")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?);

-- replace
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?);
