-- makegood: job_sweep_again
-- The next run of the schedule looks at everything.
UPDATE makegood.jobs SET swept_at = NULL WHERE route_id = $1
