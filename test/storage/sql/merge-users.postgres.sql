-- What src/storage/merge-users.ts has Postgres run, written by test/storage/sql.test.ts.

-- mergeUsers
select user_id, profile
from users
where env_id = $1 and user_id = any($2::text[])
order by user_id for update;

-- mergeUsers
update users
set profile = $1, updated_at = $2
where env_id = $3 and user_id = $4;

-- mergeUsers
delete from users
where env_id = $1 and user_id = $2;

-- mergeUsers
with expanding as materialized (
  select env_id, id
  from requests
  where ready_at is not null
  order by ready_at)
select r."env_id", r."id", r."state", r."spec", r."cursor", r."lease_until", r."ready_at", r."archived_at",
    r."created_at", r."has_messages"
from expanding as e
cross join requests as r
where r.env_id = e.env_id and r.id = e.id and e.env_id = $1 and r.state = 'expanding' and strpos(r.spec,
    $2) > 0
order by r.id for update of r;

-- mergeUsers
update requests
set spec = v.spec, lease_until = null, ready_at = v.ready_at
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as v("env_id", "id", "spec", "ready_at")
where requests.env_id = v.env_id and requests.id = v.id;

-- mergeUsers
delete from gates
where env_id = $1 and key > $2 and key < $3
returning env_id, key, window_until, passed, batch_id, over_at;

-- mergeUsers
insert into gates ("env_id", "key", "window_until", "passed", "batch_id", "over_at")
select *
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])
on conflict (env_id, key) do update
set over_at = gates.over_at
returning gates.env_id, gates.key, gates.window_until, gates.passed, gates.batch_id, gates.over_at;

-- mergeUsers
select id
from batches
where env_id = $1 and id = any($2::text[]) and closed = 0;

-- mergeUsers
update gates
set window_until = v.window_until, passed = v.passed, batch_id = v.batch_id, over_at = v.over_at
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[]) as v("env_id",
    "key", "window_until", "passed", "batch_id", "over_at")
where gates.env_id = v.env_id and gates.key = v.key;

-- mergeUsers
select message_id, state
from runs
where env_id = $1 and message_id in (
  select id
  from messages
  where env_id = $2 and recipient = $3 and user_id = $4)
order by env_id, message_id for update;

-- mergeUsers
update runs
set recipient = $1, lease_until = null, ready_at = due_at
where env_id = $2 and message_id = any($3::text[]);

-- mergeUsers
update batch_items
set recipient = $1
where env_id = $2 and batch_id = any($3::text[]);

-- mergeUsers
update schedules
set recipient = $1, updated_at = $2, lease_until = null, ready_at = next_at
where env_id = $3 and recipient = $4;

-- mergeUsers
with locked as materialized (
  select id
  from messages
  where env_id = $1 and recipient = $2 and user_id = $3
  order by id for update)
select count(*) as n
from locked;

-- mergeUsers
with moved as (
  update deliveries
  set user_id = $1
  where env_id = $2 and user_id = $3 and message_id in (
    select id
    from messages
    where env_id = $4 and recipient = $5 and user_id = $6)
  returning tenant_id, bucket)
select tenant_id, bucket, count(*) as n
from moved
where bucket is not null
group by tenant_id, bucket;

-- mergeUsers
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- mergeUsers
delete from inbox_counts
where env_id = $1 and user_id = $2 and n = 0;

-- mergeUsers
select id, run
from messages
where env_id = $1 and recipient = $2 and user_id = $3 and run is not null and id > $4
order by id
limit $5;

-- mergeUsers
update messages
set run = v.run
from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "id", "run")
where messages.env_id = v.env_id and messages.id = v.id;

-- mergeUsers
update messages
set user_id = $1, recipient = $2, lease_until = null, ready_at = case
    when lease_until is null then ready_at else due_at end
where env_id = $3 and recipient = $4 and user_id = $5;

-- mergeUsers
update devices
set user_id = $1, updated_at = $2
where env_id = $3 and user_id = $4;

-- mergeUsers
update device_tokens
set user_id = $1, updated_at = $2
where env_id = $3 and user_id = $4;

-- mergeUsers
select count(*) as n
from device_tokens
where env_id = $1 and user_id = $2;

-- mergeUsers
insert into party_documents (env_id, party, kind, name, body, created_at, updated_at)
select env_id, cast($1 as text), kind, name, body, created_at, updated_at
from party_documents
where env_id = $2 and party = $3
on conflict do nothing;

-- mergeUsers
delete from party_documents
where env_id = $1 and party = $2;

-- mergeUsers
insert into object_subscriptions (env_id, object, recipient, properties, created_at, updated_at)
select env_id, object, cast($1 as text), properties, created_at, updated_at
from object_subscriptions
where env_id = $2 and recipient = $3
on conflict do nothing;

-- mergeUsers
delete from object_subscriptions
where env_id = $1 and recipient = $2;

-- mergeUsers
insert into audience_members (env_id, audience, user_id, tenant_id, added_at)
select env_id, audience, cast($1 as text), tenant_id, added_at
from audience_members
where env_id = $2 and user_id = $3
on conflict do nothing;

-- mergeUsers
delete from audience_members
where env_id = $1 and user_id = $2;

-- mergeUsers
insert into list_subscriptions (env_id, list_id, user_id, preferences, created_at)
select env_id, list_id, cast($1 as text), preferences, created_at
from list_subscriptions
where env_id = $2 and user_id = $3
on conflict do nothing;

-- mergeUsers
delete from list_subscriptions
where env_id = $1 and user_id = $2;

-- mergeUsers
insert into memberships (env_id, tenant_id, user_id, profile, created_at)
select env_id, tenant_id, cast($1 as text), profile, created_at
from memberships
where env_id = $2 and user_id = $3
on conflict do nothing;

-- mergeUsers
delete from memberships
where env_id = $1 and user_id = $2;
