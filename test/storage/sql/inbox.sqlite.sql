-- What src/storage/inbox.ts has SQLite run, written by test/storage/sql.test.ts.

-- progress, change, changeAll
select id, state
from messages
where env_id = ? and id in (
  select value
  from json_each(?))
order by id;

-- progress, change, changeAll
insert into message_events ("message_id", "id", "env_id", "delivery_id", "kind", "happened_at", "data")
values (?, ?, ?, ?, ?, ?, ?)
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
from (
  select ? as "env_id", ? as "id", ? as "rank", ? as "state", ? as "reason", ? as "error", ? as "sent_at",
      ? as "delivered_at", ? as "opened_at", ? as "clicked_at") as v
where m.env_id = v.env_id and m.id = v.id;

-- progress, change
insert into message_changes (env_id, message_id, state, reason, error, sent_at, delivered_at, opened_at,
    clicked_at, canceled_at, lease_until, ready_at, revision)
select distinct m.env_id, m.id, m.state, m.reason, m.error, m.sent_at, m.delivered_at, m.opened_at,
    m.clicked_at, m.canceled_at, cast(null as bigint), 0, 1
from (
  select ? as "env_id", ? as "message_id", ? as "delivery_id", ? as "kind") as v
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
where env_id = ? and user_id = ? and bucket in (…) and n > 0;

-- list, changeAll
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id < ?
        and (d.expires_at is null or d.expires_at > ?)
    order by d.id desc
    limit ?) as newest) as found
order by id desc
limit ?;

-- list
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where id in (
  select value
  from json_each(?))
order by id desc;

-- count
select coalesce((
    select sum(n)
    from inbox_counts
    where env_id = ? and user_id = ? and bucket in (…)), 0) - (
  select count(*)
  from deliveries
  where env_id = ? and user_id = ? and bucket is not null and expires_at is not null and expires_at <= ?
      and bucket in (…)) as n;

-- piles
select bucket, sum(n) as n
from (
  select bucket, n
  from inbox_counts
  where env_id = ? and user_id = ? and bucket in (…)
  union all
  select bucket, -1 as n
  from deliveries
  where env_id = ? and user_id = ? and bucket is not null and expires_at is not null and expires_at <= ?
      and bucket in (…)) as found
group by bucket;

-- count
select coalesce((
    select sum(n)
    from inbox_counts
    where env_id = ? and user_id = ? and tenant_id = ? and bucket in (…)), 0) - (
  select count(*)
  from deliveries
  where env_id = ? and user_id = ? and bucket is not null and expires_at is not null and expires_at <= ?
      and bucket in (…) and tenant_id = ?) as n;

-- piles
select bucket, sum(n) as n
from (
  select bucket, n
  from inbox_counts
  where env_id = ? and user_id = ? and tenant_id = ? and bucket in (…)
  union all
  select bucket, -1 as n
  from deliveries
  where env_id = ? and user_id = ? and bucket is not null and expires_at is not null and expires_at <= ?
      and bucket in (…) and tenant_id = ?) as found
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id < ?
        and (d.expires_at is null or d.expires_at > ?) and d.created_at >= ? and exists (
      select 1
      from json_each(d.tags) as t
      where t.value in (
        select value
        from json_each(?)))
    order by d.id desc
    limit ?) as newest) as found
order by id desc
limit ?;

-- count
select count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and tenant_id = ? and bucket = ?
    and (d.expires_at is null or d.expires_at > ?) and d.created_at >= ? and exists (
  select 1
  from json_each(d.tags) as t
  where t.value in (
    select value
    from json_each(?)));

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and tenant_id = ? and bucket in (…)
    and (d.expires_at is null or d.expires_at > ?) and d.created_at >= ? and exists (
  select 1
  from json_each(d.tags) as t
  where t.value in (
    select value
    from json_each(?)))
group by bucket;

-- list
select tenant_id, bucket
from inbox_counts
where env_id = ? and user_id = ? and bucket in (…) and n > 0 and tenant_id in (
  select value
  from json_each(?));

-- count
select coalesce((
    select sum(n)
    from inbox_counts
    where env_id = ? and user_id = ? and tenant_id in (
      select value
      from json_each(?)) and bucket in (…)), 0) - (
  select count(*)
  from deliveries
  where env_id = ? and user_id = ? and bucket is not null and expires_at is not null and expires_at <= ?
      and bucket in (…) and tenant_id in (
    select value
    from json_each(?))) as n;

-- piles
select bucket, sum(n) as n
from (
  select bucket, n
  from inbox_counts
  where env_id = ? and user_id = ? and tenant_id in (
    select value
    from json_each(?)) and bucket in (…)
  union all
  select bucket, -1 as n
  from deliveries
  where env_id = ? and user_id = ? and bucket is not null and expires_at is not null and expires_at <= ?
      and bucket in (…) and tenant_id in (
    select value
    from json_each(?))) as found
group by bucket;

-- list, count
select tenant_id, bucket
from inbox_counts
where env_id = ? and user_id = ? and bucket in (…) and n > 0 and tenant_id <> '';

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id < ?
        and (d.expires_at is null or d.expires_at > ?) and d.created_at < ? and d.interacted_at is null and exists (
      select 1
      from messages as m
      where m.id = d.message_id and m.env_id = d.env_id and m.event in (
        select value
        from json_each(?)))
    order by d.id desc
    limit ?) as newest) as found
order by id desc
limit ?;

-- count
select count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and tenant_id = ? and bucket = ?
    and (d.expires_at is null or d.expires_at > ?) and d.created_at < ? and d.interacted_at is null and exists (
  select 1
  from messages as m
  where m.id = d.message_id and m.env_id = d.env_id and m.event in (
    select value
    from json_each(?)));

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and tenant_id <> '' and bucket in (…)
    and (d.expires_at is null or d.expires_at > ?) and d.created_at < ? and d.interacted_at is null and exists (
  select 1
  from messages as m
  where m.id = d.message_id and m.env_id = d.env_id and m.event in (
    select value
    from json_each(?)))
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id < ?
        and (d.expires_at is null or d.expires_at > ?) and (d.origin is null or (d.origin ->> '$.channelId') in (
        select value
        from json_each(?)))
    order by d.id desc
    limit ?) as newest) as found
order by id desc
limit ?;

-- count
select count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and tenant_id = ? and bucket = ?
    and (d.expires_at is null or d.expires_at > ?) and (d.origin is null or (d.origin ->> '$.channelId') in (
    select value
    from json_each(?)));

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and bucket in (…) and (d.expires_at is null or d.expires_at > ?)
    and (d.origin is null or (d.origin ->> '$.channelId') in (
    select value
    from json_each(?)))
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id < ?
        and (d.expires_at is null or d.expires_at > ?) and (d.origin ->> '$.channelId') in (
      select value
      from json_each(?))
    order by d.id desc
    limit ?) as newest) as found
order by id desc
limit ?;

-- count
select count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and tenant_id = ? and bucket = ?
    and (d.expires_at is null or d.expires_at > ?) and (d.origin ->> '$.channelId') in (
  select value
  from json_each(?));

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and bucket in (…) and (d.expires_at is null or d.expires_at > ?)
    and (d.origin ->> '$.channelId') in (
  select value
  from json_each(?))
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id < ?
        and (d.expires_at is null or d.expires_at > ?) and exists (
      select 1
      from json_each(d.data) as t
      where t.key = ? and t.type = 'text' and substr(t.atom, 1, 256) = ?) and exists (
      select 1
      from json_each(d.data) as t
      where t.key = ? and t.type in ('integer', 'real') and t.atom = ?) and exists (
      select 1
      from json_each(d.data) as t
      where t.key = ? and t.type = ?) and exists (
      select 1
      from json_each(d.data) as t
      where t.key = ? and t.type = ?)
    order by d.id desc
    limit ?) as newest) as found
order by id desc
limit ?;

-- count
select count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and tenant_id = ? and bucket = ?
    and (d.expires_at is null or d.expires_at > ?) and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type = 'text' and substr(t.atom, 1, 256) = ?) and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type in ('integer', 'real') and t.atom = ?) and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type = ?) and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type = ?);

-- piles
select bucket, count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and tenant_id = ? and bucket in (…)
    and (d.expires_at is null or d.expires_at > ?) and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type = 'text' and substr(t.atom, 1, 256) = ?) and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type in ('integer', 'real') and t.atom = ?) and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type = ?) and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type = ?)
group by bucket;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id > ?
        and (d.expires_at is null or d.expires_at > ?)
    order by d.id asc
    limit ?) as newest) as found
order by id asc
limit ?;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id < ? and d.id > ?
        and (d.expires_at is null or d.expires_at > ?)
    order by d.id desc
    limit ?) as newest) as found
order by id desc
limit ?;

-- list
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id < ?
        and (d.expires_at is null or d.expires_at > ?) and exists (
      select 1
      from json_each(d.tags) as t
      where t.value in (
        select value
        from json_each(?)))
    order by d.id desc
    limit ?) as newest) as found
order by id desc
limit ?;

-- count
select count(*) as n
from deliveries as d
where env_id = ? and user_id = ? and tenant_id = ? and bucket = ?
    and (d.expires_at is null or d.expires_at > ?) and d.created_at >= ?;

-- readByMessage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where message_id = ? and env_id = ? and user_id = ? and channel = 'inbox' and deleted_at is null
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
where id in (
  select value
  from json_each(?)) and env_id = ?
order by id;

-- change, changeAll
update deliveries as d
set seen_at = v.seen_at, read_at = v.read_at, interacted_at = v.interacted_at, archived_at = v.archived_at,
    deleted_at = v.deleted_at, bucket = v.bucket
from (
  select ? as "id", ? as "seen_at", ? as "read_at", ? as "interacted_at", ? as "archived_at",
      ? as "deleted_at", ? as "bucket") as v
where d.id = v.id;

-- change, changeAll, expire
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- change, expire
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

-- expire
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where bucket is not null and expires_at is not null and expires_at <= ?
order by expires_at
limit ?;

-- expire
update deliveries
set bucket = null
where id in (
  select value
  from json_each(?));
