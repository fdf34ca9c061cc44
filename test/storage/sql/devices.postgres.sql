-- What src/storage/devices.ts has Postgres run, written by test/storage/sql.test.ts.

-- modify
select pg_advisory_xact_lock($1::bigint);

-- modify
select *
from devices
where env_id = $1 and id = $2 for update;

-- modify
select *
from devices
where env_id = $1 and token_key = $2 and id <> $3
order by id for update;

-- modify
insert into devices (user_id, registered, token, token_key, language, info, tags, updated_at, env_id, id,
    created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (env_id, id) do update
set user_id = excluded.user_id, registered = excluded.registered, token = excluded.token,
    token_key = excluded.token_key, language = excluded.language, info = excluded.info, tags = excluded.tags,
    updated_at = excluded.updated_at
returning *;

-- modify
update devices
set token = null, token_key = null
where env_id = $1 and token_key = $2 and id <> $3;

-- read
select *
from devices
where env_id = $1 and id = any($2::text[]);

-- withTokens
select *
from devices
where env_id = $1 and token_key = any($2::text[]) and registered = 1
order by id;

-- ofUser
select *
from devices
where env_id = $1 and user_id = $2
order by updated_at desc, id
limit $3;

-- users
select distinct user_id
from devices
where env_id = $1 and user_id > $2 and registered = 1
order by user_id
limit $3;

-- languages
select user_id, language
from devices
where env_id = $1 and user_id = any($2::text[]) and language is not null
order by updated_at, id;

-- moveAll
update devices
set user_id = $1, updated_at = $2
where env_id = $3 and user_id = $4;

-- modify
delete from devices
where env_id = $1 and id = $2;
