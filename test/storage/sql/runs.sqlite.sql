-- What src/storage/runs.ts has SQLite run, written by test/storage/sql.test.ts.

-- claim
with claimed as materialized (
  select env_id, message_id
  from runs
  where ready_at <= ?
  order by ready_at, message_id
  limit ?)
update runs
set lease_until = ?, ready_at = ?
from claimed
where runs.env_id = claimed.env_id and runs.message_id = claimed.message_id
returning runs.env_id, runs.message_id, runs.request_id, runs.workflow, runs.recipient, runs.tenant_id,
    runs.cancellation_key, runs.cancels, runs.status, runs.state, runs.due_at, runs.lease_until, runs.ready_at,
    runs.created_at;

-- renew
with leased as materialized (
  select env_id, message_id
  from runs
  where ready_at = ? and lease_until = ? and message_id in (
    select value
    from json_each(?))
  order by env_id, message_id)
update runs
set lease_until = ?, ready_at = ?
from leased
where runs.env_id = leased.env_id and runs.message_id = leased.message_id;

-- release
with leased as materialized (
  select env_id, message_id
  from runs
  where ready_at = ? and lease_until = ? and message_id in (
    select value
    from json_each(?))
  order by env_id, message_id)
update runs
set lease_until = null, ready_at = due_at
from leased
where runs.env_id = leased.env_id and runs.message_id = leased.message_id;

-- read
select r.env_id, r.message_id, r.request_id, r.workflow, r.recipient, r.tenant_id, r.cancellation_key,
    r.cancels, r.status, r.state, r.due_at, r.lease_until, r.ready_at, r.created_at
from runs as r
where r.env_id = ? and r.message_id = ?;

-- commit
select env_id, message_id, lease_until
from runs
where env_id in (
  select value
  from json_each(?)) and message_id in (
  select value
  from json_each(?))
order by env_id, message_id;

-- commit
update runs
set status = v.status, state = v.state, due_at = v.due_at, ready_at = v.due_at, lease_until = null
from (
  select ? as "env_id", ? as "message_id", ? as "status", ? as "state", ? as "due_at") as v
where runs.env_id = v.env_id and runs.message_id = v.message_id;

-- commit, cancel
update messages
set run = v.run, run_status = v.run_status, run_errors = case
    when v.run_errors > messages.run_errors then v.run_errors else messages.run_errors end
from (
  select ? as "env_id", ? as "id", ? as "run", ? as "run_status", ? as "run_errors") as v
where messages.env_id = v.env_id and messages.id = v.id;

-- commit
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?);

-- commit
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- commit
update messages
set in_inbox = 1
where env_id in (
  select value
  from json_each(?)) and id in (
  select value
  from json_each(?));

-- commit
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

-- commit
insert into requests ("env_id", "id", "state", "spec", "cursor", "lease_until", "ready_at", "archived_at",
    "created_at", "has_messages")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- commit
insert into users ("env_id", "user_id", "profile", "created_at", "updated_at")
values (?, ?, ?, ?, ?)
on conflict (env_id, user_id) do nothing;

-- commit
select t.user_id, t.profile as body
from (
  select ? as "env_id", ? as "user_id") as v
join users as t on t.env_id = v.env_id and t.user_id = v.user_id;

-- commit
update users
set profile = v.body, updated_at = v.at
from (
  select ? as "env_id", ? as "user_id", ? as "body", ? as "at") as v
where users.env_id = v.env_id and users.user_id = v.user_id;

-- commit
insert into objects ("env_id", "collection", "id", "properties", "created_at", "updated_at")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, collection, id) do nothing;

-- commit
select t.collection, t.id, t.properties as body
from (
  select ? as "env_id", ? as "collection", ? as "id") as v
join objects as t on t.env_id = v.env_id and t.collection = v.collection and t.id = v.id;

-- commit
update objects
set properties = v.body, updated_at = v.at
from (
  select ? as "env_id", ? as "collection", ? as "id", ? as "body", ? as "at") as v
where objects.env_id = v.env_id and objects.collection = v.collection and objects.id = v.id;

-- commit
select body
from documents
where env_id = ? and kind = ? and id = ?;

-- commit
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values (?, ?, ?, ?, 1, ?, ?)
on conflict (env_id, kind, id) do nothing;

-- commit
select 1
from documents as d
where d.kind = 'knock-webhook' and d.env_id = ?
limit 1;

-- commit
delete from runs
where (env_id, message_id) in (
  select v.env_id, v.message_id
  from (
    select ? as "env_id", ? as "message_id") as v);

-- commit
update messages
set state = v.state, reason = v.reason, error = v.error, canceled_at = v.canceled_at
from (
  select ? as "env_id", ? as "message_id", ? as "state", ? as "reason", ? as "error", ? as "canceled_at") as v
where messages.env_id = v.env_id and messages.id = v.message_id and messages.state in ('enqueued', 'delayed',
    'routed') and not exists (
  select 1
  from deliveries as d
  where d.message_id = v.message_id);

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = ? and m.run is not null
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = ? and m.run is not null and m.event = ?
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = ? and m.run is not null and m.run_status = 'completed'
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = ? and m.run is not null and m.run_status = 'cancelled'
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from runs as r
join messages as m on m.env_id = r.env_id and m.id = r.message_id
where r.env_id = ? and m.run is not null and m.run_status = 'paused'
    and (r.lease_until is null or r.lease_until <= ?)
order by r.message_id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from runs as r
join messages as m on m.env_id = r.env_id and m.id = r.message_id
where r.env_id = ? and m.run is not null and (r.lease_until > ? or (m.run_status = 'queued'
    and (r.lease_until is null or r.lease_until <= ?)))
order by r.message_id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from runs as r
join messages as m on m.env_id = r.env_id and m.id = r.message_id
where r.env_id = ? and m.run is not null and r.lease_until > ?
order by r.message_id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = ? and m.run_status is not null and m.tenant_id = ? and m.recipient = ?
    and m.user_id is not null and m.created_at >= ? and m.id >= ? and m.created_at < ?
    and (r.lease_until > ? or (m.run_status in (
      select value
      from json_each(?)) and (r.lease_until is null or r.lease_until <= ?)))
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = ? and m.run_status is not null and m.run_errors > 0 and m.recipient = ? and m.user_id is null
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = ? and m.run is not null and m.run_errors = 0
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = ? and m.id < ? and m.run is not null
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = ? and m.id > ? and m.run is not null
order by m.id asc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from runs as r
join messages as m on m.env_id = r.env_id and m.id = r.message_id
where r.env_id = ? and r.message_id < ? and r.message_id > ? and m.run is not null and m.run_status = 'queued'
    and (r.lease_until is null or r.lease_until <= ?)
order by r.message_id desc
limit ?;

-- deliveries
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.id in (
  select value
  from json_each(?)) and d.env_id = ?;

-- hasRun
select 1 as found
from messages as m
where m.env_id = ? and m.recipient = ? and m.user_id is not null and m.event = ? and m.run_status is not null
    and m.id < ?
limit 1;

-- hasRun
select 1 as found
from messages as m
where m.env_id = ? and m.recipient = ? and m.user_id is null and m.event = ? and m.run_status is not null
    and m.id < ? and m.tenant_id = ?
limit 1;

-- commit
insert into gates ("env_id", "key", "window_until", "passed", "batch_id", "over_at")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, key) do update
set over_at = gates.over_at
returning gates.env_id, gates.key, gates.window_until, gates.passed, gates.batch_id, gates.over_at;

-- commit
update gates
set window_until = v.window_until, passed = v.passed, batch_id = v.batch_id, over_at = v.over_at
from (
  select ? as "env_id", ? as "key", ? as "window_until", ? as "passed", ? as "batch_id", ? as "over_at") as v
where gates.env_id = v.env_id and gates.key = v.key;

-- commit
insert into batches ("env_id", "id", "carrier_id", "opened_at", "closes_at", "version", "joined", "n",
    "closed")
values (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- commit
insert into batch_items ("env_id", "batch_id", "position", "message_id", "recipient", "cancels", "actor",
    "at", "scalars", "data")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- commit, cancel
select env_id, id, carrier_id, opened_at, closes_at, version, joined, n, closed
from batches
where env_id in (
  select value
  from json_each(?)) and id in (
  select value
  from json_each(?)) and closed = 0
order by env_id, id;

-- commit, cancel
update batches
set closes_at = v.closes_at, version = v.version, joined = v.joined, n = v.n
from (
  select ? as "env_id", ? as "id", ? as "closes_at", ? as "version", ? as "joined", ? as "n") as v
where batches.env_id = v.env_id and batches.id = v.id;

-- commit
update runs
set due_at = v.due_at, ready_at = case when lease_until is null then v.due_at else ready_at end
from (
  select ? as "env_id", ? as "message_id", ? as "due_at") as v
where runs.env_id = v.env_id and runs.message_id = v.message_id;

-- batch
select version
from batches
where env_id = ? and id = ? and closed = 0;

-- batch
select message_id, actor, at, data
from batch_items
where env_id = ? and batch_id = ?
order by position asc
limit ?;

-- batch
select message_id, actor, at, data
from batch_items
where env_id = ? and batch_id = ?
order by position desc
limit ?;

-- batch
select position, actor, coalesce(scalars, data) as scalars
from batch_items
where env_id = ? and batch_id = ? and position > ?
order by position
limit ?;

-- commit
delete from batch_items
where (env_id, batch_id) in (
  select v.env_id, v.id
  from (
    select ? as "env_id", ? as "id") as v);

-- commit
delete from batches
where (env_id, id) in (
  select v.env_id, v.id
  from (
    select ? as "env_id", ? as "id") as v);

-- cancel
with expanding as materialized (
  select env_id, id
  from requests
  where ready_at is not null
  order by ready_at)
select r."env_id", r."id", r."state", r."spec", r."cursor", r."lease_until", r."ready_at", r."archived_at",
    r."created_at", r."has_messages"
from expanding as e
cross join requests as r
where r.env_id = e.env_id and r.id = e.id and e.env_id = ? and r.state = 'expanding' and instr(r.spec, ?) > 0;

-- cancel
update requests
set state = 'expanded', lease_until = null, ready_at = null
where env_id = ? and id in (
  select value
  from json_each(?)) and state = 'expanding';

-- cancel
select message_id, state
from runs
where env_id = ? and cancels = ?
order by env_id, message_id
limit ?;

-- cancel
select carrier_id
from batches
where env_id = ? and id in (
  select value
  from json_each(?)) and closed = 0;

-- cancel
update runs
set cancellation_key = null, cancels = null
where env_id = ? and message_id in (
  select value
  from json_each(?));

-- cancel
delete from runs
where env_id = ? and message_id in (
  select value
  from json_each(?));

-- cancel
select id, state
from messages
where env_id = ? and id in (
  select value
  from json_each(?))
order by id;

-- cancel
select id, run
from messages
where env_id = ? and id in (
  select value
  from json_each(?)) and run is not null;

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
select batch_id, position
from batch_items
where env_id = ? and cancels = ? and exists (
  select 1
  from batches as b
  where b.env_id = batch_items.env_id and b.id = batch_items.batch_id and b.closed = 0)
order by message_id
limit ?;

-- cancel
delete from batch_items
where (env_id, batch_id, position) in (
  select v.env_id, v.batch_id, v.position
  from (
    select ? as "env_id", ? as "batch_id", ? as "position") as v)
returning batch_id;

-- cancel
select message_id, state
from runs
where env_id = ? and cancels = ? and recipient in (
  select value
  from json_each(?))
order by env_id, message_id
limit ?;

-- cancel
select batch_id, position
from batch_items
where env_id = ? and cancels = ? and recipient in (
  select value
  from json_each(?)) and exists (
  select 1
  from batches as b
  where b.env_id = batch_items.env_id and b.id = batch_items.batch_id and b.closed = 0)
order by message_id
limit ?;
