-- What src/storage/environments.ts has SQLite run, written by test/storage/sql.test.ts.

-- create
insert into environments ("id", "name", "signing_secret", "public_key", "app_code", "feed_id", "created_at")
values (?, ?, ?, ?, ?, ?, ?)
on conflict do nothing;

-- create, addKey
insert into api_keys ("id", "env_id", "mode", "hash", "hint", "created_at", "revoked_at")
values (?, ?, ?, ?, ?, ?, ?)
on conflict do nothing;

-- addKey
update api_keys
set revoked_at = null
where env_id = ? and hash = ? and revoked_at is not null;

-- update
update environments
set name = ?, signing_secret = ?, public_key = ?, app_code = ?, feed_id = ?
where id = ?;

-- environments
select *
from environments
order by created_at, id;

-- keys
select *
from api_keys
where env_id = ?
order by id;

-- findKey
select *
from api_keys
where hash = ?;

-- revokeKey
update api_keys
set revoked_at = coalesce(revoked_at, ?)
where env_id = ? and id = ?;
