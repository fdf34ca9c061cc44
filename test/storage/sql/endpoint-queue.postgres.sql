-- What src/storage/endpoint-queue.ts has Postgres run, written by test/storage/sql.test.ts.

-- addManual
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[], $23::bigint[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[],
    $31::bigint[], $32::text[], $33::text[], $34::bigint[], $35::text[], $36::text[], $37::bigint[], $38::text[],
    $39::text[])
on conflict (provider_id, message_id)
where app_id is not null and manual = 0 do nothing;

-- addManual
insert into deliveries ("id", "env_id", "message_id", "user_id", "tenant_id", "channel", "provider",
    "provider_id", "leaf", "state", "due_at", "lease_until", "ready_at", "attempts", "started_at", "timeout_ms",
    "address", "content", "override", "error", "reference", "created_at", "sent_at", "delivered_at", "seen_at",
    "read_at", "interacted_at", "archived_at", "deleted_at", "expires_at", "bucket", "tags", "data",
    "via_tenant", "request_id", "app_id", "manual", "origin", "via")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[], $23::bigint[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[],
    $31::bigint[], $32::text[], $33::text[], $34::bigint[], $35::text[], $36::text[], $37::bigint[], $38::text[],
    $39::text[]);

-- nextParked
select d."id", d."env_id", d."message_id", d."user_id", d."tenant_id", d."channel", d."provider",
    d."provider_id", d."leaf", d."state", d."due_at", d."lease_until", d."ready_at", d."attempts",
    d."started_at", d."timeout_ms", d."address", d."content", d."override", d."error", d."reference",
    d."created_at", d."sent_at", d."delivered_at", d."seen_at", d."read_at", d."interacted_at", d."archived_at",
    d."deleted_at", d."expires_at", d."bucket", d."tags", d."data", d."via_tenant", d."request_id", d."app_id",
    d."manual", d."origin", d."via"
from deliveries as d
where provider_id > $1 and app_id is not null and lease_until is null and ready_at > due_at
order by provider_id
limit 1;

-- claimOf
with claimed as materialized (
  select id
  from deliveries
  where provider_id = $1 and app_id is not null and lease_until is null and ready_at > due_at and due_at <= $2
  order by due_at
  limit $3 for update skip locked)
update deliveries
set lease_until = $4, ready_at = $5
from claimed
where deliveries.id = claimed.id
returning deliveries."id", deliveries."env_id", deliveries."message_id", deliveries."user_id",
    deliveries."tenant_id", deliveries."channel", deliveries."provider", deliveries."provider_id",
    deliveries."leaf", deliveries."state", deliveries."due_at", deliveries."lease_until", deliveries."ready_at",
    deliveries."attempts", deliveries."started_at", deliveries."timeout_ms", deliveries."address",
    deliveries."content", deliveries."override", deliveries."error", deliveries."reference",
    deliveries."created_at", deliveries."sent_at", deliveries."delivered_at", deliveries."seen_at",
    deliveries."read_at", deliveries."interacted_at", deliveries."archived_at", deliveries."deleted_at",
    deliveries."expires_at", deliveries."bucket", deliveries."tags", deliveries."data", deliveries."via_tenant",
    deliveries."request_id", deliveries."app_id", deliveries."manual", deliveries."origin", deliveries."via";

-- parkClaimed
update deliveries
set lease_until = null, ready_at = case when due_at > $1 then due_at else $2 end
where id = any($3::text[]) and app_id is not null and state = 'pending' and lease_until = $4;
