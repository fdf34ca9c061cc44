-- What src/storage/users.ts has Postgres run, written by test/storage/sql.test.ts.

-- modifyUser
select *
from users
where env_id = $1 and user_id = $2 for update;

-- modifyUser
insert into users (env_id, user_id, profile, created_at, updated_at)
values ($1, $2, '{}', $3, $4)
on conflict (env_id, user_id) do nothing;

-- modifyUser
update users
set profile = $1, updated_at = $2
where env_id = $3 and user_id = $4;

-- facts
select u.id as user_id, (
  select profile
  from users
  where env_id = $1 and user_id = u.id) as profile, (
  select json_agg(json_build_object('token', token, 'user_id', user_id, 'provider', provider, 'state', state,
      'state_reason', state_reason, 'expires_at', expires_at, 'device', device, 'properties', properties,
      'tracking', tracking, 'created_at', created_at, 'updated_at', updated_at)
    order by token)::text
  from device_tokens
  where env_id = $1 and user_id = u.id) as tokens, (
  select json_agg(tenant_id)::text
  from (
    select tenant_id
    from memberships
    where env_id = $1 and user_id = u.id
    order by tenant_id
    limit 2) as two) as tenants
from unnest($2::text[]) with ordinality as u(id, place)
order by u.place;

-- readUser
select *
from users
where env_id = $1 and user_id = $2;

-- deleteUser
delete from users
where env_id = $1 and user_id = $2;
