-- What src/storage/endpoint-attempts.ts has Postgres run, written by test/storage/sql.test.ts.

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = $1 and a.app_id = $2 and a.endpoint_id = $3 and 1 = 1
order by a.id asc
limit $4;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = $1 and a.app_id = $2 and a.id < $3 and a.endpoint_id = $4 and 1 = 1
order by a.id desc
limit $5;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = $1 and a.app_id = $2 and a.id > $3 and a.endpoint_id = $4 and 1 = 1
order by a.id asc
limit $5;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = $1 and a.app_id = $2 and a.message_id = $3 and 1 = 1
order by a.id asc
limit $4;

-- countAttempts
select count(*) as n
from (
  select 1
  from endpoint_attempts as a
  where a.message_id = $1 and 1 = 1 and a.env_id = $2 and a.app_id = $3
  limit $4) as counted;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = $1 and a.app_id = $2 and a.message_id = $3 and a.endpoint_id || '' = $4 and 1 = 1
order by a.id asc
limit $5;

-- countAttempts
select count(*) as n
from (
  select 1
  from endpoint_attempts as a
  where a.message_id = $1 and a.endpoint_id || '' = $2 and 1 = 1 and a.env_id = $3 and a.app_id = $4
  limit $5) as counted;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = $1 and a.app_id = $2 and a.endpoint_id = $3 and a.outcome = 'failed' and 1 = 1
order by a.id asc
limit $4;

-- countAttempts
select count(*) as n
from (
  select 1
  from endpoint_attempts as a
  where a.endpoint_id = $1 and a.outcome = 'failed' and 1 = 1 and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.endpoint_id = $2
      limit 1) as owner
    where owner.env_id = $3 and owner.app_id = $4)
  limit $5) as counted;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = $1 and a.app_id = $2 and a.endpoint_id = $3 and a.outcome = any($4::text[])
    and a.status_code >= $5 and a.status_code < $6 and a.id >= $7 and a.id < $8 and a.event_type = any($9::text[])
    and exists (
  select 1
  from app_messages as m
  where m.app_id = a.app_id and m.id = a.message_id and (strpos(m.channels, $10) > 0 or strpos(m.channels,
      $11) > 0) and (strpos(m.tags, $12) > 0))
order by a.id asc
limit $13;

-- countAttempts
select count(*) as n
from (
  select 1
  from endpoint_attempts as a
  where a.endpoint_id = $1 and a.outcome = any($2::text[]) and a.status_code >= $3 and a.status_code < $4
      and a.id >= $5 and a.id < $6 and a.event_type = any($7::text[]) and exists (
    select 1
    from app_messages as m
    where m.app_id = a.app_id and m.id = a.message_id and (strpos(m.channels, $8) > 0 or strpos(m.channels,
        $9) > 0) and (strpos(m.tags, $10) > 0)) and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.endpoint_id = $11
      limit 1) as owner
    where owner.env_id = $12 and owner.app_id = $13)
  limit $14) as counted;

-- readAttempt
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.app_id = $1 and a.id = $2 and a.env_id = $3;

-- expungeAttempt
update endpoint_attempts
set response = null
where app_id = $1 and id = $2 and env_id = $3;

-- attemptCounts
select '' as event_type, counted.outcome, count(*) as n, max(counted.id) as last
from (
  select a.id, a.outcome
  from endpoint_attempts as a
  where a.endpoint_id = $1 and a.id > $2 and a.id < $3 and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.endpoint_id = $4
      limit 1) as owner
    where owner.env_id = $5 and owner.app_id = $6)
  order by a.id
  limit $7) as counted
group by counted.outcome;

-- attemptCountsByType
select counted.event_type, counted.outcome, count(*) as n, max(counted.id) as last
from (
  select a.id, a.event_type, a.outcome
  from endpoint_attempts as a
  where a.app_id = $1 and a.id > $2 and a.id < $3 and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.app_id = $4
      limit 1) as owner
    where owner.env_id = $5 and owner.app_id = $6)
  order by a.id
  limit $7) as counted
group by counted.event_type, counted.outcome;

-- attemptCountsByType
select counted.event_type, counted.outcome, count(*) as n, max(counted.id) as last
from (
  select a.id, a.event_type, a.outcome
  from endpoint_attempts as a
  where a.app_id = $1 and a.id > $2 and a.id < $3 and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.app_id = $4
      limit 1) as owner
    where owner.env_id = $5 and owner.app_id = $6) and a.event_type = any($7::text[])
  order by a.id
  limit $8) as counted
group by counted.event_type, counted.outcome;
