-- makegood: outbox_blockers
-- Who keeps table $1 of the outbox from being emptied: the session that has been at it for longest, of those this server
-- knows; its application, role and the age of its transaction are null where this role may not see them.
SELECT l.pid, b.application_name, b.usename::text AS role, b.state,
       greatest(extract(epoch FROM clock_timestamp() - b.xact_start), 0)::double precision AS seconds
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.relation = $1::text::regclass::oid
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
      AND l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY b.xact_start NULLS FIRST
LIMIT 1
