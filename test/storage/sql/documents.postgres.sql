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
