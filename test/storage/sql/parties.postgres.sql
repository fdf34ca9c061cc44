-- What src/storage/parties.ts has Postgres run, written by test/storage/sql.test.ts.

-- write
insert into users ("env_id", "user_id", "profile", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
on conflict (env_id, user_id) do nothing;

-- write
select t.user_id, t.profile as body
from unnest($1::text[], $2::text[]) as v("env_id", "user_id")
join users as t on t.env_id = v.env_id and t.user_id = v.user_id
order by t.user_id for update of t;

-- write
update users
set profile = v.body, updated_at = v.at
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as v("env_id", "user_id", "body", "at")
where users.env_id = v.env_id and users.user_id = v.user_id;

-- write
select d.party, d.kind, d.name, d.body
from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as v("env_id", "party", "kind", "name")
join party_documents as d on d.env_id = v.env_id and d.party = v.party and d.kind = v.kind and d.name = v.name
order by d.party, d.kind, d.name for update of d;

-- write
insert into party_documents ("env_id", "party", "kind", "name", "body", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
on conflict (env_id, party, kind, name) do nothing
returning party, kind, name;

-- write
insert into party_documents ("env_id", "party", "kind", "name", "body", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
on conflict (env_id, party, kind, name) do update
set body = excluded.body, updated_at = excluded.updated_at;

-- write
delete from party_documents
where (env_id, party, kind, name) in (
  select v.env_id, v.party, v.kind, v.name
  from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as v("env_id", "party", "kind", "name"));

-- write, facts
select v.place, coalesce(u.profile, o.properties) as properties, coalesce(u.created_at,
    o.created_at) as created_at, coalesce(u.updated_at, o.updated_at) as updated_at, (
  select cast(json_agg(json_build_array(d.kind, d.name, d.body, d.created_at, d.updated_at)
      order by d.kind, d.name) as text)
  from party_documents as d
  where d.env_id = v.env_id and d.party = v.party and d.kind <> 'guide') as documents
from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) as v("place", "env_id",
    "party", "user_id", "collection", "id")
left join users as u on u.env_id = v.env_id and u.user_id = v.user_id
left join objects as o on o.env_id = v.env_id and o.collection = v.collection and o.id = v.id;

-- write
insert into objects ("env_id", "collection", "id", "properties", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
on conflict (env_id, collection, id) do nothing;

-- write
select t.collection, t.id, t.properties as body
from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "collection", "id")
join objects as t on t.env_id = v.env_id and t.collection = v.collection and t.id = v.id
order by t.collection, t.id for update of t;

-- write
update objects
set properties = v.body, updated_at = v.at
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) as v("env_id", "collection", "id",
    "body", "at")
where objects.env_id = v.env_id and objects.collection = v.collection and objects.id = v.id;

-- write
select body
from documents
where env_id = $1 and kind = $2 and id = $3 for update;

-- write
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values ($1, $2, $3, $4, 1, $5, $6)
on conflict (env_id, kind, id) do nothing;

-- write
update documents
set body = $1, version = version + 1, updated_at = $2
where env_id = $3 and kind = $4 and id = $5;

-- users
select *
from users
where env_id = $1
order by created_at desc, user_id desc
limit $2;

-- objects
select *
from objects
where env_id = $1 and collection = $2
order by created_at desc, id desc
limit $3;

-- users
select *
from users
where env_id = $1 and (created_at, user_id) > ($2, $3)
order by created_at asc, user_id asc
limit $4;

-- objects
select *
from objects
where env_id = $1 and collection = $2 and (created_at, id) > ($3, $4)
order by created_at asc, id asc
limit $5;

-- users
select *
from users
where env_id = $1 and (created_at, user_id) < ($2, $3) and (created_at, user_id) > ($4, $5)
order by created_at desc, user_id desc
limit $6;

-- objects
select *
from objects
where env_id = $1 and collection = $2 and (created_at, id) < ($3, $4) and (created_at, id) > ($5, $6)
order by created_at desc, id desc
limit $7;

-- delete
select object, recipient
from object_subscriptions
where env_id = $1 and object = any($2::text[])
limit $3;

-- delete
select object, recipient
from object_subscriptions
where env_id = $1 and recipient = any($2::text[])
limit $3;

-- delete
delete from object_subscriptions
where (env_id, object, recipient) in (
  select v.env_id, v.object, v.recipient
  from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "object", "recipient"));

-- delete
select user_id
from users
where env_id = $1 and user_id = any($2::text[])
order by user_id for update;

-- delete
delete from users
where env_id = $1 and user_id = any($2::text[])
returning user_id;

-- delete
delete from audience_members
where env_id = $1 and user_id = any($2::text[]);

-- delete
select o.id
from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "collection", "id")
join objects as o on o.env_id = v.env_id and o.collection = v.collection and o.id = v.id
order by o.collection, o.id for update of o;

-- delete
delete from objects
where (env_id, collection, id) in (
  select v.env_id, v.collection, v.id
  from unnest($1::text[], $2::text[], $3::text[]) as v("env_id", "collection", "id"))
returning collection, id;

-- delete
delete from party_documents
where env_id = $1 and party = any($2::text[]);

-- delete
delete from object_subscriptions
where env_id = $1 and object = any($2::text[]);

-- delete
delete from object_subscriptions
where env_id = $1 and recipient = any($2::text[]);
