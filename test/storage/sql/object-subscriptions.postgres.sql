-- What src/storage/object-subscriptions.ts has Postgres run, written by test/storage/sql.test.ts.

-- subscribe
insert into object_subscriptions ("env_id", "object", "recipient", "properties", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
on conflict (env_id, object, recipient) do update
set properties = coalesce(excluded.properties, object_subscriptions.properties),
    updated_at = excluded.updated_at
returning *;

-- subscriptions
select *
from object_subscriptions
where env_id = $1 and object = $2 and (created_at, recipient) < ($3, $4)
order by created_at desc, recipient desc
limit $5;

-- subscriptions
select *
from object_subscriptions
where env_id = $1 and recipient = $2 and (created_at, object) < ($3, $4)
order by created_at desc, object desc
limit $5;

-- subscriptions
select *
from object_subscriptions
where env_id = $1 and object = $2 and recipient = any($3::text[]) and (+created_at, recipient) < ($4, $5)
order by +created_at desc, recipient desc
limit $6;

-- subscriptions
select *
from object_subscriptions
where env_id = $1 and recipient = $2 and object = any($3::text[]) and (+created_at, object) < ($4, $5)
order by +created_at desc, object desc
limit $6;

-- subscribersOf
select *
from object_subscriptions
where env_id = $1 and object = $2 and recipient > $3
order by recipient
limit $4;

-- unsubscribe
select s.object
from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "object", "recipient")
join object_subscriptions as s on s.env_id = v.env_id and s.object = v.object and s.recipient = v.recipient
order by s.object, s.recipient for update of s;

-- unsubscribe
delete from object_subscriptions
where (env_id, object, recipient) in (
  select v.env_id, v.object, v.recipient
  from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "object", "recipient"))
returning *;
