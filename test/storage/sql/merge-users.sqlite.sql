-- What src/storage/merge-users.ts has SQLite run, written by test/storage/sql.test.ts.

-- mergeUsers
select user_id, profile
from users
where env_id = ? and user_id in (
  select value
  from json_each(?))
order by user_id;

-- mergeUsers
update users
set profile = ?, updated_at = ?
where env_id = ? and user_id = ?;

-- mergeUsers
delete from users
where env_id = ? and user_id = ?;

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
where r.env_id = e.env_id and r.id = e.id and e.env_id = ? and r.state = 'expanding' and instr(r.spec, ?) > 0;

-- mergeUsers
update requests
set spec = v.spec, lease_until = null, ready_at = v.ready_at
from (
  select ? as "env_id", ? as "id", ? as "spec", ? as "ready_at") as v
where requests.env_id = v.env_id and requests.id = v.id;

-- mergeUsers
delete from gates
where env_id = ? and key > ? and key < ?
returning env_id, key, window_until, passed, batch_id, over_at;

-- mergeUsers
insert into gates ("env_id", "key", "window_until", "passed", "batch_id", "over_at")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, key) do update
set over_at = gates.over_at
returning gates.env_id, gates.key, gates.window_until, gates.passed, gates.batch_id, gates.over_at;

-- mergeUsers
select id
from batches
where env_id = ? and id in (
  select value
  from json_each(?)) and closed = 0;

-- mergeUsers
update gates
set window_until = v.window_until, passed = v.passed, batch_id = v.batch_id, over_at = v.over_at
from (
  select ? as "env_id", ? as "key", ? as "window_until", ? as "passed", ? as "batch_id", ? as "over_at") as v
where gates.env_id = v.env_id and gates.key = v.key;

-- mergeUsers
select message_id, state
from runs
where env_id = ? and message_id in (
  select id
  from messages
  where env_id = ? and recipient = ? and user_id = ?)
order by env_id, message_id;

-- mergeUsers
update runs
set recipient = ?, lease_until = null, ready_at = due_at
where env_id = ? and message_id in (
  select value
  from json_each(?));

-- mergeUsers
update batch_items
set recipient = ?
where env_id = ? and batch_id in (
  select value
  from json_each(?));

-- mergeUsers
update schedules
set recipient = ?, updated_at = ?, lease_until = null, ready_at = next_at
where env_id = ? and recipient = ?;

-- mergeUsers
select tenant_id, bucket, n
from inbox_counts
where env_id = ? and user_id = ?;

-- mergeUsers
update deliveries
set user_id = ?
where env_id = ? and user_id = ? and message_id in (
  select id
  from messages
  where env_id = ? and recipient = ? and user_id = ?);

-- mergeUsers
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- mergeUsers
delete from inbox_counts
where env_id = ? and user_id = ? and n = 0;

-- mergeUsers
select id, run
from messages
where env_id = ? and recipient = ? and user_id = ? and run is not null and id > ?
order by id
limit ?;

-- mergeUsers
update messages
set run = v.run
from (
  select ? as "env_id", ? as "id", ? as "run") as v
where messages.env_id = v.env_id and messages.id = v.id;

-- mergeUsers
update messages
set user_id = ?, recipient = ?, lease_until = null, ready_at = case
    when lease_until is null then ready_at else due_at end
where env_id = ? and recipient = ? and user_id = ?;

-- mergeUsers
update devices
set user_id = ?, updated_at = ?
where env_id = ? and user_id = ?;

-- mergeUsers
update device_tokens
set user_id = ?, updated_at = ?
where env_id = ? and user_id = ?;

-- mergeUsers
select count(*) as n
from device_tokens
where env_id = ? and user_id = ?;

-- mergeUsers
insert into party_documents (env_id, party, kind, name, body, created_at, updated_at)
select env_id, cast(? as text), kind, name, body, created_at, updated_at
from party_documents
where env_id = ? and party = ?
on conflict do nothing;

-- mergeUsers
delete from party_documents
where env_id = ? and party = ?;

-- mergeUsers
insert into object_subscriptions (env_id, object, recipient, properties, created_at, updated_at)
select env_id, object, cast(? as text), properties, created_at, updated_at
from object_subscriptions indexed by object_subscriptions_recipient
where env_id = ? and recipient = ?
on conflict do nothing;

-- mergeUsers
delete from object_subscriptions indexed by object_subscriptions_recipient
where env_id = ? and recipient = ?;

-- mergeUsers
insert into audience_members (env_id, audience, user_id, tenant_id, added_at)
select env_id, audience, cast(? as text), tenant_id, added_at
from audience_members indexed by audience_members_user
where env_id = ? and user_id = ?
on conflict do nothing;

-- mergeUsers
delete from audience_members indexed by audience_members_user
where env_id = ? and user_id = ?;

-- mergeUsers
insert into list_subscriptions (env_id, list_id, user_id, preferences, created_at)
select env_id, list_id, cast(? as text), preferences, created_at
from list_subscriptions indexed by list_subscriptions_user
where env_id = ? and user_id = ?
on conflict do nothing;

-- mergeUsers
delete from list_subscriptions indexed by list_subscriptions_user
where env_id = ? and user_id = ?;

-- mergeUsers
insert into memberships (env_id, tenant_id, user_id, profile, created_at)
select env_id, tenant_id, cast(? as text), profile, created_at
from memberships indexed by memberships_user
where env_id = ? and user_id = ?
on conflict do nothing;

-- mergeUsers
delete from memberships indexed by memberships_user
where env_id = ? and user_id = ?;
