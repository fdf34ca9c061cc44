-- What src/storage/captured.ts has SQLite run, written by test/storage/sql.test.ts.

-- add
insert into captured ("env_id", "id", "message_id", "delivery_id", "channel", "provider", "address",
    "payload", "at")
values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (env_id, id) do nothing;

-- list
select *
from captured
where env_id = ?
order by id desc
limit ?;

-- list
select *
from captured
where env_id = ? and message_id = ? and channel = ? and id < ?
order by id desc
limit ?;

-- clear
select id
from captured
where env_id = ?
order by id desc
limit 1 offset ?;

-- clear
select id
from captured
where env_id = ? and id <= ?
order by id asc
limit 1 offset ?;

-- clear
delete from captured
where env_id = ? and id <= ?;
