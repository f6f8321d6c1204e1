-- makegood: job_hold
-- The last statement of each of the runner's transactions: it still has the lease, and has it for longer.
-- No row in the answer: somebody else runs the job by now, and the transaction must not commit.
UPDATE makegood.jobs
SET lease_until = clock_timestamp() + make_interval(secs => $4)
WHERE name = $1 AND lease_owner = $2 AND lease_epoch = $3
RETURNING name
