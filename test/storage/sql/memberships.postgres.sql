-- What src/storage/memberships.ts has Postgres run, written by test/storage/sql.test.ts.

-- putMemberships
insert into memberships ("env_id", "tenant_id", "user_id", "profile", "created_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
on conflict (env_id, tenant_id, user_id) do update
set profile = excluded.profile;

-- readMembership
select *
from memberships
where env_id = $1 and tenant_id = $2 and user_id = $3;

-- tenantsOf
select *
from memberships
where env_id = $1 and user_id = $2 and tenant_id > $3
order by tenant_id
limit $4;

-- membersOfAny
select s.*
from unnest($1::text[]) as g(id)
cross join lateral (
  select *
  from memberships
  where env_id = $2 and tenant_id = g.id and user_id > $3
  order by user_id
  limit $4) as s
order by s.user_id;

-- filterMembers
select user_id
from memberships
where env_id = $1 and user_id = any($2::text[]) and tenant_id = any($3::text[])
group by user_id
having count(*) = $4;

-- deleteMembership
delete from memberships
where env_id = $1 and tenant_id = $2 and user_id = $3;

-- deleteMembershipsOfUser
select tenant_id
from memberships
where env_id = $1 and user_id = $2
order by tenant_id for update;

-- deleteMembershipsOfUser
delete from memberships
where env_id = $1 and user_id = $2;

-- deleteMembershipsOfTenant
select user_id
from memberships
where env_id = $1 and tenant_id = $2
order by user_id
limit 1 offset $3;

-- deleteMembershipsOfTenant
delete from memberships
where env_id = $1 and tenant_id = $2 and user_id <= $3;

-- deleteMembershipsOfTenant
delete from memberships
where env_id = $1 and tenant_id = $2;
