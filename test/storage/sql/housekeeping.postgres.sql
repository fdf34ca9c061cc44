-- What src/storage/housekeeping.ts has Postgres run, written by test/storage/sql.test.ts.

-- sweep
delete from idempotency_keys
where (env_id, scope, key) in (
  select env_id, scope, key
  from idempotency_keys
  where expires_at <= $1
  order by expires_at
  limit $2) and expires_at <= $3;

-- sweep
update app_messages
set parameters = null, payload = null, raw = null, payload_until = null
where (app_id, id) in (
  select app_id, id
  from app_messages
  where payload_until <= $1
  order by payload_until
  limit $2 for update skip locked);

-- sweep
delete from tasks
where (env_id, id) in (
  select env_id, id
  from tasks
  where ready_at is null and updated_at < $1
  order by updated_at
  limit $2);

-- sweep
delete from bulk_operations
where (env_id, id) in (
  select env_id, id
  from bulk_operations
  where created_at < $1
  order by created_at
  limit $2);

-- sweep
delete from gates
where (env_id, key) in (
  select env_id, key
  from gates
  where over_at <= $1
  order by over_at
  limit $2 for update of gates skip locked);

-- sweep
delete from batch_items
where (env_id, batch_id, position) in (
  select i.env_id, i.batch_id, i.position
  from batches as b
  join batch_items as i on i.env_id = b.env_id and i.batch_id = b.id
  where b.closed = 1
  limit $1);

-- sweep
delete from batches
where (env_id, id) in (
  select b.env_id, b.id
  from batches as b
  where b.closed = 1 and not exists (
    select 1
    from batch_items as i
    where i.env_id = b.env_id and i.batch_id = b.id)
  limit $1);

-- sweep
delete from captured
where (env_id, id) in (
  select env_id, id
  from captured
  where at < $1
  order by at
  limit $2);

-- sweep
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from messages as m
cross join deliveries as d
where m.in_inbox = 1 and m.created_at < $1 and d.message_id = m.id and d.bucket is not null
    and d.created_at < $2
limit $3 for update of d skip locked;

-- sweep
delete from deliveries
where id = any($1::text[]);

-- sweep
update messages
set in_inbox = 0
where env_id = any($1::text[]) and id = any($2::text[]) and not exists (
  select 1
  from deliveries as d
  where d.message_id = messages.id and d.bucket is not null);

-- sweep
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- sweep
select m.env_id, m.id, m.request_id, m.tags
from messages as m
where m.in_inbox = 0 and m.created_at < $1 and m.ready_at is null and not exists (
  select 1
  from deliveries as d
  where d.message_id = m.id and d.state = 'pending') and not exists (
  select 1
  from runs as r
  where r.env_id = m.env_id and r.message_id = m.id)
order by m.created_at
limit $2 for update of m skip locked;

-- sweep
delete from attempts
where message_id = any($1::text[]);

-- sweep
delete from message_events
where message_id = any($1::text[]);

-- sweep
delete from deliveries
where message_id = any($1::text[]);

-- sweep
delete from message_tags
where (env_id, tag, message_id) in (
  select v.env_id, v.tag, v.message_id
  from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "tag", "message_id"));

-- sweep
delete from messages
where (env_id, id) in (
  select v.env_id, v.id
  from unnest($1::text[], $2::text[]) as v("env_id", "id"));

-- sweep
delete from requests
where (env_id, id) in (
  select v.env_id, v.id
  from unnest($1::text[], $2::text[]) as v("env_id", "id")) and not exists (
  select 1
  from messages as m
  where m.request_id = requests.id) and state = 'expanded';

-- sweep
update requests
set has_messages = 0
where (env_id, id) in (
  select v.env_id, v.id
  from unnest($1::text[], $2::text[]) as v("env_id", "id")) and not exists (
  select 1
  from messages as m
  where m.request_id = requests.id);

-- sweep
delete from requests
where (env_id, id) in (
  select env_id, id
  from requests
  where has_messages = 0 and created_at < $1 and state = 'expanded'
  order by created_at
  limit $2);

-- sweep
select m.app_id, m.id
from app_messages as m
where m.created_at < $1 and not exists (
  select 1
  from deliveries as d
  where d.message_id = m.id and d.state = 'pending')
order by m.created_at
limit $2 for update of m skip locked;

-- sweep
delete from endpoint_attempts
where message_id = any($1::text[]);

-- sweep
delete from app_messages
where (app_id, id) in (
  select v.app_id, v.id
  from unnest($1::text[], $2::text[]) as v("app_id", "id"));
