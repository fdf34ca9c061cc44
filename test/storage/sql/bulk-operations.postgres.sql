-- What src/storage/bulk-operations.ts has Postgres run, written by test/storage/sql.test.ts.

-- putBulkOperation
insert into bulk_operations ("env_id", "id", "body", "created_at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
on conflict (env_id, id) do update
set body = excluded.body;

-- bulkOperation
select *
from bulk_operations
where env_id = $1 and id = $2;
