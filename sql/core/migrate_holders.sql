-- makegood: migrate_holders
-- Who has a lock that a migration waits for: the advisory lock $1 of those who migrate, or one on something of makegood's.
-- The likeliest one: not one who only reads, if there is another, and the oldest. What a role may not see is null.
SELECT coalesce(l.pid, 0) AS pid, a.application_name, a.state, a.usename::text,
       greatest(extract(epoch FROM now() - coalesce(a.xact_start, a.state_change)), 0)::float8 AS seconds
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
      AND (
          l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid::bigint = $1::bigint >> 32 AND l.objid::bigint = $1::bigint & 4294967295
          OR l.locktype = 'relation' AND l.relation IN (
              SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace('makegood')
          )
      )
ORDER BY l.locktype, l.mode = 'AccessShareLock', seconds DESC NULLS LAST
LIMIT 1
