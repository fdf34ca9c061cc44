-- What src/storage/bulk-operations.ts has SQLite run, written by test/storage/sql.test.ts.

-- putBulkOperation
insert into bulk_operations ("env_id", "id", "body", "created_at")
values (?, ?, ?, ?)
on conflict (env_id, id) do update
set body = excluded.body;

-- bulkOperation
select *
from bulk_operations
where env_id = ? and id = ?;
