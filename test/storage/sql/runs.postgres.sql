-- What src/storage/runs.ts has Postgres run, written by test/storage/sql.test.ts.

-- claim
with claimed as materialized (
  select env_id, message_id
  from runs
  where ready_at <= $1
  order by ready_at, message_id
  limit $2 for update skip locked)
update runs
set lease_until = $3, ready_at = $4
from claimed
where runs.env_id = claimed.env_id and runs.message_id = claimed.message_id
returning runs.env_id, runs.message_id, runs.request_id, runs.workflow, runs.recipient, runs.tenant_id,
    runs.cancellation_key, runs.cancels, runs.status, runs.state, runs.due_at, runs.lease_until, runs.ready_at,
    runs.created_at;

-- renew
with leased as materialized (
  select env_id, message_id
  from runs
  where ready_at = $1 and lease_until = $2 and message_id = any($3::text[])
  order by env_id, message_id for update)
update runs
set lease_until = $4, ready_at = $5
from leased
where runs.env_id = leased.env_id and runs.message_id = leased.message_id;

-- release
with leased as materialized (
  select env_id, message_id
  from runs
  where ready_at = $1 and lease_until = $2 and message_id = any($3::text[])
  order by env_id, message_id for update)
update runs
set lease_until = null, ready_at = due_at
from leased
where runs.env_id = leased.env_id and runs.message_id = leased.message_id;

-- read
select r.env_id, r.message_id, r.request_id, r.workflow, r.recipient, r.tenant_id, r.cancellation_key,
    r.cancels, r.status, r.state, r.due_at, r.lease_until, r.ready_at, r.created_at
from runs as r
where r.env_id = $1 and r.message_id = $2;

-- commit
select env_id, message_id, lease_until
from runs
where env_id = any($1::text[]) and message_id = any($2::text[])
order by env_id, message_id for update;

-- commit
update runs
set status = v.status, state = v.state, due_at = v.due_at, ready_at = v.due_at, lease_until = null
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) as v("env_id", "message_id",
    "status", "state", "due_at")
where runs.env_id = v.env_id and runs.message_id = v.message_id;

-- commit, cancel
select id, state
from messages
where env_id = $1 and id = any($2::text[])
order by id for update;

-- commit, cancel
update messages
set run = v.run, run_status = v.run_status, run_errors = case
    when v.run_errors > messages.run_errors then v.run_errors else messages.run_errors end
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) as v("env_id", "id", "run",
    "run_status", "run_errors")
where messages.env_id = v.env_id and messages.id = v.id;

-- commit
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

-- commit
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- commit
update messages
set in_inbox = 1
where env_id = any($1::text[]) and id = any($2::text[]);

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
from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[]) as v("env_id", "id", "rank", "state", "reason", "error",
    "sent_at", "delivered_at", "opened_at", "clicked_at")
where m.env_id = v.env_id and m.id = v.id;

-- commit
insert into requests ("env_id", "id", "state", "spec", "cursor", "lease_until", "ready_at", "archived_at",
    "created_at", "has_messages")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[]);

-- commit
insert into users ("env_id", "user_id", "profile", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
on conflict (env_id, user_id) do nothing;

-- commit
select t.user_id, t.profile as body
from unnest($1::text[], $2::text[]) as v("env_id", "user_id")
join users as t on t.env_id = v.env_id and t.user_id = v.user_id
order by t.user_id for update of t;

-- commit
update users
set profile = v.body, updated_at = v.at
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as v("env_id", "user_id", "body", "at")
where users.env_id = v.env_id and users.user_id = v.user_id;

-- commit
insert into objects ("env_id", "collection", "id", "properties", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
on conflict (env_id, collection, id) do nothing;

-- commit
select t.collection, t.id, t.properties as body
from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "collection", "id")
join objects as t on t.env_id = v.env_id and t.collection = v.collection and t.id = v.id
order by t.collection, t.id for update of t;

-- commit
update objects
set properties = v.body, updated_at = v.at
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) as v("env_id", "collection", "id",
    "body", "at")
where objects.env_id = v.env_id and objects.collection = v.collection and objects.id = v.id;

-- commit
select body
from documents
where env_id = $1 and kind = $2 and id = $3 for update;

-- commit
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values ($1, $2, $3, $4, 1, $5, $6)
on conflict (env_id, kind, id) do nothing;

-- commit
select 1
from documents as d
where d.kind = 'knock-webhook' and d.env_id = $1
limit 1;

-- commit
delete from runs
where (env_id, message_id) in (
  select v.env_id, v.message_id
  from unnest($1::text[], $2::text[]) as v("env_id", "message_id"));

-- commit
update messages
set state = v.state, reason = v.reason, error = v.error, canceled_at = v.canceled_at
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) as v("env_id",
    "message_id", "state", "reason", "error", "canceled_at")
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
where m.env_id = $1 and m.run is not null
order by m.id desc
limit $2;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = $1 and m.run is not null and m.event = $2
order by m.id desc
limit $3;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = $1 and m.run is not null and m.run_status = 'completed'
order by m.id desc
limit $2;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = $1 and m.run is not null and m.run_status = 'cancelled'
order by m.id desc
limit $2;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from runs as r
cross join lateral (
  select *
  from messages as m
  where m.env_id = r.env_id and m.id = r.message_id offset 0) as m
where r.env_id = $1 and m.run is not null and m.run_status = 'paused'
    and (r.lease_until is null or r.lease_until <= $2)
order by r.message_id desc
limit $3;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from runs as r
cross join lateral (
  select *
  from messages as m
  where m.env_id = r.env_id and m.id = r.message_id offset 0) as m
where r.env_id = $1 and m.run is not null and (r.lease_until > $2 or (m.run_status = 'queued'
    and (r.lease_until is null or r.lease_until <= $3)))
order by r.message_id desc
limit $4;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from runs as r
cross join lateral (
  select *
  from messages as m
  where m.env_id = r.env_id and m.id = r.message_id offset 0) as m
where r.env_id = $1 and m.run is not null and r.lease_until > $2
order by r.message_id desc
limit $3;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = $1 and m.run_status is not null and m.tenant_id = $2 and m.recipient = $3
    and m.user_id is not null and m.created_at >= $4 and m.id >= $5 and m.created_at < $6
    and (r.lease_until > $7 or (m.run_status = any($8::text[])
    and (r.lease_until is null or r.lease_until <= $9)))
order by m.id desc
limit $10;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = $1 and m.run_status is not null and m.run_errors > 0 and m.recipient = $2
    and m.user_id is null
order by m.id desc
limit $3;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = $1 and m.run is not null and m.run_errors = 0
order by m.id desc
limit $2;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = $1 and m.id < $2 and m.run is not null
order by m.id desc
limit $3;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from messages as m
left join runs as r on m.env_id = r.env_id and m.id = r.message_id
where m.env_id = $1 and m.id > $2 and m.run is not null
order by m.id asc
limit $3;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors",
    r.lease_until as run_lease_until
from runs as r
cross join lateral (
  select *
  from messages as m
  where m.env_id = r.env_id and m.id = r.message_id offset 0) as m
where r.env_id = $1 and r.message_id < $2 and r.message_id > $3 and m.run is not null
    and m.run_status = 'queued' and (r.lease_until is null or r.lease_until <= $4)
order by r.message_id desc
limit $5;

-- deliveries
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.id = any($1::text[]) and d.env_id = $2;

-- hasRun
select 1 as found
from messages as m
where m.env_id = $1 and m.recipient = $2 and m.user_id is not null and m.event = $3
    and m.run_status is not null and m.id < $4
limit 1;

-- hasRun
select 1 as found
from messages as m
where m.env_id = $1 and m.recipient = $2 and m.user_id is null and m.event = $3 and m.run_status is not null
    and m.id < $4 and m.tenant_id = $5
limit 1;

-- commit
insert into gates ("env_id", "key", "window_until", "passed", "batch_id", "over_at")
select *
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])
on conflict (env_id, key) do update
set over_at = gates.over_at
returning gates.env_id, gates.key, gates.window_until, gates.passed, gates.batch_id, gates.over_at;

-- commit
update gates
set window_until = v.window_until, passed = v.passed, batch_id = v.batch_id, over_at = v.over_at
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[]) as v("env_id",
    "key", "window_until", "passed", "batch_id", "over_at")
where gates.env_id = v.env_id and gates.key = v.key;

-- commit
insert into batches ("env_id", "id", "carrier_id", "opened_at", "closes_at", "version", "joined", "n",
    "closed")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[]);

-- commit
insert into batch_items ("env_id", "batch_id", "position", "message_id", "recipient", "cancels", "actor",
    "at", "scalars", "data")
select *
from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::bigint[], $9::text[], $10::text[]);

-- commit, cancel
select env_id, id, carrier_id, opened_at, closes_at, version, joined, n, closed
from batches
where env_id = any($1::text[]) and id = any($2::text[]) and closed = 0
order by env_id, id for update;

-- commit, cancel
update batches
set closes_at = v.closes_at, version = v.version, joined = v.joined, n = v.n
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) as v("env_id",
    "id", "closes_at", "version", "joined", "n")
where batches.env_id = v.env_id and batches.id = v.id;

-- commit
update runs
set due_at = v.due_at, ready_at = case when lease_until is null then v.due_at else ready_at end
from unnest($1::text[], $2::text[], $3::bigint[]) as v("env_id", "message_id", "due_at")
where runs.env_id = v.env_id and runs.message_id = v.message_id;

-- batch
select version
from batches
where env_id = $1 and id = $2 and closed = 0;

-- batch
select message_id, actor, at, data
from batch_items
where env_id = $1 and batch_id = $2
order by position asc
limit $3;

-- batch
select message_id, actor, at, data
from batch_items
where env_id = $1 and batch_id = $2
order by position desc
limit $3;

-- batch
select position, actor, coalesce(scalars, data) as scalars
from batch_items
where env_id = $1 and batch_id = $2 and position > $3
order by position
limit $4;

-- commit
delete from batch_items
where (env_id, batch_id) in (
  select v.env_id, v.id
  from unnest($1::text[], $2::text[]) as v("env_id", "id"));

-- commit
delete from batches
where (env_id, id) in (
  select v.env_id, v.id
  from unnest($1::text[], $2::text[]) as v("env_id", "id"));

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
where r.env_id = e.env_id and r.id = e.id and e.env_id = $1 and r.state = 'expanding' and strpos(r.spec,
    $2) > 0
order by r.id for update of r;

-- cancel
update requests
set state = 'expanded', lease_until = null, ready_at = null
where env_id = $1 and id = any($2::text[]) and state = 'expanding';

-- cancel
select message_id, state
from runs
where env_id = $1 and cancels = $2
order by env_id, message_id
limit $3 for update;

-- cancel
select carrier_id
from batches
where env_id = $1 and id = any($2::text[]) and closed = 0;

-- cancel
update runs
set cancellation_key = null, cancels = null
where env_id = $1 and message_id = any($2::text[]);

-- cancel
delete from runs
where env_id = $1 and message_id = any($2::text[]);

-- cancel
select id, run
from messages
where env_id = $1 and id = any($2::text[]) and run is not null;

-- cancel
update messages
set state = 'canceled', canceled_at = $1
where env_id = $2 and id = any($3::text[]) and state in ('enqueued', 'delayed', 'routed') and not exists (
  select 1
  from deliveries as d
  where d.message_id = messages.id);

-- cancel
select batch_id, position
from batch_items
where env_id = $1 and cancels = $2 and exists (
  select 1
  from batches as b
  where b.env_id = batch_items.env_id and b.id = batch_items.batch_id and b.closed = 0)
order by message_id
limit $3;

-- cancel
delete from batch_items
where (env_id, batch_id, position) in (
  select v.env_id, v.batch_id, v.position
  from unnest($1::text[], $2::text[], $3::bigint[]) as v("env_id", "batch_id", "position"))
returning batch_id;

-- cancel
select message_id, state
from runs
where env_id = $1 and cancels = $2 and recipient = any($3::text[])
order by env_id, message_id
limit $4 for update;

-- cancel
select batch_id, position
from batch_items
where env_id = $1 and cancels = $2 and recipient = any($3::text[]) and exists (
  select 1
  from batches as b
  where b.env_id = batch_items.env_id and b.id = batch_items.batch_id and b.closed = 0)
order by message_id
limit $4;
