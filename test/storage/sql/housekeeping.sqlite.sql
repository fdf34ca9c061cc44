-- What src/storage/housekeeping.ts has SQLite run, written by test/storage/sql.test.ts.

-- sweep
delete from idempotency_keys
where (env_id, scope, key) in (
  select env_id, scope, key
  from idempotency_keys
  where expires_at <= ?
  order by expires_at
  limit ?) and expires_at <= ?;

-- sweep
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where (app_id, id) in (
  select app_id, id
  from app_messages
  where payload_until <= ?
  order by payload_until
  limit ?);

-- sweep
delete from tasks
where (env_id, id) in (
  select env_id, id
  from tasks
  where ready_at is null and updated_at < ?
  order by updated_at
  limit ?);

-- sweep
delete from bulk_operations
where (env_id, id) in (
  select env_id, id
  from bulk_operations
  where created_at < ?
  order by created_at
  limit ?);

-- sweep
delete from gates
where (env_id, key) in (
  select env_id, key
  from gates
  where over_at <= ?
  order by over_at
  limit ?);

-- sweep
delete from batch_items
where (env_id, batch_id, position) in (
  select i.env_id, i.batch_id, i.position
  from batches as b
  join batch_items as i on i.env_id = b.env_id and i.batch_id = b.id
  where b.closed = 1
  limit ?);

-- sweep
delete from batches
where (env_id, id) in (
  select b.env_id, b.id
  from batches as b
  where b.closed = 1 and not exists (
    select 1
    from batch_items as i
    where i.env_id = b.env_id and i.batch_id = b.id)
  limit ?);

-- sweep
delete from captured
where (env_id, id) in (
  select env_id, id
  from captured
  where at < ?
  order by at
  limit ?);

-- sweep
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from messages as m
cross join deliveries as d
where m.in_inbox = 1 and m.created_at < ? and d.message_id = m.id and d.bucket is not null
    and d.created_at < ?
limit ?;

-- sweep
delete from deliveries
where id in (
  select value
  from json_each(?));

-- sweep
update messages
set in_inbox = 0
where env_id in (
  select value
  from json_each(?)) and id in (
  select value
  from json_each(?)) and not exists (
  select 1
  from deliveries as d
  where d.message_id = messages.id and d.bucket is not null);

-- sweep
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- sweep
select m.env_id, m.id, m.request_id, m.tags
from messages as m
where m.in_inbox = 0 and m.created_at < ? and m.ready_at is null and not exists (
  select 1
  from deliveries as d
  where d.message_id = m.id and d.state = 'pending') and not exists (
  select 1
  from runs as r
  where r.env_id = m.env_id and r.message_id = m.id)
order by m.created_at
limit ?;

-- sweep
delete from attempts
where message_id in (
  select value
  from json_each(?));

-- sweep
delete from message_events
where message_id in (
  select value
  from json_each(?));

-- sweep
delete from deliveries
where message_id in (
  select value
  from json_each(?));

-- sweep
delete from message_tags
where (env_id, tag, message_id) in (
  select v.env_id, v.tag, v.message_id
  from (
    select ? as "env_id", ? as "tag", ? as "message_id") as v);

-- sweep
delete from messages
where (env_id, id) in (
  select v.env_id, v.id
  from (
    select ? as "env_id", ? as "id") as v);

-- sweep
delete from requests
where (env_id, id) in (
  select v.env_id, v.id
  from (
    select ? as "env_id", ? as "id") as v) and not exists (
  select 1
  from messages as m
  where m.request_id = requests.id) and state = 'expanded';

-- sweep
update requests
set has_messages = 0
where (env_id, id) in (
  select v.env_id, v.id
  from (
    select ? as "env_id", ? as "id") as v) and not exists (
  select 1
  from messages as m
  where m.request_id = requests.id);

-- sweep
delete from requests
where (env_id, id) in (
  select env_id, id
  from requests
  where has_messages = 0 and created_at < ? and state = 'expanded'
  order by created_at
  limit ?);

-- sweep
select m.app_id, m.id
from app_messages as m
where m.created_at < ? and not exists (
  select 1
  from deliveries as d
  where d.message_id = m.id and d.state = 'pending')
order by m.created_at
limit ?;

-- sweep
delete from endpoint_attempts
where message_id in (
  select value
  from json_each(?));

-- sweep
delete from app_messages
where (app_id, id) in (
  select v.app_id, v.id
  from (
    select ? as "app_id", ? as "id") as v);
