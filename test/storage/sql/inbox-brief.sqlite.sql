-- What src/storage/inbox-brief.ts has SQLite run, written by test/storage/sql.test.ts.

-- brief
select tenant_id, bucket
from inbox_counts
where env_id = ? and user_id = ? and bucket in (…) and n > 0;

-- brief
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

-- brief
select id, message_id, request_id, created_at, read_at, interacted_at, expires_at, content, data, via
from deliveries
where id in (
  select value
  from json_each(?))
order by id desc;

-- brief
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

-- stamp
select stamp
from inbox_counts
where env_id = ? and user_id = ?
order by tenant_id, bucket;

-- itemsOf
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where message_id in (
  select value
  from json_each(?)) and env_id = ? and channel = 'inbox' and user_id is not null
order by id;

-- everGot
select m.id as message_id, d.id, d.request_id, d.expires_at, d.via, case when d.deleted_at is null
    and d.archived_at is null then 0 else 1 end as put_away
from (
  select id
  from messages
  where env_id = ? and recipient = ?
  order by id desc
  limit ?) as m
left join deliveries as d on d.message_id = m.id and d.channel = 'inbox' and d.user_id = ?
    and (d.expires_at is null or d.expires_at > ?)
order by m.id desc, d.id desc;

-- everGot
select m.id as message_id, d.id, d.request_id, d.expires_at, d.via, case when d.deleted_at is null
    and d.archived_at is null then 0 else 1 end as put_away
from (
  select id
  from messages
  where env_id = ? and recipient = ? and id < ?
  order by id desc
  limit ?) as m
left join deliveries as d on d.message_id = m.id and d.channel = 'inbox' and d.user_id = ?
    and (d.expires_at is null or d.expires_at > ?)
order by m.id desc, d.id desc;
