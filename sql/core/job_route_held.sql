-- makegood: job_route_held
-- Why the job's route is held, if it is: reconciliation holds with it. A held daemon that reads no partition
-- while another one runs the route holds only itself.
SELECT w.reason, w.advice
FROM makegood.workers w
WHERE w.route_id = $1 AND w.state = 'held' AND w.seen_at BETWEEN now() - interval '30 seconds' AND now() + interval '30 seconds'
      AND (cardinality(w.partitions) > 0 OR NOT EXISTS (
          SELECT
          FROM makegood.workers
          WHERE route_id = $1 AND state = 'running' AND seen_at BETWEEN now() - interval '30 seconds' AND now() + interval '30 seconds'
      ))
LIMIT 1
