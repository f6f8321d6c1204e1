-- makegood: lock_holder
-- Whose lock a session of makegood's waits for. Of several in a queue, the one that waits for nobody.
SELECT h.pid, b.application_name, b.state, b.usename::text,
       greatest(extract(epoch FROM now() - b.xact_start), 0)::float8 AS seconds
FROM pg_stat_activity w
CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS h (pid)
LEFT JOIN pg_stat_activity b ON b.pid = h.pid
WHERE w.datname = current_database() AND w.usename = current_user AND w.application_name = $1
  AND w.wait_event_type = 'Lock'
ORDER BY pg_catalog.cardinality(pg_blocking_pids(h.pid)), b.xact_start
LIMIT 1
