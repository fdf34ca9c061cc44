-- What src/storage/idempotency.ts has SQLite run, written by test/storage/sql.test.ts.

-- begin
insert into idempotency_keys (env_id, scope, key, state, status, body, begun_at, expires_at)
values (?, ?, ?, 'begun', null, null, ?, ?)
on conflict (env_id, scope, key) do update
set state = 'begun', status = null, body = null, begun_at = excluded.begun_at,
    expires_at = excluded.expires_at
where idempotency_keys.expires_at <= excluded.begun_at or (idempotency_keys.state = 'begun'
    and idempotency_keys.begun_at < ?);

-- finish
update idempotency_keys
set state = 'done', status = ?, body = ?
where env_id = ? and scope = ? and key = ? and state = 'begun';

-- begin
select state, status, body
from idempotency_keys
where env_id = ? and scope = ? and key = ?;

-- abandon
delete from idempotency_keys
where env_id = ? and scope = ? and key = ? and state = 'begun';

-- find
select status, body
from idempotency_keys
where env_id = ? and scope = ? and key = ? and state = 'done' and expires_at > ?;
