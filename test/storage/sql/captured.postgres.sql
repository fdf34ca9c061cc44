-- What src/storage/captured.ts has Postgres run, written by test/storage/sql.test.ts.

-- add
insert into captured ("env_id", "id", "message_id", "delivery_id", "channel", "provider", "address",
    "payload", "at")
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::bigint[])
on conflict (env_id, id) do nothing;

-- list
select *
from captured
where env_id = $1
order by id desc
limit $2;

-- list
select *
from captured
where env_id = $1 and message_id = $2 and channel = $3 and id < $4
order by id desc
limit $5;

-- clear
select id
from captured
where env_id = $1
order by id desc
limit 1 offset $2;

-- clear
select id
from captured
where env_id = $1 and id <= $2
order by id asc
limit 1 offset $3;

-- clear
delete from captured
where env_id = $1 and id <= $2;
