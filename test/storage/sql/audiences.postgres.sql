-- What src/storage/audiences.ts has Postgres run, written by test/storage/sql.test.ts.

-- putMembers
insert into audience_members ("env_id", "audience", "user_id", "tenant_id", "added_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
on conflict (env_id, audience, user_id, tenant_id) do nothing;

-- members
select *
from audience_members
where env_id = $1 and audience = $2 and (added_at, user_id, tenant_id) < ($3, $4, $5)
order by added_at desc, user_id desc, tenant_id desc
limit $6;

-- isMember
select 1 as found
from audience_members
where env_id = $1 and audience = $2 and user_id = $3 and tenant_id = $4;

-- deleteMembers
select m.user_id
from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as v("env_id", "audience", "user_id", "tenant_id")
join audience_members as m on m.env_id = v.env_id and m.audience = v.audience and m.user_id = v.user_id
    and m.tenant_id = v.tenant_id
order by m.user_id, m.tenant_id for update of m;

-- deleteMembers
delete from audience_members
where (env_id, audience, user_id, tenant_id) in (
  select v.env_id, v.audience, v.user_id, v.tenant_id
  from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as v("env_id", "audience", "user_id",
      "tenant_id"));
