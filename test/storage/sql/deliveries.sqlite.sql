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
  where ready_at is not null) as message_changes;

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
    deliveries."request_id";

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
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?);

-- settle
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n")
values (?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n;

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
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints"
from messages as m
where env_id = ? and id = ?;
