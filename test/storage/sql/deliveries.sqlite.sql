-- What src/storage/deliveries.ts has SQLite run, written by test/storage/sql.test.ts.

-- nextDueAt
select (
  select min(ready_at)
  from requests
  where ready_at is not null) as requests, (
  select min(ready_at)
  from messages
  where ready_at is not null) as messages, (
  select min(ready_at)
  from deliveries
  where ready_at is not null) as deliveries, (
  select min(ready_at)
  from message_changes
  where ready_at is not null) as message_changes, (
  select min(ready_at)
  from tasks
  where ready_at is not null) as tasks, (
  select min(ready_at)
  from runs
  where ready_at is not null) as runs, (
  select min(ready_at)
  from schedules
  where ready_at is not null) as schedules, (
  select min(ready_at)
  from happenings
  where ready_at is not null) as happenings;

-- claimDeliveries
with claimed as materialized (
  select id, case when lease_until is not null and exists (
    select 1
    from messages as m
    where m.env_id = deliveries.env_id and m.id = deliveries.message_id
        and m.state = 'canceled') then 1 else 0 end as ended
  from deliveries
  where ready_at <= ?
  order by ready_at, id
  limit ?)
update deliveries
set state = case claimed.ended when 1 then 'canceled' else deliveries.state end,
    lease_until = case claimed.ended when 1 then null else cast(? as bigint) end, ready_at = case claimed.ended
    when 1 then null else cast(? as bigint) end
from claimed
where deliveries.id = claimed.id
returning deliveries."id", deliveries."env_id", deliveries."message_id", deliveries."user_id",
    deliveries."tenant_id", deliveries."channel", deliveries."provider", deliveries."provider_id",
    deliveries."leaf", deliveries."state", deliveries."due_at", deliveries."lease_until", deliveries."ready_at",
    deliveries."attempts", deliveries."started_at", deliveries."timeout_ms", deliveries."address",
    deliveries."content", deliveries."override", deliveries."error", deliveries."reference",
    deliveries."created_at", deliveries."sent_at", deliveries."delivered_at", deliveries."seen_at",
    deliveries."read_at", deliveries."interacted_at", deliveries."archived_at", deliveries."deleted_at",
    deliveries."expires_at", deliveries."bucket", deliveries."tags", deliveries."data", deliveries."via_tenant",
    deliveries."request_id", deliveries."app_id", deliveries."manual", deliveries."origin", deliveries."via";

-- renewLeases
update deliveries
set lease_until = ?, ready_at = ?
where id in (
  select value
  from json_each(?)) and state = 'pending' and lease_until = ?;

-- releaseLeases
update deliveries
set state = case when exists (
  select 1
  from messages as m
  where m.env_id = deliveries.env_id and m.id = deliveries.message_id
      and m.state = 'canceled') then 'canceled' else state end, lease_until = null, ready_at = case when exists (
  select 1
  from messages as m
  where m.env_id = deliveries.env_id and m.id = deliveries.message_id
      and m.state = 'canceled') then null else due_at end
where id in (
  select value
  from json_each(?)) and state = 'pending' and lease_until = ?;

-- settle, cancel
select id, state
from messages
where env_id = ? and id in (
  select value
  from json_each(?))
order by id;

-- settle
update deliveries
set state = v.state, due_at = coalesce(v.due_at, deliveries.due_at), lease_until = null, ready_at = v.due_at,
    attempts = deliveries.attempts + v.tried, started_at = coalesce(deliveries.started_at, v.started_at),
    error = v.error, reference = coalesce(v.reference, deliveries.reference),
    sent_at = coalesce(deliveries.sent_at, v.sent_at), delivered_at = coalesce(deliveries.delivered_at,
    v.delivered_at)
from (
  select ? as "id", ? as "held", ? as "state", ? as "due_at", ? as "tried", ? as "started_at", ? as "error",
      ? as "reference", ? as "sent_at", ? as "delivered_at") as v
where deliveries.id = v.id and deliveries.state = 'pending' and deliveries.lease_until = v.held
returning deliveries.id;

-- settle
insert into attempts ("message_id", "id", "env_id", "delivery_id", "number", "started_at", "ended_at",
    "outcome", "reason", "status_code")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- settle
update messages as m
set state = case when case m.state when 'enqueued' then 0 when 'delayed' then 1 when 'routed' then 2
    when 'sent' then 3 when 'simulated' then 3 when 'undeliverable' then 4 when 'delivered' then 5
    when 'opened' then 6 when 'clicked' then 7 when 'canceled' then 9 when 'unroutable' then 9
    when 'unmapped' then 9 when 'filtered' then 9 end < v.rank then v.state else m.state end, reason = case
    when case m.state when 'enqueued' then 0 when 'delayed' then 1 when 'routed' then 2 when 'sent' then 3
    when 'simulated' then 3 when 'undeliverable' then 4 when 'delivered' then 5 when 'opened' then 6
    when 'clicked' then 7 when 'canceled' then 9 when 'unroutable' then 9 when 'unmapped' then 9
    when 'filtered' then 9 end < v.rank then v.reason else m.reason end, error = case when case m.state
    when 'enqueued' then 0 when 'delayed' then 1 when 'routed' then 2 when 'sent' then 3 when 'simulated' then 3
    when 'undeliverable' then 4 when 'delivered' then 5 when 'opened' then 6 when 'clicked' then 7
    when 'canceled' then 9 when 'unroutable' then 9 when 'unmapped' then 9
    when 'filtered' then 9 end < v.rank then v.error else m.error end, sent_at = coalesce(m.sent_at, v.sent_at),
    delivered_at = coalesce(m.delivered_at, v.delivered_at), opened_at = coalesce(m.opened_at, v.opened_at),
    clicked_at = coalesce(m.clicked_at, v.clicked_at)
from (
  select ? as "env_id", ? as "id", ? as "rank", ? as "state", ? as "reason", ? as "error", ? as "sent_at",
      ? as "delivered_at", ? as "opened_at", ? as "clicked_at") as v
where m.env_id = v.env_id and m.id = v.id;

-- settle
insert into message_changes (env_id, message_id, state, reason, error, sent_at, delivered_at, opened_at,
    clicked_at, canceled_at, lease_until, ready_at, revision)
select distinct m.env_id, m.id, m.state, m.reason, m.error, m.sent_at, m.delivered_at, m.opened_at,
    m.clicked_at, m.canceled_at, cast(null as bigint), 0, 1
from (
  select ? as "env_id", ? as "message_id") as v
cross join messages as m
where m.env_id = v.env_id and m.id = v.message_id and m.to_endpoints = 0 and exists (
  select 1
  from documents as d
  where d.kind = 'outbound-webhook' and d.env_id = v.env_id)
on conflict (env_id, message_id, state) do update
set reason = excluded.reason, error = excluded.error, sent_at = excluded.sent_at,
    delivered_at = excluded.delivered_at, opened_at = excluded.opened_at, clicked_at = excluded.clicked_at,
    canceled_at = excluded.canceled_at, lease_until = excluded.lease_until, ready_at = excluded.ready_at,
    revision = message_changes.revision + 1;

-- settle
select distinct message_id
from deliveries
where message_id in (
  select value
  from json_each(?)) and state in ('pending', 'sent', 'delivered');

-- settle
select id
from deliveries
where id in (
  select value
  from json_each(?)) and state <> 'pending';

-- settle
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?);

-- settle
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- settle
update messages
set in_inbox = 1
where env_id in (
  select value
  from json_each(?)) and id in (
  select value
  from json_each(?));

-- cancel
update messages
set state = 'canceled', canceled_at = ?, lease_until = null, ready_at = null
where env_id = ? and id = ?;

-- cancel
update deliveries
set state = 'canceled', lease_until = null, ready_at = null
where message_id = ? and env_id = ? and state = 'pending' and (lease_until is null or lease_until <= ?);

-- cancel
select state
from runs
where env_id = ? and message_id = ?;

-- cancel
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where env_id = ? and id = ?;

-- settle
insert into endpoint_attempts ("env_id", "app_id", "endpoint_id", "message_id", "delivery_id", "id",
    "event_type", "outcome", "manual", "url", "status_code", "started_at", "ended_at", "next_at", "sent_headers",
    "response_headers", "response")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- settle
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
from (
  select ? as "env_id", ? as "app_id", ? as "id") as v
where app_messages.env_id = v.env_id and app_messages.app_id = v.app_id and app_messages.id = v.id
    and app_messages.payload_until is not null and not exists (
  select 1
  from deliveries as d
  where d.message_id = v.id and (d.state = 'pending' or d.state = 'failed'));

-- settle
insert into endpoint_health ("env_id", "endpoint_id", "failing_since")
values (?, ?, ?)
on conflict (env_id, endpoint_id) do nothing;

-- settle
insert into app_messages ("env_id", "app_id", "id", "event_id", "event_type", "channels", "tags",
    "deliver_at", "payload_until", "created_at", "parameters", "payload", "raw")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- settle
update deliveries
set state = case when (v.outcome = 'sent' and not coalesce(deliveries.state = 'pending'
    and deliveries.lease_until > v.at, false)) then 'sent' when v.outcome = 'failed'
    and deliveries.state = 'canceled' and deliveries.started_at is null then 'failed' else deliveries.state end,
    ready_at = case when (v.outcome = 'sent' and not coalesce(deliveries.state = 'pending'
    and deliveries.lease_until > v.at, false)) then null else deliveries.ready_at end, lease_until = case
    when (v.outcome = 'sent' and not coalesce(deliveries.state = 'pending' and deliveries.lease_until > v.at,
    false)) then null else deliveries.lease_until end, sent_at = case when (v.outcome = 'sent'
    and not coalesce(deliveries.state = 'pending' and deliveries.lease_until > v.at,
    false)) then coalesce(deliveries.sent_at, v.at) else deliveries.sent_at end, error = case
    when v.outcome = 'sent' then null when v.outcome = 'failed'
    and deliveries.state <> 'sent' then v.error else deliveries.error end,
    started_at = coalesce(deliveries.started_at, v.started_at)
from (
  select ? as "endpoint_id", ? as "message_id", ? as "outcome", ? as "at", ? as "started_at", ? as "error") as v
where deliveries.provider_id = v.endpoint_id and deliveries.message_id = v.message_id
    and deliveries.app_id is not null and deliveries.manual = 0;

-- settle
delete from endpoint_health
where (env_id, endpoint_id) in (
  select v.env_id, v.endpoint_id
  from (
    select ? as "env_id", ? as "endpoint_id") as v);

-- cancel
delete from runs
where env_id = ? and message_id in (
  select value
  from json_each(?));

-- cancel
select id, run
from messages
where env_id = ? and id in (
  select value
  from json_each(?)) and run is not null;

-- cancel
update messages
set run = v.run, run_status = v.run_status, run_errors = case
    when v.run_errors > messages.run_errors then v.run_errors else messages.run_errors end
from (
  select ? as "env_id", ? as "id", ? as "run", ? as "run_status", ? as "run_errors") as v
where messages.env_id = v.env_id and messages.id = v.id;

-- cancel
update messages
set state = 'canceled', canceled_at = ?
where env_id = ? and id in (
  select value
  from json_each(?)) and state in ('enqueued', 'delayed', 'routed') and not exists (
  select 1
  from deliveries as d
  where d.message_id = messages.id);

-- cancel
select env_id, id, carrier_id, opened_at, closes_at, version, joined, n, closed
from batches
where env_id in (
  select value
  from json_each(?)) and id in (
  select value
  from json_each(?)) and closed = 0
order by env_id, id;

-- cancel
update runs
set cancellation_key = null, cancels = null
where env_id = ? and message_id in (
  select value
  from json_each(?));

-- cancel
delete from batch_items
where env_id = ? and batch_id = ? and message_id = ?
returning batch_id;

-- cancel
update batches
set closes_at = v.closes_at, version = v.version, joined = v.joined, n = v.n
from (
  select ? as "env_id", ? as "id", ? as "closes_at", ? as "version", ? as "joined", ? as "n") as v
where batches.env_id = v.env_id and batches.id = v.id;
