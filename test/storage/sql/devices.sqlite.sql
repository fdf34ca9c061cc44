-- What src/storage/devices.ts has SQLite run, written by test/storage/sql.test.ts.

-- modify
select *
from devices
where env_id = ? and id = ?;

-- modify
select *
from devices
where env_id = ? and token_key = ? and id <> ?
order by id;

-- modify
insert into devices (user_id, registered, token, token_key, language, info, tags, updated_at, env_id, id,
    created_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (env_id, id) do update
set user_id = excluded.user_id, registered = excluded.registered, token = excluded.token,
    token_key = excluded.token_key, language = excluded.language, info = excluded.info, tags = excluded.tags,
    updated_at = excluded.updated_at
returning *;

-- modify
insert into device_tokens ("env_id", "token", "user_id", "provider", "state", "state_reason", "expires_at",
    "device", "properties", "tracking", "created_at", "updated_at")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (env_id, token) do update
set user_id = excluded.user_id, provider = excluded.provider, state = excluded.state,
    state_reason = excluded.state_reason, expires_at = excluded.expires_at, device = excluded.device,
    properties = excluded.properties, tracking = excluded.tracking, created_at = excluded.created_at,
    updated_at = excluded.updated_at;

-- modify, moveAll
select user_id
from device_tokens
where env_id = ? and user_id in (
  select value
  from json_each(?))
group by user_id
having count(*) > ?
limit 1;

-- modify
update devices
set token = null, token_key = null
where env_id = ? and token_key = ? and id <> ?;

-- read
select *
from devices
where env_id = ? and id in (
  select value
  from json_each(?));

-- withTokens
select *
from devices
where env_id = ? and token_key in (
  select value
  from json_each(?)) and registered = 1
order by token_key;

-- ofUser
select *
from devices
where env_id = ? and user_id = ?
order by updated_at desc, id
limit ?;

-- users
select distinct user_id
from devices
where env_id = ? and user_id > ? and registered = 1
order by user_id
limit ?;

-- languages
select user_id, language
from devices
where env_id = ? and user_id in (
  select value
  from json_each(?)) and language is not null
order by updated_at, id;

-- moveAll
update devices
set user_id = ?, updated_at = ?
where env_id = ? and user_id = ?
returning token;

-- moveAll
update device_tokens
set user_id = ?, updated_at = ?
where env_id = ? and user_id = ? and token in (
  select value
  from json_each(?));

-- modify
delete from device_tokens
where env_id = ? and token = ? and user_id = ?;

-- modify
delete from devices
where env_id = ? and id = ?;
