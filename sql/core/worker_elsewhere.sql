-- makegood: worker_elsewhere
-- Whether a daemon that is alive reads the route's partitions and applies their records.
SELECT EXISTS (
    SELECT
    FROM makegood.workers
    WHERE route_id = $1 AND state = 'running' AND seen_at BETWEEN now() - interval '30 seconds' AND now() + interval '30 seconds'
)
