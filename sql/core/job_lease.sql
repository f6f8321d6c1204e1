-- makegood: job_lease
-- Takes the lease if it is free, or keeps it. Another owner is another epoch. No row: somebody else has it.
UPDATE makegood.jobs
SET lease_owner = $2, lease_until = clock_timestamp() + make_interval(secs => $3),
    lease_epoch = lease_epoch + (lease_owner IS DISTINCT FROM $2)::integer
WHERE name = $1 AND (lease_owner = $2 OR lease_owner IS NULL OR lease_until < clock_timestamp())
RETURNING lease_epoch, cursor_at, swept_at, scheduled_at, look_at, looked_at, notice, clock_timestamp() AS now
