-- makegood: lock_holder
-- Whose lock a session of makegood's called $1 waits for. Of several in a queue, the one that waits for nobody. One that
-- was found before is it for as long as its transaction ($2) has the lock (on $3), also between two waits.
SELECT h.pid, b.application_name, b.state, b.usename::text,
       CASE WHEN b.xact_start IS NOT NULL THEN greatest(extract(epoch FROM now() - b.xact_start), 0)::float8 END AS seconds,
       h.relation::regclass::text AS table_name, h.relation, held.virtualtransaction AS transaction
FROM (
    SELECT blocking.pid, wanted.relation, 0 AS place
    FROM pg_stat_activity w
    CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking (pid)
    LEFT JOIN pg_locks wanted ON wanted.pid = w.pid AND NOT wanted.granted
    WHERE w.datname = current_database() AND w.usename = current_user AND w.application_name = $1
      AND w.wait_event_type = 'Lock'
    UNION ALL
    SELECT coalesce(l.pid, 0), l.relation, 1
    FROM pg_locks l
    WHERE l.granted AND l.virtualtransaction = $2 AND l.relation IS NOT DISTINCT FROM $3
      AND l.pid IS DISTINCT FROM pg_backend_pid()
) h
LEFT JOIN pg_stat_activity b ON b.pid = h.pid
LEFT JOIN LATERAL (
    SELECT l.virtualtransaction
    FROM pg_locks l
    WHERE l.granted AND coalesce(l.pid, 0) = h.pid AND l.relation IS NOT DISTINCT FROM h.relation
    LIMIT 1
) held ON true
ORDER BY h.place, cardinality(pg_blocking_pids(h.pid)), b.xact_start
LIMIT 1
