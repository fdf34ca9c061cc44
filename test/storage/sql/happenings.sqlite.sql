-- What src/storage/happenings.ts has SQLite run, written by test/storage/sql.test.ts.

-- claim
with claimed as materialized (
  select env_id, id
  from happenings
  where ready_at <= ?
  order by ready_at, id
  limit ?)
update happenings
set lease_until = ?, ready_at = ?
from claimed
where happenings.env_id = claimed.env_id and happenings.id = claimed.id
returning happenings.env_id, happenings.id, happenings.subject, happenings.happened_at, happenings.note,
    happenings.state, happenings.attempts, happenings.sent_at, happenings.delivered_at, happenings.seen_at,
    happenings.read_at, happenings.interacted_at, happenings.archived_at, happenings.lease_until,
    happenings.ready_at;

-- replace
delete from happenings
where (env_id, id, lease_until) in (
  select v.env_id, v.id, v.held
  from (
    select ? as "env_id", ? as "id", ? as "held") as v)
returning id;

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

-- replace
select 1
from documents as d
where d.kind = 'outbound-webhook' and d.env_id = ?
limit 1;
