-- What src/storage/users.ts has SQLite run, written by test/storage/sql.test.ts.

-- modifyUser, readUser
select *
from users
where env_id = ? and user_id = ?;

-- modifyUser
insert into users (env_id, user_id, profile, created_at, updated_at)
values (?, ?, '{}', ?, ?)
on conflict (env_id, user_id) do nothing;

-- modifyUser
update users
set profile = ?, updated_at = ?
where env_id = ? and user_id = ?;

-- facts
select (
  select profile
  from users
  where env_id = ?1 and user_id = ?2) as profile, (
  select json_group_array(json_object('token', token, 'user_id', user_id, 'provider', provider, 'state', state,
      'state_reason', state_reason, 'expires_at', expires_at, 'device', device, 'properties', properties,
      'tracking', tracking, 'created_at', created_at, 'updated_at', updated_at)
    order by token)
  from device_tokens
  where env_id = ?1 and user_id = ?2) as tokens, (
  select json_group_array(tenant_id)
  from (
    select tenant_id
    from memberships
    where env_id = ?1 and user_id = ?2
    order by tenant_id
    limit 2)) as tenants;

-- deleteUser
delete from users
where env_id = ? and user_id = ?;
