-- What src/storage/lists.ts has SQLite run, written by test/storage/sql.test.ts.

-- putList
update lists
set name = ?, preferences = ?, updated_at = ?
where env_id = ? and id = ? and deleted_at is null;

-- putList, subscribe
insert into lists (env_id, id, name, preferences, created_at, updated_at, deleted_at)
values (?, ?, ?, ?, ?, ?, null)
on conflict (env_id, id) do nothing;

-- putList, subscribe
delete from list_subscriptions
where env_id = ? and list_id = ?;

-- subscribe, subscribers, subscribersOfAny
select id
from lists
where env_id = ? and id in (
  select value
  from json_each(?)) and deleted_at is null;

-- subscribe
insert into list_subscriptions ("env_id", "list_id", "user_id", "preferences", "created_at")
values (?, ?, ?, ?, ?)
on conflict (env_id, list_id, user_id) do update
set preferences = excluded.preferences;

-- subscribe
select id
from lists
where env_id = ? and id = ? and deleted_at is null;

-- subscribe
select user_id
from list_subscriptions
where env_id = ? and list_id = ? and user_id > ?
order by user_id
limit ?;

-- subscribe
delete from list_subscriptions
where env_id = ? and list_id = ? and user_id in (
  select value
  from json_each(?));

-- readList
select *
from lists
where env_id = ? and id = ?;

-- lists
select *
from lists
where env_id = ? and id >= ? and id > ? and deleted_at is null
order by id
limit ?;

-- subscribers, subscribersOfAny
select *
from list_subscriptions
where env_id = ? and list_id = ? and user_id > ?
order by user_id
limit ?;

-- subscriptionsOf
select l.*, s.preferences as own_preferences, s.created_at as subscribed_at
from list_subscriptions s
join lists l on l.env_id = s.env_id and l.id = s.list_id
where s.env_id = ? and s.user_id = ? and s.list_id > ? and l.deleted_at is null
order by s.list_id
limit ?;

-- unsubscribe
delete from list_subscriptions
where env_id = ? and list_id = ? and user_id = ? and exists (
  select 1
  from lists
  where env_id = ? and id = ? and deleted_at is null);

-- unsubscribeFromAll
delete from list_subscriptions
where env_id = ? and user_id = ?;

-- deleteList
update lists
set deleted_at = ?
where env_id = ? and id = ? and deleted_at is null;

-- restoreList
update lists
set updated_at = case when deleted_at is null then updated_at else ? end, deleted_at = null
where env_id = ? and id = ?;

-- subscribe, putList
update lists
set name = ?, preferences = ?, created_at = ?, updated_at = ?, deleted_at = null
where env_id = ? and id = ? and deleted_at is not null;
