-- What src/storage/party-documents.ts has SQLite run, written by test/storage/sql.test.ts.

-- modifyDocument
select d.party, d.kind, d.name, d.body
from (
  select ? as "env_id", ? as "party", ? as "kind", ? as "name") as v
join party_documents as d on d.env_id = v.env_id and d.party = v.party and d.kind = v.kind and d.name = v.name;

-- modifyDocument
insert into party_documents ("env_id", "party", "kind", "name", "body", "created_at", "updated_at")
values (?, ?, ?, ?, ?, ?, ?)
on conflict (env_id, party, kind, name) do update
set body = excluded.body, updated_at = excluded.updated_at;

-- modifyDocument, document
select *
from party_documents
where env_id = ? and party = ? and kind = ? and name = ?;

-- documents
select *
from party_documents
where env_id = ? and party = ? and kind = ?
order by name;
