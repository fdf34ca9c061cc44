-- What src/storage/endpoint-attempts.ts has SQLite run, written by test/storage/sql.test.ts.

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = ? and a.app_id = ? and a.endpoint_id = ? and 1 = 1
order by a.id asc
limit ?;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = ? and a.app_id = ? and a.id < ? and a.endpoint_id = ? and 1 = 1
order by a.id desc
limit ?;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = ? and a.app_id = ? and a.id > ? and a.endpoint_id = ? and 1 = 1
order by a.id asc
limit ?;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = ? and a.app_id = ? and a.message_id = ? and 1 = 1
order by a.id asc
limit ?;

-- countAttempts
select count(*) as n
from (
  select 1
  from endpoint_attempts as a
  where a.message_id = ? and 1 = 1 and a.env_id = ? and a.app_id = ?
  limit ?) as counted;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = ? and a.app_id = ? and a.message_id = ? and a.endpoint_id || '' = ? and 1 = 1
order by a.id asc
limit ?;

-- countAttempts
select count(*) as n
from (
  select 1
  from endpoint_attempts as a
  where a.message_id = ? and a.endpoint_id || '' = ? and 1 = 1 and a.env_id = ? and a.app_id = ?
  limit ?) as counted;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = ? and a.app_id = ? and a.endpoint_id = ? and a.outcome = 'failed' and 1 = 1
order by a.id asc
limit ?;

-- countAttempts
select count(*) as n
from (
  select 1
  from endpoint_attempts as a
  where a.endpoint_id = ? and a.outcome = 'failed' and 1 = 1 and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.endpoint_id = ?
      limit 1) as owner
    where owner.env_id = ? and owner.app_id = ?)
  limit ?) as counted;

-- listAttempts
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.env_id = ? and a.app_id = ? and a.endpoint_id = ? and a.outcome in (
  select value
  from json_each(?)) and a.status_code >= ? and a.status_code < ? and a.id >= ? and a.id < ?
      and a.event_type in (
  select value
  from json_each(?)) and exists (
  select 1
  from app_messages as m
  where m.app_id = a.app_id and m.id = a.message_id and (instr(m.channels, ?) > 0 or instr(m.channels, ?) > 0)
      and (instr(m.tags, ?) > 0))
order by a.id asc
limit ?;

-- countAttempts
select count(*) as n
from (
  select 1
  from endpoint_attempts as a
  where a.endpoint_id = ? and a.outcome in (
    select value
    from json_each(?)) and a.status_code >= ? and a.status_code < ? and a.id >= ? and a.id < ?
        and a.event_type in (
    select value
    from json_each(?)) and exists (
    select 1
    from app_messages as m
    where m.app_id = a.app_id and m.id = a.message_id and (instr(m.channels, ?) > 0 or instr(m.channels, ?) > 0)
        and (instr(m.tags, ?) > 0)) and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.endpoint_id = ?
      limit 1) as owner
    where owner.env_id = ? and owner.app_id = ?)
  limit ?) as counted;

-- readAttempt
select a.env_id, a.app_id, a.endpoint_id, a.message_id, a.delivery_id, a.id, a.event_type, a.outcome,
    a.manual, a.url, a.status_code, a.started_at, a.ended_at, a.next_at, a.sent_headers, a.response_headers,
    a.response
from endpoint_attempts as a
where a.app_id = ? and a.id = ? and a.env_id = ?;

-- expungeAttempt
update endpoint_attempts
set response = null
where app_id = ? and id = ? and env_id = ?;

-- attemptCounts
select '' as event_type, counted.outcome, count(*) as n, max(counted.id) as last
from (
  select a.id, a.outcome
  from endpoint_attempts as a
  where a.endpoint_id = ? and a.id > ? and a.id < ? and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.endpoint_id = ?
      limit 1) as owner
    where owner.env_id = ? and owner.app_id = ?)
  order by a.id
  limit ?) as counted
group by counted.outcome;

-- attemptCountsByType
select counted.event_type, counted.outcome, count(*) as n, max(counted.id) as last
from (
  select a.id, a.event_type, a.outcome
  from endpoint_attempts as a
  where a.app_id = ? and a.id > ? and a.id < ? and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.app_id = ?
      limit 1) as owner
    where owner.env_id = ? and owner.app_id = ?)
  order by a.id
  limit ?) as counted
group by counted.event_type, counted.outcome;

-- attemptCountsByType
select counted.event_type, counted.outcome, count(*) as n, max(counted.id) as last
from (
  select a.id, a.event_type, a.outcome
  from endpoint_attempts as a
  where a.app_id = ? and a.id > ? and a.id < ? and exists (
    select 1
    from (
      select o.env_id, o.app_id
      from endpoint_attempts as o
      where o.app_id = ?
      limit 1) as owner
    where owner.env_id = ? and owner.app_id = ?) and a.event_type in (
    select value
    from json_each(?))
  order by a.id
  limit ?) as counted
group by counted.event_type, counted.outcome;
