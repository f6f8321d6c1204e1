-- makegood: job_beat
-- A step may take longer than a lease; its runner is alive all the same.
UPDATE makegood.jobs
SET lease_until = clock_timestamp() + make_interval(secs => $2)
WHERE lease_owner = $1 AND lease_until > clock_timestamp()
