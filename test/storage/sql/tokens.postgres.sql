-- What src/storage/tokens.ts has Postgres run, written by test/storage/sql.test.ts.

-- putTokens, modifyToken
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

-- putTokens, modifyToken
select user_id
from device_tokens
where env_id = $1 and user_id = any($2::text[])
group by user_id
having count(*) > $3
limit 1;

-- tokens
select *
from device_tokens
where env_id = $1 and user_id = $2
order by token;

-- readToken
select *
from device_tokens
where env_id = $1 and token = $2 and user_id = $3;

-- modifyToken
select *
from device_tokens
where env_id = $1 and token = $2 and user_id = $3 for update;

-- failTokens
update devices
set token = null, token_key = null
where env_id = $1 and token_key = any($2::text[]);

-- failTokens
select token
from device_tokens
where env_id = $1 and token = any($2::text[]) and state in ('active', 'unknown')
order by token for update;

-- failTokens
update device_tokens
set state = 'failed', state_reason = $1, updated_at = $2
where env_id = $3 and token = any($4::text[]) and state in ('active', 'unknown');

-- deleteToken
delete from device_tokens
where env_id = $1 and token = $2 and user_id = $3;
