-- What src/storage/inbox.ts has Postgres run, written by test/storage/sql.test.ts.

-- progress, change, changeAll
select id, state
from messages
where env_id = $1 and id = any($2::text[])
order by id for update;

-- progress, change, changeAll
insert into message_events ("message_id", "id", "env_id", "delivery_id", "kind", "happened_at", "data")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[])
on conflict (message_id, id) do nothing;

-- progress, change
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

-- progress, change
insert into message_changes (env_id, message_id, state, reason, error, sent_at, delivered_at, opened_at,
    clicked_at, canceled_at, lease_until, ready_at, revision)
select distinct m.env_id, m.id, m.state, m.reason, m.error, m.sent_at, m.delivered_at, m.opened_at,
    m.clicked_at, m.canceled_at, cast(null as bigint), 0, 1
from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as v("env_id", "message_id", "delivery_id",
    "kind")
cross join messages as m
where m.env_id = v.env_id and m.id = v.message_id and m.to_endpoints = 0 and exists (
  select 1
  from documents as d
  where d.kind = 'outbound-webhook' and d.env_id = v.env_id) and 1 = (
  select count(*)
  from message_events as e
  where e.message_id = v.message_id and e.delivery_id = v.delivery_id and e.kind = v.kind)
on conflict (env_id, message_id, state) do update
set reason = excluded.reason, error = excluded.error, sent_at = excluded.sent_at,
    delivered_at = excluded.delivered_at, opened_at = excluded.opened_at, clicked_at = excluded.clicked_at,
    canceled_at = excluded.canceled_at, lease_until = excluded.lease_until, ready_at = excluded.ready_at,
    revision = message_changes.revision + 1;

-- list, count, changeAll
select tenant_id, bucket
from inbox_counts
where env_id = $1 and user_id = $2 and bucket in (…) and n > 0;

-- list, changeAll
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.tenant_id = $3 and d.bucket = $4 and d.id < $5
        and (d.expires_at is null or d.expires_at > $6)
    order by d.id desc
    limit $7) as newest) as found
order by id desc
limit $8;

-- list
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where id = any($1::text[])
order by id desc;

-- count
select coalesce((
    select sum(n)
    from inbox_counts
    where env_id = $1 and user_id = $2 and bucket in (…)), 0) - (
  select count(*)
  from deliveries
  where env_id = $3 and user_id = $4 and bucket is not null and expires_at is not null and expires_at <= $5
      and bucket in (…)) as n;

-- piles
select bucket, sum(n) as n
from (
  select bucket, n
  from inbox_counts
  where env_id = $1 and user_id = $2 and bucket in (…)
  union all
  select bucket, -1 as n
  from deliveries
  where env_id = $3 and user_id = $4 and bucket is not null and expires_at is not null and expires_at <= $5
      and bucket in (…)) as found
group by bucket;

-- count
select coalesce((
    select sum(n)
    from inbox_counts
    where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket in (…)), 0) - (
  select count(*)
  from deliveries
  where env_id = $4 and user_id = $5 and bucket is not null and expires_at is not null and expires_at <= $6
      and bucket in (…) and tenant_id = $7) as n;

-- piles
select bucket, sum(n) as n
from (
  select bucket, n
  from inbox_counts
  where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket in (…)
  union all
  select bucket, -1 as n
  from deliveries
  where env_id = $4 and user_id = $5 and bucket is not null and expires_at is not null and expires_at <= $6
      and bucket in (…) and tenant_id = $7) as found
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.tenant_id = $3 and d.bucket = $4 and d.id < $5
        and (d.expires_at is null or d.expires_at > $6) and d.created_at >= $7 and jsonb_exists_any(d.tags::jsonb,
        $8::text[])
    order by d.id desc
    limit $9) as newest) as found
order by id desc
limit $10;

-- count
select count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket = $4
    and (d.expires_at is null or d.expires_at > $5) and d.created_at >= $6 and jsonb_exists_any(d.tags::jsonb,
    $7::text[]);

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket in (…)
    and (d.expires_at is null or d.expires_at > $4) and d.created_at >= $5 and jsonb_exists_any(d.tags::jsonb,
    $6::text[])
group by bucket;

-- list
select tenant_id, bucket
from inbox_counts
where env_id = $1 and user_id = $2 and bucket in (…) and n > 0 and tenant_id = any($3::text[]);

-- count
select coalesce((
    select sum(n)
    from inbox_counts
    where env_id = $1 and user_id = $2 and tenant_id = any($3::text[]) and bucket in (…)), 0) - (
  select count(*)
  from deliveries
  where env_id = $4 and user_id = $5 and bucket is not null and expires_at is not null and expires_at <= $6
      and bucket in (…) and tenant_id = any($7::text[])) as n;

-- piles
select bucket, sum(n) as n
from (
  select bucket, n
  from inbox_counts
  where env_id = $1 and user_id = $2 and tenant_id = any($3::text[]) and bucket in (…)
  union all
  select bucket, -1 as n
  from deliveries
  where env_id = $4 and user_id = $5 and bucket is not null and expires_at is not null and expires_at <= $6
      and bucket in (…) and tenant_id = any($7::text[])) as found
group by bucket;

-- list, count
select tenant_id, bucket
from inbox_counts
where env_id = $1 and user_id = $2 and bucket in (…) and n > 0 and tenant_id <> '';

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.tenant_id = $3 and d.bucket = $4 and d.id < $5
        and (d.expires_at is null or d.expires_at > $6) and d.created_at < $7 and d.interacted_at is null and exists (
      select 1
      from messages as m
      where m.id = d.message_id and m.env_id = d.env_id and m.event = any($8::text[]))
    order by d.id desc
    limit $9) as newest) as found
order by id desc
limit $10;

-- count
select count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket = $4
    and (d.expires_at is null or d.expires_at > $5) and d.created_at < $6 and d.interacted_at is null and exists (
  select 1
  from messages as m
  where m.id = d.message_id and m.env_id = d.env_id and m.event = any($7::text[]));

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and tenant_id <> '' and bucket in (…)
    and (d.expires_at is null or d.expires_at > $3) and d.created_at < $4 and d.interacted_at is null and exists (
  select 1
  from messages as m
  where m.id = d.message_id and m.env_id = d.env_id and m.event = any($5::text[]))
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.tenant_id = $3 and d.bucket = $4 and d.id < $5
        and (d.expires_at is null or d.expires_at > $6) and (d.origin is null or (regexp_replace(d.origin,
        '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb ->> 'channelId') = any($7::text[]))
    order by d.id desc
    limit $8) as newest) as found
order by id desc
limit $9;

-- count
select count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket = $4
    and (d.expires_at is null or d.expires_at > $5) and (d.origin is null or (regexp_replace(d.origin,
    '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb ->> 'channelId') = any($6::text[]));

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and bucket in (…) and (d.expires_at is null or d.expires_at > $3)
    and (d.origin is null or (regexp_replace(d.origin, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
    'g')::jsonb ->> 'channelId') = any($4::text[]))
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.tenant_id = $3 and d.bucket = $4 and d.id < $5
        and (d.expires_at is null or d.expires_at > $6) and (regexp_replace(d.origin,
        '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb ->> 'channelId') = any($7::text[])
    order by d.id desc
    limit $8) as newest) as found
order by id desc
limit $9;

-- count
select count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket = $4
    and (d.expires_at is null or d.expires_at > $5) and (regexp_replace(d.origin,
    '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb ->> 'channelId') = any($6::text[]);

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and bucket in (…) and (d.expires_at is null or d.expires_at > $3)
    and (regexp_replace(d.origin, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
    'g')::jsonb ->> 'channelId') = any($4::text[])
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.tenant_id = $3 and d.bucket = $4 and d.id < $5
        and (d.expires_at is null or d.expires_at > $6) and jsonb_typeof(regexp_replace(d.data,
        '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb -> $7::text) = 'string'
        and left(regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
        'g')::jsonb ->> $8::text, 256) = $9 and regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})',
        '\\ufffd', 'g')::jsonb -> $10::text = $11::jsonb and regexp_replace(d.data,
        '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb -> $12::text = $13::jsonb
        and regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
        'g')::jsonb -> $14::text = $15::jsonb
    order by d.id desc
    limit $16) as newest) as found
order by id desc
limit $17;

-- count
select count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket = $4
    and (d.expires_at is null or d.expires_at > $5) and jsonb_typeof(regexp_replace(d.data,
    '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb -> $6::text) = 'string'
    and left(regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
    'g')::jsonb ->> $7::text, 256) = $8 and regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})',
    '\\ufffd', 'g')::jsonb -> $9::text = $10::jsonb and regexp_replace(d.data,
    '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb -> $11::text = $12::jsonb
    and regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
    'g')::jsonb -> $13::text = $14::jsonb;

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket in (…)
    and (d.expires_at is null or d.expires_at > $4) and jsonb_typeof(regexp_replace(d.data,
    '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb -> $5::text) = 'string'
    and left(regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
    'g')::jsonb ->> $6::text, 256) = $7 and regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})',
    '\\ufffd', 'g')::jsonb -> $8::text = $9::jsonb and regexp_replace(d.data,
    '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb -> $10::text = $11::jsonb
    and regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
    'g')::jsonb -> $12::text = $13::jsonb
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.tenant_id = $3 and d.bucket = $4 and d.id > $5
        and (d.expires_at is null or d.expires_at > $6)
    order by d.id asc
    limit $7) as newest) as found
order by id asc
limit $8;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.tenant_id = $3 and d.bucket = $4 and d.id < $5 and d.id > $6
        and (d.expires_at is null or d.expires_at > $7)
    order by d.id desc
    limit $8) as newest) as found
order by id desc
limit $9;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.tenant_id = $3 and d.bucket = $4 and d.id < $5
        and (d.expires_at is null or d.expires_at > $6) and jsonb_exists_any(d.tags::jsonb, $7::text[])
    order by d.id desc
    limit $8) as newest) as found
order by id desc
limit $9;

-- count
select count(*) as n
from deliveries as d
where env_id = $1 and user_id = $2 and tenant_id = $3 and bucket = $4
    and (d.expires_at is null or d.expires_at > $5) and d.created_at >= $6;

-- readByMessage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where message_id = $1 and env_id = $2 and user_id = $3 and channel = 'inbox' and deleted_at is null
order by id desc
limit 1;

-- change, changeAll
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where id = any($1::text[]) and env_id = $2
order by id for update;

-- change, changeAll
update deliveries as d
set seen_at = v.seen_at, read_at = v.read_at, interacted_at = v.interacted_at, archived_at = v.archived_at,
    deleted_at = v.deleted_at, bucket = v.bucket
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::bigint[]) as v("id", "seen_at", "read_at", "interacted_at", "archived_at", "deleted_at", "bucket")
where d.id = v.id;

-- change, changeAll, expire
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- change, expire
update messages
set in_inbox = 0
where env_id = any($1::text[]) and id = any($2::text[]) and not exists (
  select 1
  from deliveries as d
  where d.message_id = messages.id and d.bucket is not null);

-- expire
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where bucket is not null and expires_at is not null and expires_at <= $1
order by expires_at
limit $2 for update skip locked;

-- expire
update deliveries
set bucket = null
where id = any($1::text[]);
