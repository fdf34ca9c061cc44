-- What src/storage/endpoint-health.ts has SQLite run, written by test/storage/sql.test.ts.

-- failingSince
select failing_since
from endpoint_health
where env_id = ? and endpoint_id = ?;

-- clearFailing
delete from endpoint_health
where env_id = ? and endpoint_id = ?;
