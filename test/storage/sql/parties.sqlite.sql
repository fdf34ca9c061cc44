-- What src/storage/parties.ts has SQLite run, written by test/storage/sql.test.ts.

-- write
insert into users ("env_id", "user_id", "profile", "created_at", "updated_at")
values (?, ?, ?, ?, ?)
on conflict (env_id, user_id) do nothing;

-- write
select t.user_id, t.profile as body
from (
  select ? as "env_id", ? as "user_id") as v
join users as t on t.env_id = v.env_id and t.user_id = v.user_id;

-- write
update users
set profile = v.body, updated_at = v.at
from (
  select ? as "env_id", ? as "user_id", ? as "body", ? as "at") as v
where users.env_id = v.env_id and users.user_id = v.user_id;

-- write
select d.party, d.kind, d.name, d.body
from (
  select ? as "env_id", ? as "party", ? as "kind", ? as "name") as v
join party_documents as d on d.env_id = v.env_id and d.party = v.party and d.kind = v.kind and d.name = v.name;

-- write
insert into party_documents ("env_id", "party", "kind", "name", "body", "created_at", "updated_at")
values (?, ?, ?, ?, ?, ?, ?)
on conflict (env_id, party, kind, name) do update
set body = excluded.body, updated_at = excluded.updated_at;

-- write
delete from party_documents
where (env_id, party, kind, name) in (
  select v.env_id, v.party, v.kind, v.name
  from (
    select ? as "env_id", ? as "party", ? as "kind", ? as "name") as v);

-- write, facts
select v.place, coalesce(u.profile, o.properties) as properties, coalesce(u.created_at,
    o.created_at) as created_at, coalesce(u.updated_at, o.updated_at) as updated_at, (
  select cast(json_group_array(json_array(d.kind, d.name, d.body, d.created_at, d.updated_at)
      order by d.kind, d.name) as text)
  from party_documents as d
  where d.env_id = v.env_id and d.party = v.party and d.kind <> 'guide') as documents
from (
  select ? as "place", ? as "env_id", ? as "party", ? as "user_id", ? as "collection", ? as "id") as v
left join users as u on u.env_id = v.env_id and u.user_id = v.user_id
left join objects as o on o.env_id = v.env_id and o.collection = v.collection and o.id = v.id;

-- write
insert into objects ("env_id", "collection", "id", "properties", "created_at", "updated_at")
values (?, ?, ?, ?, ?, ?)
on conflict (env_id, collection, id) do nothing;

-- write
select t.collection, t.id, t.properties as body
from (
  select ? as "env_id", ? as "collection", ? as "id") as v
join objects as t on t.env_id = v.env_id and t.collection = v.collection and t.id = v.id;

-- write
update objects
set properties = v.body, updated_at = v.at
from (
  select ? as "env_id", ? as "collection", ? as "id", ? as "body", ? as "at") as v
where objects.env_id = v.env_id and objects.collection = v.collection and objects.id = v.id;

-- write
select body
from documents
where env_id = ? and kind = ? and id = ?;

-- write
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values (?, ?, ?, ?, 1, ?, ?)
on conflict (env_id, kind, id) do nothing;

-- write
update documents
set body = ?, version = version + 1, updated_at = ?
where env_id = ? and kind = ? and id = ?;

-- users
select *
from users
where env_id = ?
order by created_at desc, user_id desc
limit ?;

-- objects
select *
from objects
where env_id = ? and collection = ?
order by created_at desc, id desc
limit ?;

-- users
select *
from users
where env_id = ? and (created_at, user_id) > (?, ?)
order by created_at asc, user_id asc
limit ?;

-- objects
select *
from objects
where env_id = ? and collection = ? and (created_at, id) > (?, ?)
order by created_at asc, id asc
limit ?;

-- users
select *
from users
where env_id = ? and (created_at, user_id) < (?, ?) and (created_at, user_id) > (?, ?)
order by created_at desc, user_id desc
limit ?;

-- objects
select *
from objects
where env_id = ? and collection = ? and (created_at, id) < (?, ?) and (created_at, id) > (?, ?)
order by created_at desc, id desc
limit ?;

-- delete
select object, recipient
from object_subscriptions
where env_id = ? and object in (
  select value
  from json_each(?))
limit ?;

-- delete
select object, recipient
from object_subscriptions
where env_id = ? and recipient in (
  select value
  from json_each(?))
limit ?;

-- delete
delete from object_subscriptions
where (env_id, object, recipient) in (
  select v.env_id, v.object, v.recipient
  from (
    select ? as "env_id", ? as "object", ? as "recipient") as v);

-- delete
delete from users
where env_id = ? and user_id in (
  select value
  from json_each(?))
returning user_id;

-- delete
delete from audience_members indexed by audience_members_user
where env_id = ? and user_id in (
  select value
  from json_each(?));

-- delete
delete from objects
where (env_id, collection, id) in (
  select v.env_id, v.collection, v.id
  from (
    select ? as "env_id", ? as "collection", ? as "id") as v)
returning collection, id;

-- delete
delete from party_documents
where env_id = ? and party in (
  select value
  from json_each(?));

-- delete
delete from object_subscriptions
where env_id = ? and object in (
  select value
  from json_each(?));

-- delete
delete from object_subscriptions indexed by object_subscriptions_recipient
where env_id = ? and recipient in (
  select value
  from json_each(?));
