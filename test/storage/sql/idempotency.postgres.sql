-- What src/storage/idempotency.ts has Postgres run, written by test/storage/sql.test.ts.

-- begin
insert into idempotency_keys (env_id, scope, key, state, status, body, begun_at, expires_at)
values ($1, $2, $3, 'begun', null, null, $4, $5)
on conflict (env_id, scope, key) do update
set state = 'begun', status = null, body = null, begun_at = excluded.begun_at,
    expires_at = excluded.expires_at
where idempotency_keys.expires_at <= excluded.begun_at or (idempotency_keys.state = 'begun'
    and idempotency_keys.begun_at < $6);

-- finish
update idempotency_keys
set state = 'done', status = $1, body = $2
where env_id = $3 and scope = $4 and key = $5 and state = 'begun';

-- begin
select state, status, body
from idempotency_keys
where env_id = $1 and scope = $2 and key = $3;

-- abandon
delete from idempotency_keys
where env_id = $1 and scope = $2 and key = $3 and state = 'begun';

-- find
select status, body
from idempotency_keys
where env_id = $1 and scope = $2 and key = $3 and state = 'done' and expires_at > $4;
