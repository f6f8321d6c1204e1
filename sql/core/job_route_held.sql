-- makegood: job_route_held
-- Why the job's route is held, if it is: reconciliation holds with it.
SELECT reason, advice
FROM makegood.workers
WHERE route_id = $1 AND state = 'held' AND seen_at > now() - interval '30 seconds'
LIMIT 1
