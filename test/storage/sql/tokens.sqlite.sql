-- What src/storage/tokens.ts has SQLite run, written by test/storage/sql.test.ts.

-- putTokens, modifyToken
insert into device_tokens ("env_id", "token", "user_id", "provider", "state", "state_reason", "expires_at",
    "device", "properties", "tracking", "created_at", "updated_at")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (env_id, token) do update
set user_id = excluded.user_id, provider = excluded.provider, state = excluded.state,
    state_reason = excluded.state_reason, expires_at = excluded.expires_at, device = excluded.device,
    properties = excluded.properties, tracking = excluded.tracking, created_at = excluded.created_at,
    updated_at = excluded.updated_at;

-- putTokens, modifyToken
select user_id
from device_tokens
where env_id = ? and user_id in (
  select value
  from json_each(?))
group by user_id
having count(*) > ?
limit 1;

-- tokens
select *
from device_tokens
where env_id = ? and user_id = ?
order by token;

-- readToken, modifyToken
select *
from device_tokens
where env_id = ? and token = ? and user_id = ?;

-- failTokens
update devices
set token = null, token_key = null
where env_id = ? and token_key in (
  select value
  from json_each(?));

-- failTokens
update device_tokens
set state = 'failed', state_reason = ?, updated_at = ?
where env_id = ? and token in (
  select value
  from json_each(?)) and state in ('active', 'unknown');

-- deleteToken
delete from device_tokens
where env_id = ? and token = ? and user_id = ?;
