-- What src/storage/messages.ts has SQLite run, written by test/storage/sql.test.ts.

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where m.env_id = ? and m.to_endpoints = 0 and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where m.env_id = ? and m.to_endpoints = 0 and m.id < ?
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from message_tags as t
join messages as m on m.env_id = t.env_id and m.id = t.message_id
where m.env_id = ? and m.to_endpoints = 0 and t.env_id = ? and t.tag = ? and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by t.message_id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from message_tags as t
join messages as m on m.env_id = t.env_id and m.id = t.message_id
where m.env_id = ? and m.to_endpoints = 0 and t.env_id = ? and t.tag = ? and t.message_id < ?
    and m.created_at > ? and t.message_id >= ? and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by t.message_id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where m.env_id = ? and m.to_endpoints = 0 and m.id in (
  select o.message_id
  from message_tags as o
  where o.env_id = ? and o.tag in (
    select value
    from json_each(?))) and m.trace_id = ? and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by m.id desc
limit ?;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where m.env_id = ? and m.to_endpoints = 0 and m.created_at > ? and m.id >= ? and m.id = ? and m.request_id = ?
    and m.event = ? and m.list_id = ? and m.template_id = ? and m.recipient = ? and m.tenant_id = ?
    and (m.trace_id = ? or m.request_id = ?) and m.state in (
  select value
  from json_each(?)) and exists (
  select 1
  from deliveries as d
  where d.message_id = m.id and d.env_id = m.env_id and d.provider in (
    select value
    from json_each(?))) and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by m.id desc
limit ?;

-- read
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where env_id = ? and id = ?;

-- read, readRequest
select r."env_id", r."id", r."state", r."spec", r."cursor", r."lease_until", r."ready_at", r."archived_at",
    r."created_at", r."has_messages"
from requests as r
where env_id = ? and id = ?;

-- read
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where message_id = ? and env_id = ?
order by id asc;

-- read
select message_id, id, env_id, delivery_id, number, started_at, ended_at, outcome, reason, status_code
from attempts
where message_id = ? and env_id = ?
order by id
limit ?;

-- read
select message_id, id, env_id, delivery_id, kind, happened_at, data
from message_events
where message_id = ? and env_id = ?
order by id
limit ?;

-- findByUser
select id
from messages
where env_id = ? and recipient = ? and id >= ? and request_id = ? and user_id = ?
order by id
limit 1;

-- archiveRequest
update requests
set archived_at = coalesce(archived_at, ?)
where env_id = ? and id = ?;

-- readDelivery
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where id = ? and env_id = ?;

-- readDeliveries
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
order by id desc;

-- readMessages
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where id in (
  select value
  from json_each(?)) and env_id = ?
order by id desc;

-- listDeliveries
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where message_id = ? and env_id = ?
order by id desc;

-- reached
select distinct recipient
from messages
where env_id = ? and recipient in (
  select value
  from json_each(?)) and id >= ? and request_id = ?;

-- signals
select e.delivery_id, e.kind, max(e.happened_at) as at
from message_events as e
where e.message_id in (
  select value
  from json_each(?)) and e.env_id = ? and e.delivery_id is not null and (e.kind in ('delivered',
      'bounced') or (e.kind = 'clicked' and e.data like '%"href":%'))
group by e.delivery_id, e.kind;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.env_id = ? and d.origin is not null and d.deleted_at is null
order by d.id desc
limit ?;

-- deliveriesPage
select tenant_id, bucket
from inbox_counts
where env_id = ? and user_id = ? and n > 0 and tenant_id = ?;

-- deliveriesPage
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.bucket is null and d.origin is not null and d.deleted_at is null
        and case when (d.origin ->> '$.channelId') = ? then true else false end and exists (
      select 1
      from messages as m
      where m.id = d.message_id and m.env_id = d.env_id and m.event in (
        select value
        from json_each(?))) and exists (
      select 1
      from message_tags as t
      where t.env_id = d.env_id and t.tag in (
        select value
        from json_each(?)) and t.message_id = d.message_id) and tenant_id = ?
    order by d.id desc
    limit ?) as newest) as found
order by id desc
limit ?;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.env_id || '' = ? and d.origin is not null and d.deleted_at is null and d.message_id in (
  select m.id
  from messages as m
  where m.env_id = ? and m.recipient = ?) and d.id in (
  select value
  from json_each(?)) and d.message_id = ?
order by d.id || '' desc
limit ?;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.env_id || '' = ? and d.id < ? and d.id > ? and d.origin is not null and d.deleted_at is null
    and d.message_id in (
  select m.id
  from messages as m
  where m.request_id = ?) and d.request_id = ? and exists (
  select 1
  from message_events as e
  where e.message_id = d.message_id and e.env_id = d.env_id and e.delivery_id = d.id and e.kind = 'clicked'
      and e.data like '%"href":%') and d.created_at >= ? and d.created_at < ? and tenant_id in (
  select value
  from json_each(?))
order by d.id || '' desc
limit ?;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.env_id = ? and d.origin is not null and d.deleted_at is null and d.read_at is null and tenant_id <> ''
    and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type = 'text' and substr(t.atom, 1, 256) = ?) and exists (
  select 1
  from json_each(d.data) as t
  where t.key = ? and t.type in ('integer', 'real') and t.atom = ?)
order by d.id desc
limit ?;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.env_id = ? and d.origin is not null and d.deleted_at is null and ((d.state = 'pending'
    and d.attempts = 0) or (d.state = 'pending' and d.attempts > 0) or (d.state = 'sent' and not exists (
      select 1
      from message_events as e
      where e.message_id = d.message_id and e.env_id = d.env_id and e.delivery_id = d.id and e.kind = 'bounced')
          and not (d.channel = 'webhook' or exists (
        select 1
        from message_events as e
        where e.message_id = d.message_id and e.env_id = d.env_id and e.delivery_id = d.id
            and e.kind = 'delivered'))) or (not exists (
      select 1
      from message_events as e
      where e.message_id = d.message_id and e.env_id = d.env_id and e.delivery_id = d.id and e.kind = 'bounced')
          and (d.state = 'delivered' or (d.state = 'sent' and (d.channel = 'webhook' or exists (
            select 1
            from message_events as e
            where e.message_id = d.message_id and e.env_id = d.env_id and e.delivery_id = d.id
                and e.kind = 'delivered'))))) or (d.state = 'failed' and not exists (
      select 1
      from message_events as e
      where e.message_id = d.message_id and e.env_id = d.env_id and e.delivery_id = d.id
          and e.kind = 'bounced')) or (d.state in ('sent', 'delivered', 'failed') and exists (
      select 1
      from message_events as e
      where e.message_id = d.message_id and e.env_id = d.env_id and e.delivery_id = d.id
          and e.kind = 'bounced')) or d.state in ('canceled', 'simulated'))
order by d.id desc
limit ?;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.env_id = ? and d.id < ? and d.origin is not null and d.deleted_at is null
order by d.id desc
limit ?;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.env_id = ? and d.id > ? and d.origin is not null and d.deleted_at is null
order by d.id asc
limit ?;
