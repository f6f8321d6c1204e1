-- makegood: worker_elsewhere
-- Whether a daemon that is alive would read the route's partitions and apply their records: one that still joins may
-- only wait for the partitions of who asks. $2: for how many seconds it must have been so.
SELECT EXISTS (
    SELECT
    FROM makegood.workers
    WHERE route_id = $1 AND seen_at BETWEEN now() - interval '30 seconds' AND now() + interval '30 seconds'
          AND state_since <= now() - make_interval(secs => $2)
          AND (state IN ('running', 'joining') OR (state = 'stalled' AND cardinality(partitions) > 0))
)
