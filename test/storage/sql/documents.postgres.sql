-- What src/storage/documents.ts has Postgres run, written by test/storage/sql.test.ts.

-- write
select version
from documents
where env_id = $1 and kind = $2 and id = $3 for update;

-- write
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values ($1, $2, $3, $4, 1, $5, $6)
on conflict (env_id, kind, id) do nothing
returning version;

-- write
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values ($1, $2, $3, $4, 1, $5, $6)
on conflict (env_id, kind, id) do update
set body = excluded.body, version = documents.version + 1, updated_at = excluded.updated_at
returning version;

-- read
select *
from documents
where env_id = $1 and kind = $2 and id = $3;

-- readMany
select d.*
from unnest($1::text[], $2::text[]) with ordinality as k(kind, id, place)
left join documents d on d.env_id = $3 and d.kind = k.kind and d.id = k.id
order by k.place;

-- list
select *
from documents
where env_id = $1 and kind = $2
order by id asc
limit $3;

-- list
select *
from documents
where env_id = $1 and kind = $2 and id > $3
order by id asc
limit $4;

-- list
select *
from documents
where env_id = $1 and kind = $2
order by id desc
limit $3;

-- list
select *
from documents
where env_id = $1 and kind = $2 and id < $3
order by id desc
limit $4;

-- write
delete from documents
where env_id = $1 and kind = $2 and id = $3;

-- write
insert into app_messages ("env_id", "app_id", "id", "event_id", "event_type", "channels", "tags",
    "deliver_at", "payload_until", "created_at", "parameters", "payload", "raw")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[]);
