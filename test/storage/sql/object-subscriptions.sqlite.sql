-- What src/storage/object-subscriptions.ts has SQLite run, written by test/storage/sql.test.ts.

-- subscribe
insert into object_subscriptions ("env_id", "object", "recipient", "properties", "created_at", "updated_at")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, object, recipient) do update
set properties = coalesce(excluded.properties, object_subscriptions.properties),
    updated_at = excluded.updated_at
returning *;

-- subscriptions
select *
from object_subscriptions
where env_id = ? and object = ? and (created_at, recipient) < (?, ?)
order by created_at desc, recipient desc
limit ?;

-- subscriptions
select *
from object_subscriptions
where env_id = ? and recipient = ? and (created_at, object) < (?, ?)
order by created_at desc, object desc
limit ?;

-- subscriptions
select *
from object_subscriptions
where env_id = ? and object = ? and recipient in (
  select value
  from json_each(?)) and (+created_at, recipient) < (?, ?)
order by +created_at desc, recipient desc
limit ?;

-- subscriptions
select *
from object_subscriptions
where env_id = ? and recipient = ? and object in (
  select value
  from json_each(?)) and (+created_at, object) < (?, ?)
order by +created_at desc, object desc
limit ?;

-- subscribersOf
select *
from object_subscriptions
where env_id = ? and object = ? and recipient > ?
order by recipient
limit ?;

-- unsubscribe
delete from object_subscriptions
where (env_id, object, recipient) in (
  select v.env_id, v.object, v.recipient
  from (
    select ? as "env_id", ? as "object", ? as "recipient") as v)
returning *;
