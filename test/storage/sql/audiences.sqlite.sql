-- What src/storage/audiences.ts has SQLite run, written by test/storage/sql.test.ts.

-- putMembers
insert into audience_members ("env_id", "audience", "user_id", "tenant_id", "added_at")
values (?, ?, ?, ?, ?)
on conflict (env_id, audience, user_id, tenant_id) do nothing;

-- members
select *
from audience_members
where env_id = ? and audience = ? and (added_at, user_id, tenant_id) < (?, ?, ?)
order by added_at desc, user_id desc, tenant_id desc
limit ?;

-- isMember
select 1 as found
from audience_members
where env_id = ? and audience = ? and user_id = ? and tenant_id = ?;

-- deleteMembers
delete from audience_members
where (env_id, audience, user_id, tenant_id) in (
  select v.env_id, v.audience, v.user_id, v.tenant_id
  from (
    select ? as "env_id", ? as "audience", ? as "user_id", ? as "tenant_id") as v);
