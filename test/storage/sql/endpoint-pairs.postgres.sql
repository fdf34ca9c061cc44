-- What src/storage/endpoint-pairs.ts has Postgres run, written by test/storage/sql.test.ts.

-- endpointsOf
select d.message_id, d.provider_id, d.state, d.due_at
from deliveries as d
where d.message_id = $1 and d.env_id = $2 and d.app_id = $3 and d.manual = 0 and d.started_at is not null
order by d.provider_id asc
limit $4;

-- messagesOf
select d.message_id, d.provider_id, d.state, d.due_at, m.env_id, m.app_id, m.id, m.event_id, m.event_type,
    m.channels, m.tags, m.deliver_at, m.payload_until, m.created_at, m.parameters, m.payload, m.raw
from deliveries as d
cross join app_messages as m
where d.provider_id = $1 and d.env_id = $2 and d.app_id = $3 and d.manual = 0 and d.started_at is not null
    and m.app_id = d.app_id and m.id = d.message_id
order by d.message_id asc
limit $4;

-- endpointsOf
select d.message_id, d.provider_id, d.state, d.due_at
from deliveries as d
where d.message_id = $1 and d.env_id = $2 and d.app_id = $3 and d.manual = 0 and d.started_at is not null
    and d.provider_id < $4
order by d.provider_id desc
limit $5;

-- messagesOf
select d.message_id, d.provider_id, d.state, d.due_at, m.env_id, m.app_id, m.id, m.event_id, m.event_type,
    m.channels, m.tags, m.deliver_at, m.payload_until, m.created_at, m.parameters, m.payload, m.raw
from deliveries as d
cross join app_messages as m
where d.provider_id = $1 and d.env_id = $2 and d.app_id = $3 and d.manual = 0 and d.started_at is not null
    and m.app_id = d.app_id and m.id = d.message_id and d.message_id < $4
order by d.message_id desc
limit $5;

-- endpointsOf
select d.message_id, d.provider_id, d.state, d.due_at
from deliveries as d
where d.message_id = $1 and d.env_id = $2 and d.app_id = $3 and d.manual = 0 and d.started_at is not null
    and d.provider_id > $4
order by d.provider_id asc
limit $5;

-- messagesOf
select d.message_id, d.provider_id, d.state, d.due_at, m.env_id, m.app_id, m.id, m.event_id, m.event_type,
    m.channels, m.tags, m.deliver_at, m.payload_until, m.created_at, m.parameters, m.payload, m.raw
from deliveries as d
cross join app_messages as m
where d.provider_id = $1 and d.env_id = $2 and d.app_id = $3 and d.manual = 0 and d.started_at is not null
    and m.app_id = d.app_id and m.id = d.message_id and d.message_id > $4
order by d.message_id asc
limit $5;

-- messagesOf
select d.message_id, d.provider_id, d.state, d.due_at, m.env_id, m.app_id, m.id, m.event_id, m.event_type,
    m.channels, m.tags, m.deliver_at, m.payload_until, m.created_at
from deliveries as d
cross join app_messages as m
where d.provider_id = $1 and d.env_id = $2 and d.app_id = $3 and d.manual < 1 and d.started_at is not null
    and d.state <> 'sent' and m.app_id = d.app_id and m.id = d.message_id and d.message_id >= $4
    and d.message_id < $5 and m.event_type = any($6::text[]) and (strpos(m.channels,
    $7) > 0 or strpos(m.channels, $8) > 0) and (strpos(m.tags, $9) > 0) and d.state = any($10::text[])
order by d.message_id asc
limit $11;

-- failedAt
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, case when exists (
  select 1
  from endpoint_attempts as a
  where a.message_id = d.message_id and a.endpoint_id || '' = d.provider_id and a.outcome = 'failed'
      and a.id >= $1 and a.id < $2) and not exists (
  select 1
  from endpoint_attempts as a
  where a.message_id = d.message_id and a.endpoint_id || '' = d.provider_id and a.outcome = 'sent')
      and not exists (
  select 1
  from deliveries as w
  where w.message_id = d.message_id and w.provider_id = d.provider_id and w.manual = 1
      and w.state = 'pending') then 1 else 0 end as chosen
from deliveries as d
cross join app_messages as m
where d.provider_id = $3 and d.env_id = $4 and d.app_id = $5 and d.manual < 1 and d.started_at is not null
    and d.state <> 'sent' and d.message_id > $6 and d.message_id < $7 and m.app_id = d.app_id
    and m.id = d.message_id
order by d.message_id
limit $8;

-- untriedAt
select m.env_id, m.app_id, m.id, m.event_id, m.event_type, m.channels, m.tags, m.deliver_at, m.payload_until,
    m.created_at, case when exists (
  select 1
  from deliveries as d
  where d.provider_id = $1 and d.message_id = m.id and d.app_id = $2 and d.manual = 0
      and d.started_at is not null) then 0 else 1 end as chosen
from app_messages as m
where m.env_id = $3 and m.app_id = $4 and m.id > $5 and m.id >= $6 and m.id < $7
order by m.id
limit $8;

-- countPairs
select count(*) as messages, max(counted.id) as last, sum(counted.pairs) as pairs
from (
  select m.id, (
    select count(*)
    from deliveries as d
    where d.message_id = m.id and d.app_id = m.app_id and d.manual = 0) as pairs
  from app_messages as m
  where m.env_id = $1 and m.app_id = $2 and m.id > $3 and m.id < $4
  order by m.id
  limit $5) as counted;
