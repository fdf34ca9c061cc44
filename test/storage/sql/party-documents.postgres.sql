-- What src/storage/party-documents.ts has Postgres run, written by test/storage/sql.test.ts.

-- modifyDocument
select d.party, d.kind, d.name, d.body
from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as v("env_id", "party", "kind", "name")
join party_documents as d on d.env_id = v.env_id and d.party = v.party and d.kind = v.kind and d.name = v.name
order by d.party, d.kind, d.name for update of d;

-- modifyDocument
insert into party_documents ("env_id", "party", "kind", "name", "body", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
on conflict (env_id, party, kind, name) do nothing
returning party, kind, name;

-- modifyDocument
insert into party_documents ("env_id", "party", "kind", "name", "body", "created_at", "updated_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
on conflict (env_id, party, kind, name) do update
set body = excluded.body, updated_at = excluded.updated_at;

-- modifyDocument, document
select *
from party_documents
where env_id = $1 and party = $2 and kind = $3 and name = $4;

-- documents
select *
from party_documents
where env_id = $1 and party = $2 and kind = $3
order by name;
