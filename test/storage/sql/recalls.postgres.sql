-- What src/storage/recalls.ts has Postgres run, written by test/storage/sql.test.ts.

-- begin
select id
from requests
where env_id = $1 and id = $2;

-- begin
insert into recalls (env_id, request_id, cursor, recalled_at, until, ready_at)
values ($1, $2, null, $3, $4, $5)
on conflict (env_id, request_id) do nothing;

-- begin
update requests
set state = 'expanded', cursor = null, lease_until = null, ready_at = null
where env_id = $1 and id = $2 and state = 'expanding';

-- begin
select env_id, request_id, cursor, ready_at
from recalls
where env_id = $1 and request_id = $2;

-- claim
with claimed as materialized (
  select env_id, request_id
  from recalls
  where ready_at <= $1
  order by ready_at, request_id
  limit $2 for update skip locked)
update recalls
set ready_at = $3
from claimed
where recalls.env_id = claimed.env_id and recalls.request_id = claimed.request_id
returning recalls.env_id, recalls.request_id, recalls.cursor, recalls.ready_at;

-- messages
select id, state
from messages
where request_id = $1 and env_id = $2 and id > $3
order by id
limit $4;

-- advance
insert into recalled_items ("env_id", "user_id", "request_id", "until")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
on conflict (env_id, user_id, request_id) do nothing;

-- advance, move
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- advance
update recalls
set cursor = $1, ready_at = $2, until = case when until < $3 then $4 else until end
where env_id = $5 and request_id = $6;

-- ofUser
select request_id, until
from recalled_items
where env_id = $1 and user_id = $2 and until > $3
order by request_id desc;

-- move
insert into recalled_items (env_id, user_id, request_id, until)
select env_id, cast($1 as text), request_id, until
from recalled_items
where env_id = $2 and user_id = $3
on conflict (env_id, user_id, request_id) do nothing;

-- move
delete from recalled_items
where env_id = $1 and user_id = $2;

-- requests
select r."env_id", r."id", r."state", r."spec", r."cursor", r."lease_until", r."ready_at", r."archived_at",
    r."created_at", r."has_messages"
from requests as r
where env_id = $1 and id >= $2 and id <= $3
order by id
limit $4;

-- sweep
delete from recalled_items
where (env_id, user_id, request_id) in (
  select env_id, user_id, request_id
  from recalled_items
  where until <= $1
  order by until
  limit $2);

-- sweep
delete from recalls
where (env_id, request_id) in (
  select env_id, request_id
  from recalls
  where ready_at is null and until <= $1
  order by until
  limit $2);
