-- What src/storage/lists.ts has Postgres run, written by test/storage/sql.test.ts.

-- putList
update lists
set name = $1, preferences = $2, updated_at = $3
where env_id = $4 and id = $5 and deleted_at is null;

-- putList, subscribe
insert into lists (env_id, id, name, preferences, created_at, updated_at, deleted_at)
values ($1, $2, $3, $4, $5, $6, null)
on conflict (env_id, id) do nothing;

-- putList, subscribe
delete from list_subscriptions
where env_id = $1 and list_id = $2;

-- subscribe, subscribers, subscribersOfAny
select id
from lists
where env_id = $1 and id = any($2::text[]) and deleted_at is null;

-- subscribe
insert into list_subscriptions ("env_id", "list_id", "user_id", "preferences", "created_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
on conflict (env_id, list_id, user_id) do update
set preferences = excluded.preferences;

-- subscribe
select id
from lists
where env_id = $1 and id = $2 and deleted_at is null for update;

-- subscribe
select user_id
from list_subscriptions
where env_id = $1 and list_id = $2 and user_id > $3
order by user_id
limit $4;

-- subscribe
delete from list_subscriptions
where env_id = $1 and list_id = $2 and user_id = any($3::text[]);

-- readList
select *
from lists
where env_id = $1 and id = $2;

-- lists
select *
from lists
where env_id = $1 and id >= $2 and id > $3 and deleted_at is null
order by id
limit $4;

-- subscribers, subscribersOfAny
select s.*
from unnest($1::text[]) as g(id)
cross join lateral (
  select *
  from list_subscriptions
  where env_id = $2 and list_id = g.id and user_id > $3
  order by user_id
  limit $4) as s
order by s.user_id;

-- subscriptionsOf
select l.*, s.preferences as own_preferences, s.created_at as subscribed_at
from list_subscriptions s
join lists l on l.env_id = s.env_id and l.id = s.list_id
where s.env_id = $1 and s.user_id = $2 and s.list_id > $3 and l.deleted_at is null
order by s.list_id
limit $4;

-- unsubscribe
delete from list_subscriptions
where env_id = $1 and list_id = $2 and user_id = $3 and exists (
  select 1
  from lists
  where env_id = $4 and id = $5 and deleted_at is null);

-- unsubscribeFromAll
select list_id
from list_subscriptions
where env_id = $1 and user_id = $2
order by list_id for update;

-- unsubscribeFromAll
delete from list_subscriptions
where env_id = $1 and user_id = $2;

-- deleteList
update lists
set deleted_at = $1
where env_id = $2 and id = $3 and deleted_at is null;

-- restoreList
update lists
set updated_at = case when deleted_at is null then updated_at else $1 end, deleted_at = null
where env_id = $2 and id = $3;

-- subscribe, putList
update lists
set name = $1, preferences = $2, created_at = $3, updated_at = $4, deleted_at = null
where env_id = $5 and id = $6 and deleted_at is not null;
