-- What src/storage/recalls.ts has SQLite run, written by test/storage/sql.test.ts.

-- begin
select id
from requests
where env_id = ? and id = ?;

-- begin
insert into recalls (env_id, request_id, cursor, recalled_at, until, ready_at)
values (?, ?, null, ?, ?, ?)
on conflict (env_id, request_id) do nothing;

-- begin
update requests
set state = 'expanded', cursor = null, lease_until = null, ready_at = null
where env_id = ? and id = ? and state = 'expanding';

-- begin
select env_id, request_id, cursor, ready_at
from recalls
where env_id = ? and request_id = ?;

-- claim
with claimed as materialized (
  select env_id, request_id
  from recalls
  where ready_at <= ?
  order by ready_at, request_id
  limit ?)
update recalls
set ready_at = ?
from claimed
where recalls.env_id = claimed.env_id and recalls.request_id = claimed.request_id
returning recalls.env_id, recalls.request_id, recalls.cursor, recalls.ready_at;

-- messages
select id, state
from messages
where request_id = ? and env_id = ? and id > ?
order by id
limit ?;

-- advance
insert into recalled_items ("env_id", "user_id", "request_id", "until")
values (?, ?, ?, ?)
on conflict (env_id, user_id, request_id) do nothing;

-- advance, move
insert into inbox_counts ("env_id", "user_id", "tenant_id", "bucket", "n", "stamp")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, user_id, tenant_id, bucket) do update
set n = inbox_counts.n + excluded.n, stamp = excluded.stamp;

-- advance
update recalls
set cursor = ?, ready_at = ?, until = case when until < ? then ? else until end
where env_id = ? and request_id = ?;

-- ofUser
select request_id, until
from recalled_items
where env_id = ? and user_id = ? and until > ?
order by request_id desc;

-- move
insert into recalled_items (env_id, user_id, request_id, until)
select env_id, cast(? as text), request_id, until
from recalled_items
where env_id = ? and user_id = ?
on conflict (env_id, user_id, request_id) do nothing;

-- move
delete from recalled_items
where env_id = ? and user_id = ?;

-- requests
select r."env_id", r."id", r."state", r."spec", r."cursor", r."lease_until", r."ready_at", r."archived_at",
    r."created_at", r."has_messages"
from requests as r
where env_id = ? and id >= ? and id <= ?
order by id
limit ?;

-- sweep
delete from recalled_items
where (env_id, user_id, request_id) in (
  select env_id, user_id, request_id
  from recalled_items
  where until <= ?
  order by until
  limit ?);

-- sweep
delete from recalls
where (env_id, request_id) in (
  select env_id, request_id
  from recalls
  where ready_at is null and until <= ?
  order by until
  limit ?);
