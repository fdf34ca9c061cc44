-- What src/storage/environments.ts has Postgres run, written by test/storage/sql.test.ts.

-- create
insert into environments ("id", "name", "signing_secret", "public_key", "app_code", "feed_id", "created_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
on conflict do nothing;

-- create, addKey
insert into api_keys ("id", "env_id", "mode", "hash", "hint", "created_at", "revoked_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
on conflict do nothing;

-- addKey
update api_keys
set revoked_at = null
where env_id = $1 and hash = $2 and revoked_at is not null;

-- update
update environments
set name = $1, signing_secret = $2, public_key = $3, app_code = $4, feed_id = $5
where id = $6;

-- environments
select *
from environments
order by created_at, id;

-- keys
select *
from api_keys
where env_id = $1
order by id;

-- findKey
select *
from api_keys
where hash = $1;

-- revokeKey
update api_keys
set revoked_at = coalesce(revoked_at, $1)
where env_id = $2 and id = $3;
