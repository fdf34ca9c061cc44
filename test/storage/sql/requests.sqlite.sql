-- What src/storage/requests.ts has SQLite run, written by test/storage/sql.test.ts.

-- accept
insert into requests ("env_id", "id", "state", "spec", "cursor", "lease_until", "ready_at", "archived_at",
    "created_at", "has_messages")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- accept, commitPage
insert into messages ("env_id", "id", "request_id", "state", "reason", "error", "user_id", "recipient",
    "tenant_id", "entry", "via_tenant", "list_id", "event", "template_id", "tags", "trace_id", "preferences",
    "stored_profile", "plan", "due_at", "lease_until", "ready_at", "created_at", "planned_at", "sent_at",
    "delivered_at", "opened_at", "clicked_at", "canceled_at", "deadline_at", "in_inbox", "to_endpoints", "run",
    "run_status", "run_errors")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?);

-- accept
insert into message_tags ("env_id", "tag", "message_id")
values (?, ?, ?)
on conflict do nothing;

-- accept, commitPage
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?);

-- accept, commitPage
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- accept, commitPage
select 1
from documents as d
where d.kind = 'outbound-webhook' and d.env_id = ?
limit 1;

-- accept
select body
from documents
where env_id = ? and kind = ? and id = ?;

-- accept
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values (?, ?, ?, ?, 1, ?, ?)
on conflict (env_id, kind, id) do nothing;

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

-- accept
select 1
from documents as d
where d.kind = 'knock-webhook' and d.env_id = ?
limit 1;

-- accept
insert into happenings (env_id, id, subject, happened_at, note, state, attempts, sent_at, delivered_at,
    seen_at, read_at, interacted_at, archived_at, lease_until, ready_at)
select v.env_id, v.id, v.subject, v.happened_at, v.note, d.state, d.attempts, d.sent_at, d.delivered_at,
    d.seen_at, d.read_at, d.interacted_at, d.archived_at, cast(null as bigint), 0
from (
  select ? as "env_id", ? as "id", ? as "subject", ? as "happened_at", ? as "note") as v
left join deliveries as d on d.id = v.subject and d.env_id = v.env_id;

-- accept
insert into runs ("env_id", "message_id", "request_id", "workflow", "recipient", "tenant_id",
    "cancellation_key", "cancels", "status", "state", "due_at", "lease_until", "ready_at", "created_at")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
