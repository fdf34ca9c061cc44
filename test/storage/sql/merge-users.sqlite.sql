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
set user_id = ?, recipient = ?
where env_id = ? and recipient = ? and user_id = ?;

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
