-- makegood: job_lease
-- Takes the lease if it is free, or keeps it. Another owner is another epoch. No row: somebody else has it.
-- Times that are still to come were written while this server's clock was ahead: a lease longer than a lease is
-- nobody's, and what was compared then must be compared again. The minute is for a clock that is set back a little.
UPDATE makegood.jobs
SET cursor_at = CASE WHEN cursor_at <= clock_timestamp() + interval '1 minute' THEN cursor_at END,
    swept_at = CASE WHEN swept_at <= clock_timestamp() + interval '1 minute' THEN swept_at END,
    scheduled_at = CASE WHEN scheduled_at <= clock_timestamp() THEN scheduled_at END,
    look_at = CASE WHEN look_at <= clock_timestamp() THEN look_at END,
    looked_at = CASE WHEN looked_at <= clock_timestamp() THEN looked_at END,
    lease_owner = $2, lease_until = clock_timestamp() + make_interval(secs => $3),
    lease_epoch = lease_epoch + (lease_owner IS DISTINCT FROM $2)::integer
WHERE name = $1 AND (lease_owner = $2 OR lease_owner IS NULL OR lease_until < clock_timestamp()
                       OR lease_until > clock_timestamp() + 2 * make_interval(secs => $3))
RETURNING lease_epoch, cursor_at, swept_at, scheduled_at, look_at, looked_at, notice, statuses, statuses_say, clock_timestamp() AS now
