-- What src/storage/memberships.ts has SQLite run, written by test/storage/sql.test.ts.

-- putMemberships
insert into memberships ("env_id", "tenant_id", "user_id", "profile", "created_at")
values (?, ?, ?, ?, ?)
on conflict (env_id, tenant_id, user_id) do update
set profile = excluded.profile;

-- readMembership
select *
from memberships
where env_id = ? and tenant_id = ? and user_id = ?;

-- tenantsOf
select *
from memberships
where env_id = ? and user_id = ? and tenant_id > ?
order by tenant_id
limit ?;

-- membersOfAny
select *
from memberships
where env_id = ? and tenant_id = ? and user_id > ?
order by user_id
limit ?;

-- filterMembers
select user_id
from memberships
where env_id = ? and user_id in (
  select value
  from json_each(?)) and tenant_id in (
  select value
  from json_each(?))
group by user_id
having count(*) = ?;

-- deleteMembership
delete from memberships
where env_id = ? and tenant_id = ? and user_id = ?;

-- deleteMembershipsOfUser
delete from memberships
where env_id = ? and user_id = ?;

-- deleteMembershipsOfTenant
select user_id
from memberships
where env_id = ? and tenant_id = ?
order by user_id
limit 1 offset ?;

-- deleteMembershipsOfTenant
delete from memberships
where env_id = ? and tenant_id = ? and user_id <= ?;

-- deleteMembershipsOfTenant
delete from memberships
where env_id = ? and tenant_id = ?;
