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
insert into device_tokens ("env_id", "token", "user_id", "provider", "state", "state_reason", "expires_at",
    "device", "properties", "tracking", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[])
on conflict (env_id, token) do update
set user_id = excluded.user_id, provider = excluded.provider, state = excluded.state,
    state_reason = excluded.state_reason, expires_at = excluded.expires_at, device = excluded.device,
    properties = excluded.properties, tracking = excluded.tracking, created_at = excluded.created_at,
    updated_at = excluded.updated_at;

-- modify, moveAll
select user_id
from device_tokens
where env_id = $1 and user_id = any($2::text[])
group by user_id
having count(*) > $3
limit 1;

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
order by token_key;

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
where env_id = $3 and user_id = $4
returning token;

-- moveAll
update device_tokens
set user_id = $1, updated_at = $2
where env_id = $3 and user_id = $4 and token = any($5::text[]);

-- modify
delete from device_tokens
where env_id = $1 and token = $2 and user_id = $3;

-- modify
delete from devices
where env_id = $1 and id = $2;
