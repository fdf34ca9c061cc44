-- What src/storage/endpoint-health.ts has Postgres run, written by test/storage/sql.test.ts.

-- failingSince
select failing_since
from endpoint_health
where env_id = $1 and endpoint_id = $2;

-- clearFailing
delete from endpoint_health
where env_id = $1 and endpoint_id = $2;
