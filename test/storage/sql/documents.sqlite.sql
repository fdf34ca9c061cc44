-- What src/storage/documents.ts has SQLite run, written by test/storage/sql.test.ts.

-- write
select version
from documents
where env_id = ? and kind = ? and id = ?;

-- write
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values (?, ?, ?, ?, 1, ?, ?)
on conflict (env_id, kind, id) do nothing
returning version;

-- write
insert into documents (env_id, kind, id, body, version, created_at, updated_at)
values (?, ?, ?, ?, 1, ?, ?)
on conflict (env_id, kind, id) do update
set body = excluded.body, version = documents.version + 1, updated_at = excluded.updated_at
returning version;

-- read, readMany
select *
from documents
where env_id = ? and kind = ? and id = ?;

-- list
select *
from documents
where env_id = ? and kind = ?
order by id asc
limit ?;

-- list
select *
from documents
where env_id = ? and kind = ? and id > ?
order by id asc
limit ?;

-- list
select *
from documents
where env_id = ? and kind = ?
order by id desc
limit ?;

-- list
select *
from documents
where env_id = ? and kind = ? and id < ?
order by id desc
limit ?;

-- write
delete from documents
where env_id = ? and kind = ? and id = ?;

-- write
insert into app_messages ("env_id", "app_id", "id", "event_id", "event_type", "channels", "tags",
    "deliver_at", "payload_until", "created_at", "parameters", "payload", "raw")
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
