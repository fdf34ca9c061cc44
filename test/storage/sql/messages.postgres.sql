-- What src/storage/messages.ts has Postgres run, written by test/storage/sql.test.ts.

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where m.env_id = $1 and m.to_endpoints = 0 and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by m.id desc
limit $2;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where m.env_id = $1 and m.to_endpoints = 0 and m.id < $2
order by m.id desc
limit $3;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from message_tags as t
join messages as m on m.env_id = t.env_id and m.id = t.message_id
where m.env_id = $1 and m.to_endpoints = 0 and t.env_id = $2 and t.tag = $3 and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by t.message_id desc
limit $4;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from message_tags as t
join messages as m on m.env_id = t.env_id and m.id = t.message_id
where m.env_id = $1 and m.to_endpoints = 0 and t.env_id = $2 and t.tag = $3 and t.message_id < $4
    and m.created_at > $5 and t.message_id >= $6 and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by t.message_id desc
limit $7;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where m.env_id = $1 and m.to_endpoints = 0 and m.id in (
  select o.message_id
  from message_tags as o
  where o.env_id = $2 and o.tag = any($3::text[])) and m.trace_id = $4 and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by m.id desc
limit $5;

-- list
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where m.env_id = $1 and m.to_endpoints = 0 and m.created_at > $2 and m.id >= $3 and m.id = $4
    and m.request_id = $5 and m.event = $6 and m.list_id = $7 and m.template_id = $8 and m.recipient = $9
    and m.tenant_id = $10 and (m.trace_id = $11 or m.request_id = $12) and m.state = any($13::text[]) and exists (
  select 1
  from deliveries as d
  where d.message_id = m.id and d.env_id = m.env_id and d.provider = any($14::text[])) and not exists (
  select 1
  from requests as r
  where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)
order by m.id desc
limit $15;

-- read
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where env_id = $1 and id = $2;

-- read, readRequest
select r."env_id", r."id", r."state", r."spec", r."cursor", r."lease_until", r."ready_at", r."archived_at",
    r."created_at", r."has_messages"
from requests as r
where env_id = $1 and id = $2;

-- read
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where message_id = $1 and env_id = $2
order by id asc;

-- read
select message_id, id, env_id, delivery_id, number, started_at, ended_at, outcome, reason, status_code
from attempts
where message_id = $1 and env_id = $2
order by id
limit $3;

-- read
select message_id, id, env_id, delivery_id, kind, happened_at, data
from message_events
where message_id = $1 and env_id = $2
order by id
limit $3;

-- findByUser
select id
from messages
where env_id = $1 and recipient = $2 and id >= $3 and request_id = $4 and user_id = $5
order by id
limit 1;

-- archiveRequest
update requests
set archived_at = coalesce(archived_at, $1)
where env_id = $2 and id = $3;

-- readDelivery
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where id = $1 and env_id = $2;

-- readDeliveries
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where id = any($1::text[]) and env_id = $2
order by id desc;

-- readMessages
select m."env_id", m."id", m."request_id", m."state", m."reason", m."error", m."user_id", m."recipient",
    m."tenant_id", m."entry", m."via_tenant", m."list_id", m."event", m."template_id", m."tags", m."trace_id",
    m."preferences", m."stored_profile", m."plan", m."due_at", m."lease_until", m."ready_at", m."created_at",
    m."planned_at", m."sent_at", m."delivered_at", m."opened_at", m."clicked_at", m."canceled_at",
    m."deadline_at", m."in_inbox", m."to_endpoints", m."run", m."run_status", m."run_errors"
from messages as m
where id = any($1::text[]) and env_id = $2
order by id desc;

-- listDeliveries
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where message_id = $1 and env_id = $2
order by id desc;

-- reached
select distinct recipient
from messages
where env_id = $1 and recipient = any($2::text[]) and id >= $3 and request_id = $4;

-- signals
select e.delivery_id, e.kind, max(e.happened_at) as at
from message_events as e
where e.message_id = any($1::text[]) and e.env_id = $2 and e.delivery_id is not null
    and (e.kind in ('delivered', 'bounced') or (e.kind = 'clicked' and e.data like '%"href":%'))
group by e.delivery_id, e.kind;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where (d.env_id, d.id) > ($1, $2) and (d.env_id, d.id) < ($3, $4) and d.origin is not null
    and d.deleted_at is null
order by d.env_id desc, d.id desc
limit $5;

-- deliveriesPage
select tenant_id, bucket
from inbox_counts
where env_id = $1 and user_id = $2 and n > 0 and tenant_id = $3;

-- deliveriesPage
select id
from (
  select *
  from (
    select d.id
    from deliveries as d
    where d.env_id = $1 and d.user_id = $2 and d.bucket is null and d.origin is not null and d.deleted_at is null
        and case when (regexp_replace(d.origin, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
        'g')::jsonb ->> 'channelId') = $3 then true else false end and exists (
      select 1
      from messages as m
      where m.id = d.message_id and m.env_id = d.env_id and m.event = any($4::text[])) and exists (
      select 1
      from message_tags as t
      where t.env_id = d.env_id and t.tag = any($5::text[]) and t.message_id = d.message_id) and tenant_id = $6
    order by d.id desc
    limit $7) as newest) as found
order by id desc
limit $8;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.env_id || '' = $1 and d.origin is not null and d.deleted_at is null and d.message_id in (
  select m.id
  from messages as m
  where m.env_id = $2 and m.recipient = $3) and d.id = any($4::text[]) and d.message_id = $5
order by d.id || '' desc
limit $6;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where d.env_id || '' = $1 and d.id < $2 and d.id > $3 and d.origin is not null and d.deleted_at is null
    and d.message_id in (
  select m.id
  from messages as m
  where m.request_id = $4) and d.request_id = $5 and exists (
  select 1
  from message_events as e
  where e.message_id = d.message_id and e.env_id = d.env_id and e.delivery_id = d.id and e.kind = 'clicked'
      and e.data like '%"href":%') and d.created_at >= $6 and d.created_at < $7 and tenant_id = any($8::text[])
order by d.id || '' desc
limit $9;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where (d.env_id, d.id) > ($1, $2) and (d.env_id, d.id) < ($3, $4) and d.origin is not null
    and d.deleted_at is null and d.read_at is null and tenant_id <> '' and jsonb_typeof(regexp_replace(d.data,
    '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb -> $5::text) = 'string'
    and left(regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd',
    'g')::jsonb ->> $6::text, 256) = $7 and regexp_replace(d.data, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})',
    '\\ufffd', 'g')::jsonb -> $8::text = $9::jsonb
order by d.env_id desc, d.id desc
limit $10;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where (d.env_id, d.id) > ($1, $2) and (d.env_id, d.id) < ($3, $4) and d.origin is not null
    and d.deleted_at is null and ((d.state = 'pending' and d.attempts = 0) or (d.state = 'pending'
    and d.attempts > 0) or (d.state = 'sent' and not exists (
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
order by d.env_id desc, d.id desc
limit $5;

-- deliveriesPage
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where (d.env_id, d.id) > ($1, $2) and (d.env_id, d.id) < ($3, $4) and d.origin is not null
    and d.deleted_at is null
order by d.env_id asc, d.id asc
limit $5;
