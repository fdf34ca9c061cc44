-- What src/storage/requests.ts has SQLite run, written by test/storage/sql.test.ts.

-- accept
insert into requests ("env_id", "id", "state", "spec", "cursor", "lease_until", "ready_at", "archived_at",
    "created_at", "has_messages")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- accept, commitPage
insert into messages ("env_id", "id", "request_id", "state", "reason", "error", "user_id", "recipient",
    "tenant_id", "entry", "via_tenant", "list_id", "event", "template_id", "tags", "trace_id", "preferences",
    "stored_profile", "plan", "due_at", "lease_until", "ready_at", "created_at", "planned_at", "sent_at",
    "delivered_at", "opened_at", "clicked_at", "canceled_at", "deadline_at", "in_inbox", "to_endpoints")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- accept
insert into message_tags ("env_id", "tag", "message_id")
values (?, ?, ?)
on conflict do nothing;

-- accept, commitPage
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?);

-- accept, commitPage
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n")
values (?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n;

-- accept, commitPage
select 1
from documents as d
where d.kind = 'outbound-webhook' and d.env_id = ?
limit 1;

-- accept
insert into idempotency_keys ("env_id", "scope", "key", "state", "status", "body", "begun_at", "expires_at")
values (?, ?, ?, ?, ?, ?, ?, ?)
on conflict (env_id, scope, key) do update
set state = excluded.state, status = excluded.status, body = excluded.body, begun_at = excluded.begun_at,
    expires_at = excluded.expires_at
where idempotency_keys.expires_at <= excluded.begun_at
returning env_id, scope, key;

-- accept
select state, status, body
from idempotency_keys
where env_id = ? and scope = ? and key = ?;

-- claimRequests
with claimed as materialized (
  select env_id, id
  from requests
  where ready_at <= ?
  order by ready_at, id
  limit ?)
update requests
set lease_until = ?, ready_at = ?
from claimed
where requests.env_id = claimed.env_id and requests.id = claimed.id
returning requests."env_id", requests."id", requests."state", requests."spec", requests."cursor",
    requests."lease_until", requests."ready_at", requests."archived_at", requests."created_at",
    requests."has_messages";

-- commitPage
update requests
set cursor = ?, state = ?, lease_until = ?, ready_at = ?, has_messages = case
    when ? > 0 then 1 else has_messages end
where env_id = ? and id = ? and state = 'expanding' and lease_until = ? and cursor is not distinct from ?;

-- accept
insert into message_changes ("env_id", "message_id", "state", "reason", "error", "sent_at", "delivered_at",
    "opened_at", "clicked_at", "canceled_at", "lease_until", "ready_at", "revision")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
